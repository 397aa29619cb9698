"""The private names of aiortc's peer connection, and of what it negotiates."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

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

from .names import OfViewed, as_defined, require

__all__ = [
    "NEGOTIATED_STATE",
    "ConnectionView",
    "HookedPeerConnection",
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


class Hooks(Protocol):
    """What is done in place of aiortc's private methods."""

    def create_dtls_transport(self) -> aiortc.RTCDtlsTransport:
        """Return a transport for a new transceiver or the SCTP transport."""

    def create_sctp_transport(self) -> None:
        """Create the SCTP transport."""

    def create_transceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        """Make a transceiver and add it to the set."""

    async def gather_candidates(self) -> None:
        """Gather the candidates of all transports."""

    def enter_signaling_state(self, state: str) -> None:
        """Act on aiortc's wish to change the signaling state."""

    def update_connection_state(self) -> None:
        """Compute connectionState."""

    def update_ice_connection_state(self) -> None:
        """Compute iceConnectionState."""

    def update_ice_gathering_state(self) -> None:
        """Compute iceGatheringState."""


class HookedPeerConnection(rtcpeerconnection.RTCPeerConnection):
    """aiortc's connection, whose private methods hand over to `_core`.

    `_core` is the only attribute that it adds, so that a program's subclass can have any other.
    """

    _core: Hooks

    async def _RTCPeerConnection__connect(self) -> None:
        """Leave it to the Connector to start DTLS, RTP and SCTP."""

    def _RTCPeerConnection__createDtlsTransport(self) -> aiortc.RTCDtlsTransport:
        return self._core.create_dtls_transport()

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        self._core.create_sctp_transport()

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        return self._core.create_transceiver(direction, kind, sender_track)

    async def _RTCPeerConnection__gather(self) -> None:
        await self._core.gather_candidates()

    def _RTCPeerConnection__setSignalingState(self, state: str) -> None:
        self._core.enter_signaling_state(state)

    def _RTCPeerConnection__updateConnectionState(self) -> None:
        self._core.update_connection_state()

    def _RTCPeerConnection__updateIceConnectionState(self) -> None:
        self._core.update_ice_connection_state()

    def _RTCPeerConnection__updateIceGatheringState(self) -> None:
        self._core.update_ice_gathering_state()


class ConnectionView:
    """The private attributes and methods of one of aiortc's connections, under names of ours.

    Attributes:
        viewed: The connection, which is the program's object.
    """

    certificates = OfViewed[list[aiortc.RTCCertificate]](_PC, "__certificates")
    configuration = OfViewed[aiortc.RTCConfiguration](_PC, "__configuration")
    dtls_transports = OfViewed[set[aiortc.RTCDtlsTransport]](_PC, "__dtlsTransports")
    ice_transports = OfViewed[set[aiortc.RTCIceTransport]](_PC, "__iceTransports")
    remote_dtls = OfViewed[dict[object, RTCDtlsParameters]](_PC, "__remoteDtls")
    remote_ice = OfViewed[dict[object, aiortc.RTCIceParameters]](_PC, "__remoteIce")
    seen_mids = OfViewed[set[str]](_PC, "__seenMids")
    stream_id = OfViewed[str](_PC, "__stream_id")
    sctp_transport = OfViewed[aiortc.RTCSctpTransport | None](_PC, "__sctp")
    sctp_mline_index = OfViewed[int | None](_PC, "__sctp_mline_index")
    sctp_remote_caps = OfViewed[aiortc.RTCSctpCapabilities](_PC, "__sctpRemoteCaps")
    sctp_remote_port = OfViewed[int](_PC, "__sctpRemotePort")
    # Ours, whose class stands above this module.
    transceivers = OfViewed[list[Any]](_PC, "__transceivers")
    close_task = OfViewed[asyncio.Future[None] | None](_PC, "__closeTask")
    closed_future = OfViewed[asyncio.Future[bool] | None](_PC, "__isClosed")
    signaling_state = OfViewed[str](_PC, "__signalingState")
    connection_state = OfViewed[str](_PC, "__connectionState")
    ice_connection_state = OfViewed[str](_PC, "__iceConnectionState")
    ice_gathering_state = OfViewed[str](_PC, "__iceGatheringState")
    current_local = OfViewed[SessionDescription | None](_PC, "__currentLocalDescription")
    current_remote = OfViewed[SessionDescription | None](_PC, "__currentRemoteDescription")
    pending_local = OfViewed[SessionDescription | None](_PC, "__pendingLocalDescription")
    pending_remote = OfViewed[SessionDescription | None](_PC, "__pendingRemoteDescription")

    def __init__(self, pc: HookedPeerConnection) -> None:
        self.viewed = pc

    @property
    def base(self) -> rtcpeerconnection.RTCPeerConnection:
        """The connection with aiortc's own methods, which neither we nor the program override."""
        return cast("rtcpeerconnection.RTCPeerConnection", super(HookedPeerConnection, self.viewed))

    def emit(self, event: str, *args: object) -> None:
        """Fire an event of the connection."""
        self.viewed.emit(event, *args)

    def place_sctp(
        self, make: Callable[[aiortc.RTCDtlsTransport], aiortc.RTCSctpTransport]
    ) -> None:
        """Let aiortc choose the transport for SCTP, and put another SCTP in place of its own."""
        self.base._RTCPeerConnection__createSctpTransport()  # type: ignore[attr-defined]
        theirs = self.sctp_transport
        assert theirs is not None
        self.sctp_transport = make(theirs.transport)
        self.sctp_transport._bundled = theirs._bundled

    def local_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpSendParameters:
        """Return the parameters of what is negotiated to be sent."""
        parameters: RTCRtpSendParameters = self.viewed._RTCPeerConnection__localRtp(transceiver)  # type: ignore[attr-defined]
        return parameters

    def remote_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpReceiveParameters:
        """Return the parameters of what is negotiated to be received."""
        parameters: RTCRtpReceiveParameters = self.viewed._RTCPeerConnection__remoteRtp(transceiver)  # type: ignore[attr-defined]
        return parameters


_TRANSCEIVER = rtcrtptransceiver.RTCRtpTransceiver
_PREFERRED_CODECS = require(_TRANSCEIVER, "_preferred_codecs")
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


for _function in ("find_common_codecs", "filter_preferred_codecs"):
    require(rtcpeerconnection, _function)


def has_common_codec(
    media: MediaDescription, transceiver: aiortc.RTCRtpTransceiver | None = None
) -> bool:
    """Say if a media section has a codec that aiortc knows, too, and that a transceiver prefers."""
    common = rtcpeerconnection.find_common_codecs(CODECS[media.kind], media.rtp.codecs)
    if transceiver is not None:
        preferred = transceiver._preferred_codecs
        common = rtcpeerconnection.filter_preferred_codecs(common, preferred)
    return bool(common)


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
