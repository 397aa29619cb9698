"""DTLS transports whose stop can be undone, and which tell why a handshake has failed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import aiortc
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from OpenSSL import SSL, crypto

from ..events import Emitter
from ..exceptions import tls_reason
from ..ice.counters import Traffic
from ..ice.transport import RTCIceTransport
from ..seam import AiortcDtlsTransport, PreparedCertificate, transport_stats
from .handshake import cipher_suites, fingerprint_fault, flush, shake_hands

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["RTCDtlsTransport", "parked_stops"]

logger = logging.getLogger(__name__)

# After how many seconds a handshake that isn't complete is told to who reads the log.
PATIENCE: Final = 10
# The level of an alert. (RFC 5246 section 7.2)
FATAL: Final = 2


class RTCDtlsTransport(Emitter, AiortcDtlsTransport):
    """aiortc's DTLS transport, which can be told to only note down that it was stopped.

    aiortc stops the transports that a BUNDLE group makes superfluous as soon as it sees the offer.
    A rollback needs them back, and one that turns out to be in use must not be stopped at all.

    A peer may have an RSA certificate. Where its certificate isn't that of its description, the
    handshake fails on both sides. Why one has failed is told in a warning.

    Spec: https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface
    """

    transport: RTCIceTransport  # ours, in place of aiortc's

    def __init__(
        self, transport: aiortc.RTCIceTransport, certificates: list[aiortc.RTCCertificate]
    ) -> None:
        super().__init__(transport, [PreparedCertificate(c, self._prepare) for c in certificates])
        self.parking = False
        self.on_cancelled: Callable[[], Awaitable[None]] = _wait_for_nothing
        self._failures = 0
        self._fingerprints: list[RTCDtlsFingerprint] = []
        self._expected: list[RTCDtlsFingerprint] = []
        self._fault: str | None = None
        self._examined: x509.Certificate | None = None
        self._ending: asyncio.Task[None] | None = None

    def getLocalParameters(self) -> RTCDtlsParameters:  # noqa: N802  aiortc's name
        """Return the fingerprints of the certificate.

        aiortc asks for them for each section of each description, and they never change, so the
        digests are computed once. (RFC 8122 section 5)
        """
        if not self._fingerprints:
            self._fingerprints = super().getLocalParameters().fingerprints
        return RTCDtlsParameters(fingerprints=list(self._fingerprints))

    async def cancelled(self) -> None:
        """End with the program, which waits for that."""
        await self.on_cancelled()

    def handling_failed(self, error: Exception) -> None:
        """Drop a packet that couldn't be handled; the first one is told, the others are not.

        What is encrypted comes from the other side, which has got something wrong. That ends
        neither DTLS nor what else runs on it.
        """
        self._failures += 1
        if self._failures == 1:
            logger.warning("A packet couldn't be handled, and is dropped", exc_info=error)
        else:
            logger.debug("%d packets couldn't be handled: %r", self._failures, error)

    def traffic(self) -> Traffic:
        """Return what has been sent and received so far."""
        stats = transport_stats(self)
        return Traffic(
            stats.packetsSent, stats.packetsReceived, stats.bytesSent, stats.bytesReceived
        )

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803  aiortc's
        """Shake hands, and return when that is done or has failed."""
        self._expected = remoteParameters.fingerprints
        telling = asyncio.get_running_loop().call_later(PATIENCE, self._tell_delay)
        try:
            await super().start(remoteParameters)
        finally:
            telling.cancel()
        if self.state == "failed" and self.encrypted:
            # aiortc has found something that OpenSSL doesn't look for.
            self._tell_failure(self._fault or "there is no SRTP profile in common")
            await self._say_goodbye()

    async def shake_hands(self) -> None:
        """Attempt to complete the handshake, after which this is `encrypted`, or `failed`."""
        assert self.tls is not None
        try:
            await shake_hands(self.tls, self._receive_datagram, self._send_datagram)
        except SSL.Error as error:
            self.enter_failed()
            self._tell_failure(self._fault or tls_reason(error))
        except ConnectionError:
            # The connection was closed meanwhile.
            self.enter_failed()
        else:
            self.encrypted = True

    async def stop(self) -> None:
        """Stop and close the DTLS transport, unless stops are parked."""
        if not self.parking:
            await super().stop()

    async def _receive_datagram(self) -> bytes:
        datagram = await self.transport._recv()  # noqa: SLF001  ours
        self.packets_received += 1
        self.bytes_received += len(datagram)
        return datagram

    async def _send_datagram(self, datagram: bytes) -> None:
        await self.transport._send(datagram)  # noqa: SLF001  ours
        self.packets_sent += 1
        self.bytes_sent += len(datagram)

    def _prepare(self, context: SSL.Context, enabled: list[str]) -> None:
        context.set_cipher_list(cipher_suites(enabled))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        context.set_info_callback(self._take_note)

    def _verify(
        self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        """Return whether a certificate, of which the fingerprint alone counts, is the peer's.

        aiortc asks that after the handshake, when the other side takes the connection for good.
        OpenSSL ends both if it is told in time. (RFC 8122 section 6.2)
        """
        del error, ok
        if depth == 0:
            try:
                found = certificate.to_cryptography()
                # OpenSSL asks twice, first as nobody known has signed it.
                if found != self._examined:
                    self._fault = fingerprint_fault(found, self._expected)
                    self._examined = found
            except ValueError as fault:
                self._fault = f"the peer's certificate can't be read: {fault}"
        return self._fault is None

    def _take_note(self, _: SSL.Connection, where: int, value: int) -> None:
        """End at a fatal alert after the handshake, such as of a peer that looks at us then only.

        OpenSSL calls this for handshakes and alerts, and goes on as if nothing had happened.
        (RFC 5246 section 7.2)
        """
        level, alert = divmod(value, 1 << 8)
        fatal = where & SSL.SSL_CB_ALERT and level == FATAL
        if fatal and self.state == "connected" and self._ending is None:
            came = where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT
            fault = f"the peer has sent alert {alert}" if came else f"alert {alert} was sent"
            self._ending = asyncio.ensure_future(self._end(fault))

    async def _end(self, fault: str) -> None:
        self.enter_failed()
        logger.warning("RTCDtlsTransport(%s) has failed: %s", self.dtls_role, fault)
        await self.disconnect()

    async def _say_goodbye(self) -> None:
        """Let the other side, which takes the handshake for complete, know that it has failed."""
        assert self.tls is not None
        with suppress(SSL.Error, ConnectionError):
            self.tls.shutdown()
            await flush(self.tls, self._send_datagram)

    def _tell_failure(self, fault: str) -> None:
        logger.warning("RTCDtlsTransport(%s) handshake has failed: %s", self.dtls_role, fault)

    def _tell_delay(self) -> None:
        logger.warning(
            "RTCDtlsTransport(%s) handshake isn't complete after %s s, and goes on",
            self.dtls_role,
            PATIENCE,
        )


async def _wait_for_nothing() -> None:
    """Return at once."""


@contextmanager
def parked_stops(transports: set[RTCDtlsTransport]) -> Iterator[None]:
    """Let stop() do nothing, on these transports and the ICE transports below them."""
    for transport in transports:
        transport.parking = transport.transport.parking = True
    try:
        yield
    finally:
        for transport in transports:
            transport.parking = transport.transport.parking = False
