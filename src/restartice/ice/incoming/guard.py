"""Decides which datagrams to accept, and holds some until their sender proves to be the peer.

Any host that knows a port can send to it. STUN messages are accepted because each one is
authenticated. DTLS and SRTP packets are accepted from addresses from which the peer has sent a
signed message. This module uses no sockets.
"""

import math
from collections.abc import Hashable
from enum import Enum, auto
from typing import Final

from ...logs import ObjectLogger

__all__ = [
    "NO_PROOF",
    "Allowance",
    "Discards",
    "HeldDatagrams",
    "SeenTransactions",
    "Shape",
    "is_request",
    "is_response",
    "shape_of",
    "transaction_of",
]

# The sizes of the headers, in bytes.
RTP_HEADER: Final = 12
DTLS_HEADER: Final = 13
STUN_HEADER: Final = 20
# The largest DTLS record. (RFC 6347 section 4.1, RFC 5246 section 6.2.3)
LONGEST: Final = DTLS_HEADER + 2**14 + 2048
# The largest STUN message: an Ethernet packet. Reading larger ones, which may be unsigned, would
# waste time. (RFC 8489 section 6.1)
LONGEST_STUN: Final = 1500
MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
# The types of DTLS records from change_cipher_spec to ack, except records with a connection id,
# which isn't negotiated here. (RFC 9147 section 4.1)
DTLS_TYPES: Final = frozenset({20, 21, 22, 23, 24, 26})
DTLS_MAJOR_VERSION: Final = 0xFE
TRANSACTIONS: Final = 256

NO_PROOF: Final = "the other end has not proved that it is there"


class Shape(Enum):
    """The kind of a datagram."""

    STUN = auto()
    TRAFFIC = auto()  # DTLS, or RTP or RTCP with SRTP
    UNKNOWN = auto()


def shape_of(datagram: bytes) -> Shape:
    """Return the kind of a datagram, by its size and first bytes.

    (RFC 7983 section 7)
    """
    size = len(datagram)
    if not RTP_HEADER <= size <= LONGEST:
        return Shape.UNKNOWN
    first = datagram[0]
    if 127 < first < 192:
        return Shape.TRAFFIC
    if first < 4:
        return Shape.STUN if _is_stun(datagram) else Shape.UNKNOWN
    if 31 < first < 64:
        # An encrypted DTLS 1.3 record; its short header has nothing else to check.
        return Shape.TRAFFIC
    if first in DTLS_TYPES and size >= DTLS_HEADER and datagram[1] == DTLS_MAJOR_VERSION:
        # No function call here: each message of a data channel takes this path.
        complete = size >= DTLS_HEADER + (datagram[11] << 8 | datagram[12])
        return Shape.TRAFFIC if complete else Shape.UNKNOWN
    return Shape.UNKNOWN


def is_response(message: bytes) -> bool:
    """Return whether a STUN message is a response, of success or error. (RFC 8489 section 5)."""
    return bool(message[0] & 0x01)


def is_request(message: bytes) -> bool:
    """Return whether a STUN message is a request."""
    return not (message[0] & 0x01 or message[1] & 0x10)


def transaction_of(message: bytes) -> bytes:
    """Return the transaction id of a STUN message."""
    return message[8:STUN_HEADER]


def _is_stun(datagram: bytes) -> bool:
    length = int.from_bytes(datagram[2:4], "big")
    return (
        len(datagram) == STUN_HEADER + length <= LONGEST_STUN
        and length % 4 == 0
        and datagram[4:8] == MAGIC_COOKIE
    )


class Discards:
    """Counts the dropped datagrams of a transport, and logs the first one.

    Args:
        log: The transport's log.
    """

    def __init__(self, log: ObjectLogger) -> None:
        self.count = 0
        self._log = log

    def add(self, why: str, source: object = "a stranger", datagrams: int = 1) -> None:
        """Count datagrams that were dropped.

        Args:
            why: The reason.
            source: The address of their sender.
            datagrams: Their number.
        """
        if datagrams and not self.count:
            self._log.info("dropped what came from %s: %s. The rest is only counted.", source, why)
        self.count += datagrams


class HeldDatagrams:
    """Holds traffic from unknown addresses until one of them proves to be the peer's.

    The number is limited, as it may be strangers' traffic: it is enough for the first flight of a
    handshake, from as many addresses as a peer may have.
    """

    SOURCES: Final = 8
    EACH: Final = 8
    SIZE: Final = 2048

    def __init__(self) -> None:
        self._by_source: dict[Hashable, list[bytes]] = {}

    def hold(self, source: Hashable, datagram: bytes) -> int:
        """Hold a datagram, if there is room; the oldest source's datagrams make room for a new one.

        Returns:
            How many datagrams were dropped, including this one.
        """
        if len(datagram) > self.SIZE:
            return 1
        held = self._by_source.get(source)
        if held is not None:
            if len(held) >= self.EACH:
                return 1
            held.append(datagram)
            return 0
        dropped = 0
        if len(self._by_source) >= self.SOURCES:
            dropped = len(self._by_source.pop(next(iter(self._by_source))))
        self._by_source[source] = [datagram]
        return dropped

    def release(self, source: Hashable) -> list[bytes]:
        """Remove the datagrams of a source, and return them in their order."""
        return self._by_source.pop(source, [])

    def drop(self) -> int:
        """Drop all datagrams; return how many there were."""
        dropped = sum(map(len, self._by_source.values()))
        self._by_source.clear()
        return dropped


class Allowance:
    """Limits what we send to addresses that haven't answered yet.

    Each signed request from an address allows one of ours, so that copies of it cause hardly more
    traffic than they are. The whole generation has a few more, as requests get lost. Error
    responses, which anybody can cause, are limited per second.
    """

    REQUESTS: Final = 64
    REFUSALS: Final = 20

    def __init__(self) -> None:
        self._requests = self.REQUESTS
        self._refusals = 0
        self._second_began = -math.inf

    def take_request(self) -> bool:
        """Return whether one of the generation's extra requests may be sent, and count it."""
        self._requests = max(-1, self._requests - 1)
        return self._requests >= 0

    def may_refuse(self, now: float) -> bool:
        """Return whether another error response may be sent in this second."""
        if now - self._second_began >= 1.0:
            self._second_began, self._refusals = now, self.REFUSALS
        return self._refusals > 0

    def take_refusal(self, now: float) -> bool:
        """Return whether another error response may be sent in this second, and count it."""
        allowed = self.may_refuse(now)
        self._refusals -= allowed
        return allowed


class SeenTransactions:
    """Recognizes copies of a request that somebody sends from another address."""

    def __init__(self) -> None:
        self._senders: dict[bytes, Hashable] = {}

    def is_copy(self, transaction_id: bytes, source: Hashable) -> bool:
        """Return whether the request came from another address first, as far as is remembered."""
        if len(self._senders) >= TRANSACTIONS and transaction_id not in self._senders:
            del self._senders[next(iter(self._senders))]
        return self._senders.setdefault(transaction_id, source) != source
