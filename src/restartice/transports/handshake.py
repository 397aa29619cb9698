"""The DTLS handshake: what is sent and received for it, and why it has failed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from aiortc.rtcdtlstransport import (
    X509_DIGEST_ALGORITHMS,
    RTCDtlsFingerprint,
    certificate_digest,
)
from cryptography import x509
from OpenSSL import SSL

__all__ = ["cipher_suites", "datagrams", "fingerprint_fault", "shake_hands"]

# Bytes in a datagram, which any network carries, as libwebrtc has it.
DATAGRAM_LIMIT: Final = 1200
READ_LIMIT: Final = 1 << 20
# (RFC 6347 section 4.1)
RECORD_HEADER, LENGTH = 13, slice(11, 13)
# The first bytes of DTLS; those of media and STUN are others. (RFC 7983 section 7)
DTLS: Final = range(20, 64)
# Of aiortc's cipher suites, those without CBC and SHA-1.
AEAD: Final = ("-GCM-", "-CHACHA20-")


def cipher_suites(enabled: list[str]) -> bytes:
    """Return the cipher suites to enable: with each for ECDSA, later on, its twin for RSA.

    There are peers with RSA certificates. The twins exchange keys as the others do, so that there
    is forward secrecy; suites with CBC, which aiortc has for ECDSA, get none.

    Args:
        enabled: The names of those that are enabled, in order.
    """
    # OpenSSL has those of TLS 1.3, which don't depend on the certificate, in a list of its own.
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
    """Return why a certificate isn't that of a description, or None if it is.

    All fingerprints have to match, of which there must be one, of those that aiortc can compute.
    (RFC 8122 section 5)
    """
    known = [f for f in expected if f.algorithm.lower() in X509_DIGEST_ALGORITHMS]
    if not known:
        return "the description has no fingerprint of a known kind"
    for fingerprint in known:
        found = certificate_digest(certificate, fingerprint.algorithm.lower())
        if found != fingerprint.value.upper():
            return "the peer's certificate has another fingerprint than its description"
    return None


def datagrams(flight: bytes) -> Iterator[bytes]:
    """Divide what OpenSSL wants to send into datagrams, between records.

    A record is lost if only a part of it is in a datagram. (RFC 6347 section 4.1.1)
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


async def shake_hands(
    tls: SSL.Connection,
    receive: Callable[[], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
) -> None:
    """Complete a handshake.

    aiortc lets OpenSSL go on with it where data is read, which loses what OpenSSL says of errors,
    and doesn't send the alert by which the other side learns of one.

    Args:
        tls: OpenSSL's side of it.
        receive: Returns the next datagram, of any protocol.
        send: Sends a datagram.

    Raises:
        SSL.Error: It has failed. The other side was told, if it can be.
        ConnectionError: There is nobody to send to or receive from any more.
    """
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except SSL.WantReadError:
            pass
        finally:
            # An alert, too.
            await flush(tls, send)
        if not done:
            await _receive(tls, receive)


async def flush(tls: SSL.Connection, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Send what OpenSSL wants to send."""
    try:
        flight = tls.bio_read(READ_LIMIT)
    except SSL.WantReadError:
        return
    for datagram in datagrams(flight):
        await send(datagram)


async def _receive(tls: SSL.Connection, receive: Callable[[], Awaitable[bytes]]) -> None:
    """Give OpenSSL the next datagram, or let it repeat what wasn't answered in time."""
    try:
        async with asyncio.timeout(tls.DTLSv1_get_timeout()):
            datagram = await receive()
    except TimeoutError:
        tls.DTLSv1_handle_timeout()
        return
    if datagram and datagram[0] in DTLS:
        tls.bio_write(datagram)
