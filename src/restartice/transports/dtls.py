"""DTLS transports that can be stopped later, and log why a handshake has failed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import aiortc
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from ..events import Emitter
from ..exceptions import tls_reason
from ..ice.counters import Traffic
from ..ice.transport import RTCIceTransport, core_of
from ..logs import ObjectLogger, next_number
from ..seam import AiortcDtlsTransport, DtlsView, PreparedCertificate, transport_stats
from .handshake import (
    SHORTEST_PAUSE,
    Flight,
    cipher_suites,
    fingerprint_fault,
    flush,
    is_handshake,
    shake_hands,
)

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["RTCDtlsTransport", "parked_stops"]

logger = logging.getLogger(__name__)

# The seconds after which an incomplete handshake is logged.
PATIENCE: Final = 10
# The level of an alert. (RFC 5246 section 7.2)
FATAL: Final = 2


class DtlsCore(DtlsView):
    """The state behind an RTCDtlsTransport.

    Attributes:
        on_cancelled: Called when its task is cancelled, such as at the end of the program.
        parking: Whether stop() does nothing for now.
        closed: Whether it is closed, even if stop() hasn't ended it yet.
    """

    viewed: "RTCDtlsTransport"

    def __init__(
        self,
        transport: "RTCDtlsTransport",
        label: str | None,
        on_cancelled: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(transport)
        self.log = ObjectLogger(logger, f"RTCDtlsTransport({label or next_number()})")
        self.parking = False
        self.closed = False
        self.on_cancelled = on_cancelled
        self._failures = 0
        self._expected: list[RTCDtlsFingerprint] = []
        self._fault: str | None = None
        self._examined: x509.Certificate | None = None
        self._ending: asyncio.Task[None] | None = None
        # The last flight that was sent, during the handshake.
        self._flight: Flight | None = None
        self._repeating: asyncio.Task[None] | None = None
        # The server's last flight of the handshake, until the client has it.
        self._last_flight: list[bytes] = []
        self._repeated_at = 0.0

    @contextmanager
    def handshake(self, expected: list[RTCDtlsFingerprint]) -> Iterator[None]:
        """Set the expected fingerprints during a handshake, and warn if it takes long."""
        self._expected = expected
        telling = asyncio.get_running_loop().call_later(PATIENCE, self._tell_delay)
        try:
            yield
        finally:
            telling.cancel()

    async def reject_peer(self) -> None:
        """Log why we reject the peer after a complete handshake, and close DTLS."""
        # aiortc has found a fault that OpenSSL doesn't look for.
        self._tell_failure(self._fault or "there is no SRTP profile in common")
        await self._say_goodbye()

    def park_stops(self, *, parking: bool) -> None:
        """Make stop() do nothing, or work again, here and on the ICE transport."""
        self.parking = parking
        self.viewed.transport._core.park_stops(parking=parking)

    def close(self) -> None:
        """Enter `closed` at once; stop() ends the rest."""
        if not self.closed:
            self.closed = True
            self.viewed.emit("statechange")

    async def cancelled(self) -> None:
        """Close the connection when the program ends."""
        await self.on_cancelled()

    def is_expected(self, certificate: "x509.Certificate") -> bool:
        return fingerprint_fault(certificate, self._expected) is None

    def handling_failed(self, error: Exception) -> None:
        """Drop a packet that couldn't be handled. The first one is logged as a warning.

        The packet was encrypted, so it is the peer's mistake. DTLS, media and data go on.
        """
        self._failures += 1
        if self._failures == 1:
            self.log.warning("dropped a packet that couldn't be handled", exc_info=error)
        else:
            self.log.debug("%d packets couldn't be handled: %r", self._failures, error)

    def decrypting_failed(self, error: Exception) -> None:
        """Log a packet of RTP that can't be decrypted, such as one that has come twice."""
        self.log.debug("drops a packet of RTP: %s", error)

    def traffic(self) -> Traffic:
        """Return the traffic so far."""
        stats = transport_stats(self.viewed)
        return Traffic(
            stats.packetsSent, stats.packetsReceived, stats.bytesSent, stats.bytesReceived
        )

    async def shake_hands(self) -> None:
        """Try to complete the handshake. Afterwards the transport is `encrypted` or failed."""
        assert self.tls is not None
        ice = core_of(self.viewed.transport)
        self._flight = flight = Flight(lambda: None if ice is None else ice.round_trip_time)
        try:
            await shake_hands(self.tls, self._receive_datagram, self._send_datagram, flight)
        except SSL.Error as error:
            self.enter_failed()
            self._tell_failure(self._fault or tls_reason(error))
        except ConnectionError:
            # The connection was closed meanwhile.
            self.enter_failed()
        else:
            self.viewed.encrypted = True
            # In DTLS 1.2 the server sends the last flight. DTLS 1.3 acknowledges flights.
            is_old = self.tls.get_protocol_version_name() == "DTLSv1.2"
            if self.role == "server" and is_old and ice is not None:
                self._last_flight = flight.datagrams
        finally:
            self._flight = None

    def repeat_beginning(self) -> None:
        """Repeat the client's first flight if the peer hasn't answered.

        Some peers accept nothing before ICE has nominated a pair.
        """
        flight = self._flight
        if flight is not None and not flight.heard and flight.datagrams:
            self._repeating = asyncio.ensure_future(self._send_all(flight.datagrams))

    async def _send_all(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            await self._send_datagram(datagram)

    async def look_ahead(self) -> bool:
        """Look at the next datagram, and repeat our last flight if the peer hasn't got it.

        A peer that repeats its own flight hasn't got ours. One that sends anything else has. (RFC
        6347 section 4.2.4)

        Returns:
            Whether to look at the next datagram, too.
        """
        if self._last_flight and (ice := core_of(self.viewed.transport)) is not None:
            datagram = await self.viewed.transport._recv()  # noqa: SLF001  ours
            ice.gatherer.datagrams.put_back(datagram)
            now = asyncio.get_running_loop().time()
            if not is_handshake(datagram):
                self._last_flight = []
            elif now >= self._repeated_at + SHORTEST_PAUSE:
                self._repeated_at = now
                await self._send_all(self._last_flight)
                # It couldn't decrypt what we have sent since.
                ice.repeat_lost()
        return bool(self._last_flight)

    async def _receive_datagram(self) -> bytes:
        datagram = await self.viewed.transport._recv()  # noqa: SLF001  ours
        self.packets_received += 1
        self.bytes_received += len(datagram)
        return datagram

    async def _send_datagram(self, datagram: bytes) -> None:
        await self.viewed.transport._send(datagram)  # noqa: SLF001  ours
        self.packets_sent += 1
        self.bytes_sent += len(datagram)

    def prepare(self, context: SSL.Context, enabled: list[str]) -> None:
        context.set_cipher_list(cipher_suites(enabled))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        context.set_info_callback(self._take_note)

    def _verify(
        self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        """Return whether the peer's certificate has the expected fingerprint.

        aiortc checks it after the handshake, when the peer already counts the connection as
        complete. Checked during the handshake, it fails on both sides. (RFC 8122 section 6.2)
        """
        del error, ok
        if depth == 0:
            try:
                found = certificate.to_cryptography()
                # OpenSSL calls this twice, first because the certificate is self-signed.
                if found != self._examined:
                    self._fault = fingerprint_fault(found, self._expected)
                    self._examined = found
            except ValueError as fault:
                self._fault = f"the peer's certificate can't be read: {fault}"
        return self._fault is None

    def _take_note(self, _: SSL.Connection, where: int, value: int) -> None:
        """End at a fatal alert after the handshake, as from a peer that checks us only then.

        OpenSSL reports handshakes and alerts here, but doesn't end at a fatal alert. (RFC 5246
        section 7.2)
        """
        level, alert = divmod(value, 1 << 8)
        fatal = where & SSL.SSL_CB_ALERT and level == FATAL
        if fatal and self.viewed.state == "connected" and self._ending is None:
            came = where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT
            fault = f"the peer has sent alert {alert}" if came else f"alert {alert} was sent"
            self._ending = asyncio.ensure_future(self._end(fault))

    async def _end(self, fault: str) -> None:
        self.enter_failed()
        self.log.warning("failed as %s: %s", self.role, fault)
        await self.disconnect()

    async def _say_goodbye(self) -> None:
        """Tell the peer, for which the handshake is complete, that it has failed."""
        assert self.tls is not None
        with suppress(SSL.Error, ConnectionError):
            self.tls.shutdown()
            await flush(self.tls, self._send_datagram)

    def _tell_failure(self, fault: str) -> None:
        self.log.warning("handshake as %s has failed: %s", self.role, fault)

    def _tell_delay(self) -> None:
        self.log.warning(
            "handshake as %s isn't complete after %s s, and goes on",
            self.role,
            PATIENCE,
        )


class RTCDtlsTransport(Emitter, AiortcDtlsTransport):
    """aiortc's DTLS transport, which can be stopped later.

    aiortc stops transports that a BUNDLE group doesn't need as soon as it gets the offer. Here they
    are stopped when the answer is set, because a rollback may need them.

    The peer may have an RSA certificate. If its certificate doesn't match its description, the
    handshake fails on both sides. The log has the reason of each failure, as a warning.

    Spec: https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface
    """

    _core: DtlsCore
    transport: RTCIceTransport  # ours, in place of aiortc's

    def __init__(
        self,
        transport: aiortc.RTCIceTransport,
        certificates: list[aiortc.RTCCertificate],
        *,
        label: str | None = None,
        on_cancelled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._core = DtlsCore(self, label, on_cancelled or _wait_for_nothing)
        prepare = self._core.prepare
        super().__init__(transport, [PreparedCertificate(c, prepare) for c in certificates])
        if (ice := core_of(transport)) is not None:
            ice.traffic.counted_by(self._core.traffic)

    @property
    def state(self) -> str:
        """`"new"`, `"connecting"`, `"connected"`, `"closed"` or `"failed"`.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdtlstransport-state
        """
        return "closed" if self._core.closed else super().state

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803  aiortc's
        """Run the handshake; return when it is complete or has failed.

        Args:
            remoteParameters: The peer's fingerprints and role.
        """
        with self._core.handshake(remoteParameters.fingerprints):
            await super().start(remoteParameters)
        if super().state == "failed" and self.encrypted:
            await self._core.reject_peer()

    def getRemoteCertificates(self) -> list[bytes]:  # noqa: N802  the W3C's name
        """Return the certificate of the peer, encoded in DER; nothing before the handshake.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdtlstransport-getremotecertificates
        """
        certificate = self._core.peer_certificate
        return [] if certificate is None else [certificate.public_bytes(Encoding.DER)]

    async def stop(self) -> None:
        """Stop the DTLS transport, and tell the peer."""
        if not self._core.parking:
            await super().stop()


async def _wait_for_nothing() -> None:
    """Return at once."""


@contextmanager
def parked_stops(transports: set[RTCDtlsTransport]) -> Iterator[None]:
    """Make stop() do nothing on these transports and their ICE transports."""
    for transport in transports:
        transport._core.park_stops(parking=True)
    try:
        yield
    finally:
        for transport in transports:
            transport._core.park_stops(parking=False)
