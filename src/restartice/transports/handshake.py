"""The DTLS handshake: its datagrams, and the reasons of its failures."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from cryptography import x509
from OpenSSL import SSL

from ..sdp.validation import decisive_fingerprints

__all__ = [
    "Flight",
    "cipher_suites",
    "datagrams",
    "fingerprint_fault",
    "is_handshake",
    "shake_hands",
]

# How many bytes a datagram may have, as in libwebrtc; any network carries that.
DATAGRAM_LIMIT: Final = 1200
READ_LIMIT: Final = 1 << 20
# (RFC 6347 section 4.1)
RECORD_HEADER, EPOCH, LENGTH = 13, slice(3, 5), slice(11, 13)
# The epoch before there are keys.
CLEAR: Final = b"\0\0"
# The first bytes of DTLS packets. (RFC 7983 section 7)
DTLS: Final = range(20, 64)
# The record types of a handshake: change_cipher_spec and handshake. Encrypted records have the same
# types. (RFC 5246 section 6.2.1)
HANDSHAKE: Final = frozenset({20, 22})
# The pause before a flight is repeated: twice this many round trips, but at least the shortest
# pause; then it doubles up to the longest. In seconds. OpenSSL begins with a whole second, which a
# program can't change.
ROUND_TRIPS: Final = 2
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
# The header of the first handshake message of a record, by which a repeated one is known, and how
# many are remembered. (RFC 6347 section 4.2.2)
MESSAGE_HEADER: Final = slice(RECORD_HEADER, RECORD_HEADER + 12)
MOST_MESSAGES: Final = 64
# In the names of cipher suites without CBC and SHA-1.
AEAD: Final = ("-GCM-", "-CHACHA20-")


def cipher_suites(enabled: list[str]) -> bytes:
    """Return the cipher suites to enable: aiortc's for ECDSA, and then the same ones for RSA.

    Some peers have RSA certificates. The RSA suites have forward secrecy, too. aiortc's suites with
    CBC get no RSA counterpart.

    Args:
        enabled: The names of the enabled suites, in order.
    """
    # The suites of TLS 1.3 don't depend on the certificate; OpenSSL keeps them in another list.
    kept = [name for name in enabled if not name.startswith("TLS_")]
    twins = [
        name.replace("ECDHE-ECDSA-", "ECDHE-RSA-")
        for name in kept
        if name.startswith("ECDHE-ECDSA-") and any(mode in name for mode in AEAD)
    ]
    return ":".join(dict.fromkeys([*kept, *twins])).encode("ascii")


def fingerprint_fault(
    certificate: x509.Certificate, expected: list[RTCDtlsFingerprint]
) -> str | None:
    """Return why a certificate doesn't match its description, or None if it does.

    All decisive fingerprints must match.
    """
    decisive = decisive_fingerprints(expected)
    if not decisive:
        return "the description has no fingerprint with a known hash function"
    for function, value in decisive:
        if certificate.fingerprint(function).hex(":").upper() != value.upper():
            return "the peer's certificate has another fingerprint than its description"
    return None


def datagrams(flight: bytes) -> Iterator[bytes]:
    """Divide OpenSSL's output into datagrams, between records.

    A record must not be split over two datagrams. (RFC 6347 section 4.1.1)
    """
    start = end = 0
    while end < len(flight):
        following = end + RECORD_HEADER + int.from_bytes(flight[end:][LENGTH], "big")
        if following - start > DATAGRAM_LIMIT and end > start:
            yield flight[start:end]
            start = end
        end = following
    if flight:
        yield flight[start:]


def is_handshake(datagram: bytes) -> bool:
    """Return whether a datagram begins with a record of a handshake."""
    return bool(datagram) and datagram[0] in HANDSHAKE


class Flight:
    """The last flight sent in a handshake, and when to repeat it without an answer.

    Its records are repeated unchanged. A peer that has got them drops them as duplicates. (RFC 6347
    section 4.1.2.6)

    Args:
        round_trip: Returns the round trip time in seconds, or None if unknown.

    Attributes:
        datagrams: The datagrams of the flight.
        heard: Whether the peer has sent anything.
    """

    def __init__(self, round_trip: Callable[[], float | None] = lambda: None) -> None:
        self.datagrams: list[bytes] = []
        self.heard = False
        self._round_trip = round_trip
        self._repetitions = 0
        self._sent_at: float | None = None
        self._messages: set[bytes] = set()

    def began(self, datagrams: list[bytes]) -> None:
        """Note a flight that was sent, other than the one before."""
        self.datagrams = datagrams
        self._repetitions, self._sent_at = 0, _now()

    def repeated(self) -> None:
        """Note that it was sent again."""
        self._repetitions += 1
        self._sent_at = _now()

    @property
    def rest(self) -> float | None:
        """The time until the next repetition, in seconds; None before the first flight."""
        if self._sent_at is None:
            return None
        # ICE may have measured the round trip anew.
        pause = first_pause(self._round_trip()) * (1 << max(0, self._repetitions - 1))
        return max(0.0, self._sent_at + min(pause, LONGEST_PAUSE) - _now())

    def is_lacking(self, datagram: bytes) -> bool:
        """Note a datagram of the peer; return whether it lacks our flight, as it repeats its own.

        (RFC 6347 section 4.2.4)
        """
        self.heard = True
        message = datagram[MESSAGE_HEADER]
        # The other records are encrypted.
        if not is_handshake(datagram[:1]) or datagram[EPOCH] != CLEAR:
            return False
        if message not in self._messages:
            if len(self._messages) < MOST_MESSAGES:
                self._messages.add(message)
            return False
        # One that was sent before our flight could arrive says nothing.
        needed = max(SHORTEST_PAUSE, self._round_trip() or 0.0)
        return self._sent_at is not None and _now() >= self._sent_at + needed


def first_pause(round_trip: float | None) -> float:
    """Return the pause before the first repetition of a flight, in seconds.

    Args:
        round_trip: The round trip time in seconds, or None if unknown.
    """
    if round_trip is None:
        return LONGEST_PAUSE
    return min(max(SHORTEST_PAUSE, ROUND_TRIPS * round_trip), LONGEST_PAUSE)


async def shake_hands(
    tls: SSL.Connection,
    receive: Callable[[], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
    flight: Flight,
) -> None:
    """Complete a handshake.

    aiortc's own handshake loses OpenSSL's errors, and doesn't send the alert that tells the peer.

    Args:
        tls: OpenSSL's connection.
        receive: Returns the next datagram, of any protocol.
        send: Sends a datagram.
        flight: Becomes the last flight sent, which the peer may not get.

    Raises:
        SSL.Error: The handshake has failed. The peer gets an alert, if possible.
        ConnectionError: The transport is closed.
    """
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except SSL.WantReadError:
            pass
        finally:
            # Also after an error, to send the alert.
            sent = await flush(tls, send)
        if sent:
            flight.began(sent)
        if not done:
            await _go_on(tls, receive, send, flight)


async def flush(tls: SSL.Connection, send: Callable[[bytes], Awaitable[None]]) -> list[bytes]:
    """Send OpenSSL's output, and return it."""
    try:
        sent = list(datagrams(tls.bio_read(READ_LIMIT)))
    except SSL.WantReadError:
        return []
    for datagram in sent:
        await send(datagram)
    return sent


async def _go_on(
    tls: SSL.Connection,
    receive: Callable[[], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
    flight: Flight,
) -> None:
    """Pass the next datagram to OpenSSL, or repeat our flight if none comes in time."""
    rests = [rest for rest in (tls.DTLSv1_get_timeout(), flight.rest) if rest is not None]
    try:
        async with asyncio.timeout(min(rests, default=None)):
            datagram = await receive()
    except TimeoutError:
        if flight.rest != 0:
            # OpenSSL's repetition has new record numbers. A peer that lost its own flight needs it.
            tls.DTLSv1_handle_timeout()
            await flush(tls, send)
        else:
            await _repeat(flight, send)
        return
    if datagram and datagram[0] in DTLS:
        if flight.is_lacking(datagram):
            await _repeat(flight, send)
        tls.bio_write(datagram)


async def _repeat(flight: Flight, send: Callable[[bytes], Awaitable[None]]) -> None:
    for datagram in flight.datagrams:
        await send(datagram)
    flight.repeated()


def _now() -> float:
    return asyncio.get_running_loop().time()
