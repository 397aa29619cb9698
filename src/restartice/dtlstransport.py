"""DTLS and ICE transports whose stop can be undone."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiortc
from aiortc import rtcdtlstransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters

from .icetransport import RTCIceTransport
from .internals import transport_stats
from .listeners import Emitter
from .stats import Traffic

__all__ = ["RTCDtlsTransport", "parked_stops"]


class RTCDtlsTransport(Emitter, rtcdtlstransport.RTCDtlsTransport):
    """aiortc's DTLS transport, which can be told to only note down that it was stopped.

    aiortc stops the transports that a BUNDLE group makes superfluous as soon as it sees the offer.
    A rollback needs them back, and one that turns out to be in use must not be stopped at all.

    Spec: https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface
    """

    transport: RTCIceTransport  # ours, in place of aiortc's

    def __init__(
        self, transport: aiortc.RTCIceTransport, certificates: list[aiortc.RTCCertificate]
    ) -> None:
        super().__init__(transport, certificates)
        self.parking = False
        self._fingerprints: list[RTCDtlsFingerprint] = []

    def getLocalParameters(self) -> RTCDtlsParameters:  # noqa: N802  aiortc's name
        """Return the fingerprints of the certificate.

        aiortc asks for them for each section of each description, and they never change, so the
        digests are computed once. (RFC 8122 section 5)
        """
        if not self._fingerprints:
            self._fingerprints = super().getLocalParameters().fingerprints
        return RTCDtlsParameters(fingerprints=list(self._fingerprints))

    def traffic(self) -> Traffic:
        """Return what has been sent and received so far."""
        stats = transport_stats(self)
        return Traffic(
            stats.packetsSent, stats.packetsReceived, stats.bytesSent, stats.bytesReceived
        )

    async def stop(self) -> None:
        """Stop and close the DTLS transport, unless stops are parked."""
        if not self.parking:
            await super().stop()


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
