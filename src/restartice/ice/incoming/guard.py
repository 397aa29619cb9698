"""What may come in: the shapes of datagrams, and those that wait for a proof of who sent them.

Whoever knows a port can send to it. What is taken on are STUN messages, which are authenticated one
by one, and packets of DTLS and SRTP from an address from where the holder of the other end's
credentials has spoken. Nothing here knows of sockets.
"""

import logging
import math
from collections.abc import Hashable
from enum import Enum, auto
from typing import Final

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

# The sizes in bytes of the shortest packet of each kind, without what it carries.
RTP_HEADER: Final = 12
DTLS_HEADER: Final = 13
STUN_HEADER: Final = 20
# A DTLS record, the largest that there can be. (RFC 6347 section 4.1, RFC 5246 section 6.2.3)
LONGEST: Final = DTLS_HEADER + 2**14 + 2048
# The largest STUN message: what goes into a packet of an Ethernet. It takes time to read one that
# nobody has signed. (RFC 8489 section 6.1)
LONGEST_STUN: Final = 1500
MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
# Types of DTLS records from change_cipher_spec to ack, without those with a connection id, which
# nobody negotiates. (RFC 9147 section 4.1)
DTLS_TYPES: Final = frozenset({20, 21, 22, 23, 24, 26})
DTLS_MAJOR_VERSION: Final = 0xFE
TRANSACTIONS: Final = 256

NO_PROOF: Final = "the other end has not proved that it is there"

logger = logging.getLogger(__name__)


class Shape(Enum):
    """What a datagram may be."""

    STUN = auto()
    TRAFFIC = auto()  # DTLS, or RTP or RTCP with SRTP
    UNKNOWN = auto()


def shape_of(datagram: bytes) -> Shape:
    """Return what a datagram may be by its first bytes and its size.

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
        # An encrypted record of DTLS 1.3, whose header has hardly anything to look at.
        return Shape.TRAFFIC
    if first in DTLS_TYPES and size >= DTLS_HEADER and datagram[1] == DTLS_MAJOR_VERSION:
        # Without a call, as each message of a data channel passes through here.
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
    """Counts the datagrams of a transport that were dropped, and tells the log of the first one."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, why: str, source: object = "a stranger", datagrams: int = 1) -> None:
        """Count datagrams that were dropped.

        Args:
            why: What is wrong with them.
            source: Where they came from.
            datagrams: How many there are.
        """
        if datagrams and not self.count:
            logger.info("Dropped what came from %s: %s. The rest is only counted.", source, why)
        self.count += datagrams


class HeldDatagrams:
    """Traffic from addresses of which nothing is known yet, until one of them proves itself.

    It is bounded, as it is strangers' for all we know: what an end sends at first before it waits
    for an answer, from as many addresses as it may have.
    """

    SOURCES: Final = 8
    EACH: Final = 8
    SIZE: Final = 2048

    def __init__(self) -> None:
        self._by_source: dict[Hashable, list[bytes]] = {}

    def hold(self, source: Hashable, datagram: bytes) -> int:
        """Keep a datagram, if there is room for it; those of the oldest source give way.

        Returns:
            How many datagrams were dropped, this one or others.
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
        """Return what came from a source, in the order in which it did, and keep it no longer."""
        return self._by_source.pop(source, [])

    def drop(self) -> int:
        """Keep nothing; return how many datagrams that were."""
        dropped = sum(map(len, self._by_source.values()))
        self._by_source.clear()
        return dropped


class Allowance:
    """How much may be sent to addresses from where nobody has answered yet.

    A request that is signed allows one of ours, so that copies of it make hardly more traffic than
    they are; beyond that there are a few for the whole generation, as any of them may get lost.
    Refusals, which anybody can cause, are limited by time.
    """

    REQUESTS: Final = 64
    REFUSALS: Final = 20

    def __init__(self) -> None:
        self._requests = self.REQUESTS
        self._refusals = 0
        self._second_began = -math.inf

    def take_request(self) -> bool:
        """Return whether one more request may be sent that nobody's request allows."""
        self._requests = max(-1, self._requests - 1)
        return self._requests >= 0

    def may_refuse(self, now: float) -> bool:
        """Return whether one more refusal may be sent in this second."""
        if now - self._second_began >= 1.0:
            self._second_began, self._refusals = now, self.REFUSALS
        return self._refusals > 0

    def take_refusal(self, now: float) -> bool:
        """Return whether one more refusal may be sent in this second, and count it."""
        allowed = self.may_refuse(now)
        self._refusals -= allowed
        return allowed


class SeenTransactions:
    """Tells a request from its copies, which anyone may send from elsewhere who has seen it."""

    def __init__(self) -> None:
        self._senders: dict[bytes, Hashable] = {}

    def is_copy(self, transaction_id: bytes, source: Hashable) -> bool:
        """Return whether a request came from elsewhere at first, as far as is remembered."""
        if len(self._senders) >= TRANSACTIONS and transaction_id not in self._senders:
            del self._senders[next(iter(self._senders))]
        return self._senders.setdefault(transaction_id, source) != source
