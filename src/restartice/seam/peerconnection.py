"""The private names of aiortc's peer connection, and of what it negotiates."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiortc
from aiortc import (
    rtcdtlstransport,
    rtcicetransport,
    rtcpeerconnection,
    rtcrtpreceiver,
    rtcrtpsender,
    rtcrtptransceiver,
    rtcsctptransport,
)
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import RTCDtlsParameters
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.sdp import MediaDescription, SessionDescription

from .names import Private, as_defined, require

__all__ = [
    "NEGOTIATED_STATE",
    "AiortcPeerConnection",
    "dissociate",
    "has_common_codec",
    "kept_codecs",
    "mark_bundled",
    "mline_index",
    "set_mid",
    "set_mline_index",
]

_PC = rtcpeerconnection.RTCPeerConnection

for _method in (
    "__connect",
    "__createDtlsTransport",
    "__createSctpTransport",
    "__createTransceiver",
    "__gather",
    "__localRtp",
    "__remoteRtp",
    "__setSignalingState",
    "__updateConnectionState",
    "__updateIceConnectionState",
    "__updateIceGatheringState",
):
    require(_PC, _method)


class AiortcPeerConnection(rtcpeerconnection.RTCPeerConnection):
    """aiortc's connection with its private methods and attributes under names without mangling.

    The methods whose names begin with `_RTCPeerConnection__` override those of aiortc. Each hands
    over to one that a subclass can override by a usual name.
    """

    certificates = Private[list[aiortc.RTCCertificate]](_PC, "__certificates")
    configuration = Private[aiortc.RTCConfiguration](_PC, "__configuration")
    dtls_transports = Private[set[aiortc.RTCDtlsTransport]](_PC, "__dtlsTransports")
    ice_transports = Private[set[aiortc.RTCIceTransport]](_PC, "__iceTransports")
    remote_dtls = Private[dict[object, RTCDtlsParameters]](_PC, "__remoteDtls")
    remote_ice = Private[dict[object, aiortc.RTCIceParameters]](_PC, "__remoteIce")
    seen_mids = Private[set[str]](_PC, "__seenMids")
    stream_id = Private[str](_PC, "__stream_id")
    sctp_transport = Private[aiortc.RTCSctpTransport | None](_PC, "__sctp")
    sctp_mline_index = Private[int | None](_PC, "__sctp_mline_index")
    sctp_remote_caps = Private[aiortc.RTCSctpCapabilities](_PC, "__sctpRemoteCaps")
    sctp_remote_port = Private[int](_PC, "__sctpRemotePort")
    # Ours, whose class stands above this module.
    transceivers = Private[list[Any]](_PC, "__transceivers")
    close_task = Private[asyncio.Future[None] | None](_PC, "__closeTask")
    closed_future = Private[asyncio.Future[bool] | None](_PC, "__isClosed")
    signaling_state = Private[str](_PC, "__signalingState")
    connection_state = Private[str](_PC, "__connectionState")
    ice_connection_state = Private[str](_PC, "__iceConnectionState")
    ice_gathering_state = Private[str](_PC, "__iceGatheringState")
    current_local = Private[SessionDescription | None](_PC, "__currentLocalDescription")
    current_remote = Private[SessionDescription | None](_PC, "__currentRemoteDescription")
    pending_local = Private[SessionDescription | None](_PC, "__pendingLocalDescription")
    pending_remote = Private[SessionDescription | None](_PC, "__pendingRemoteDescription")

    # What a subclass overrides.

    async def connect_transports(self) -> None:
        """Connect what the descriptions call for."""

    def create_dtls_transport(self) -> aiortc.RTCDtlsTransport:
        """Return a transport for a new transceiver or the SCTP transport."""
        raise NotImplementedError

    def create_sctp_transport(self, transport: aiortc.RTCDtlsTransport) -> aiortc.RTCSctpTransport:
        """Return an SCTP transport that rides on a DTLS transport."""
        raise NotImplementedError

    def create_transceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        """Make a transceiver and add it to the set."""
        raise NotImplementedError

    async def gather_candidates(self) -> None:
        """Gather the candidates of all transports."""
        raise NotImplementedError

    def enter_signaling_state(self, state: str) -> None:
        """Act on aiortc's wish to change the signaling state."""
        raise NotImplementedError

    def update_connection_state(self) -> None:
        """Compute connectionState anew."""
        raise NotImplementedError

    def update_ice_connection_state(self) -> None:
        """Compute iceConnectionState anew."""
        raise NotImplementedError

    def update_ice_gathering_state(self) -> None:
        """Compute iceGatheringState anew."""
        raise NotImplementedError

    # What a subclass calls.

    def local_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpSendParameters:
        """Return the parameters of what is negotiated to be sent."""
        parameters: RTCRtpSendParameters = self._RTCPeerConnection__localRtp(transceiver)  # type: ignore[attr-defined]
        return parameters

    def remote_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpReceiveParameters:
        """Return the parameters of what is negotiated to be received."""
        parameters: RTCRtpReceiveParameters = self._RTCPeerConnection__remoteRtp(transceiver)  # type: ignore[attr-defined]
        return parameters

    # What aiortc calls.

    async def _RTCPeerConnection__connect(self) -> None:
        await self.connect_transports()

    def _RTCPeerConnection__createDtlsTransport(self) -> aiortc.RTCDtlsTransport:
        return self.create_dtls_transport()

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        super()._RTCPeerConnection__createSctpTransport()  # type: ignore[misc]
        theirs = self.sctp_transport
        assert theirs is not None
        self.sctp_transport = self.create_sctp_transport(theirs.transport)
        self.sctp_transport._bundled = theirs._bundled

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        return self.create_transceiver(direction, kind, sender_track)

    async def _RTCPeerConnection__gather(self) -> None:
        await self.gather_candidates()

    def _RTCPeerConnection__setSignalingState(self, state: str) -> None:
        self.enter_signaling_state(state)

    def _RTCPeerConnection__updateConnectionState(self) -> None:
        self.update_connection_state()

    def _RTCPeerConnection__updateIceConnectionState(self) -> None:
        self.update_ice_connection_state()

    def _RTCPeerConnection__updateIceGatheringState(self) -> None:
        self.update_ice_gathering_state()


_TRANSCEIVER = rtcrtptransceiver.RTCRtpTransceiver
_CURRENT_DIRECTION = require(_TRANSCEIVER, "__currentDirection")

# What negotiation changes in aiortc's objects, so what a rollback restores.
NEGOTIATED_STATE: Final[dict[type, tuple[str, ...]]] = {
    as_defined(owner): tuple(require(owner, name) for name in names)
    for owner, names in {
        _PC: (
            "__transceivers",
            "__sctp",
            "__sctp_mline_index",
            "__sctpRemoteCaps",
            "__sctpRemotePort",
            "_sctpLegacySdp",
            "__remoteDtls",
            "__remoteIce",
            "__dtlsTransports",
            "__iceTransports",
            "__currentLocalDescription",
            "__currentRemoteDescription",
            "__pendingLocalDescription",
            "__pendingRemoteDescription",
        ),
        _TRANSCEIVER: (
            "__currentDirection",
            "__mid",
            "__mline_index",
            "_bundled",
            "_codecs",
            "_headerExtensions",
            "_offerDirection",
        ),
        rtcrtpsender.RTCRtpSender: ("__transport", "_enabled"),
        rtcrtpreceiver.RTCRtpReceiver: ("__transport", "_enabled"),
        rtcsctptransport.RTCSctpTransport: ("__transport", "_bundled", "mid"),
        rtcdtlstransport.RTCDtlsTransport: ("_role",),
        rtcicetransport.RTCIceTransport: ("_role_set",),
    }.items()
}

for _method in ("_get_mline_index", "_set_mline_index", "_set_mid"):
    require(_TRANSCEIVER, _method)


def mline_index(transceiver: aiortc.RTCRtpTransceiver) -> int | None:
    """Return the place of a transceiver's media section."""
    return transceiver._get_mline_index()


def set_mline_index(transceiver: aiortc.RTCRtpTransceiver, index: int | None) -> None:
    """Set the place of a transceiver's media section, or None for none."""
    transceiver._set_mline_index(index)  # type: ignore[arg-type]


def dissociate(transceiver: aiortc.RTCRtpTransceiver) -> None:
    """Associate a transceiver with no media section any more."""
    set_mid(transceiver, None)
    set_mline_index(transceiver, None)


def set_mid(transceiver: aiortc.RTCRtpTransceiver, mid: str | None) -> None:
    """Associate a transceiver with a media section."""
    transceiver._set_mid(mid)  # type: ignore[arg-type]


def mark_bundled(
    user: aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport, *, bundled: bool
) -> None:
    """Tell aiortc if a transceiver or SCTP rides on the BUNDLE group's transport already."""
    user._bundled = bundled


require(rtcpeerconnection, "find_common_codecs")


def has_common_codec(media: MediaDescription) -> bool:
    """Say if a media section has a codec that aiortc knows, too."""
    known = CODECS[media.kind]
    return bool(rtcpeerconnection.find_common_codecs(known, media.rtp.codecs))


@contextmanager
def kept_codecs(transceivers: list[aiortc.RTCRtpTransceiver]) -> Iterator[None]:
    """Undo what createOffer() does to live transceivers: it writes all that aiortc can do there."""
    before = [(t, t._codecs, t._headerExtensions) for t in transceivers]
    try:
        yield
    finally:
        for transceiver, codecs, extensions in before:
            transceiver._codecs, transceiver._headerExtensions = codecs, extensions


# Media and data, and how they get over an outage.
