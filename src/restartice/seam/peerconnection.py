"""The private names of aiortc's peer connection, and of its negotiation."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
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
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcdtlstransport import RTCDtlsParameters
from aiortc.rtcrtpparameters import (
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import DYNAMIC_PAYLOAD_TYPES
from aiortc.sdp import MediaDescription, SessionDescription

from .h264 import as_offered, readable
from .names import OfViewed, as_defined, require
from .routing import ReceiveParameters

__all__ = [
    "NEGOTIATED_STATE",
    "ConnectionView",
    "HookedPeerConnection",
    "Hooks",
    "add_header_extensions",
    "codecs_of_aiortc",
    "describe_numbers",
    "describe_own_repeating",
    "describe_suspended",
    "describe_unusual",
    "dissociate",
    "has_common_codec",
    "is_suspended",
    "kept_codecs",
    "mark_bundled",
    "mline_index",
    "set_current_direction",
    "set_mid",
    "set_mline_index",
]

_PC = rtcpeerconnection.RTCPeerConnection
# What is negotiated for each transceiver.
Codecs = dict[object, list[aiortc.RTCRtpCodecParameters]]

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


@dataclass(frozen=True)
class Hooks:
    """Replacements for aiortc's private methods of these names."""

    create_dtls_transport: Callable[[], aiortc.RTCDtlsTransport]
    create_sctp_transport: Callable[[], None]
    create_transceiver: Callable[..., aiortc.RTCRtpTransceiver]
    gather: Callable[[], Awaitable[None]]
    set_signaling_state: Callable[[str], None]
    update_connection_state: Callable[[], None]
    update_ice_connection_state: Callable[[], None]
    update_ice_gathering_state: Callable[[], None]


class Hooked(Protocol):
    """An object that has hooks."""

    @property
    def hooks(self) -> Hooks:
        """The replacements for aiortc's private methods."""


class HookedPeerConnection(rtcpeerconnection.RTCPeerConnection):
    """aiortc's connection, whose private methods hand over to `_core`.

    `_core` is the only attribute that it adds, so that a program's subclass can have any other.
    """

    _core: Hooked

    async def _RTCPeerConnection__connect(self) -> None:
        """Leave it to the Connector to start DTLS, RTP and SCTP."""

    def _RTCPeerConnection__createDtlsTransport(self) -> aiortc.RTCDtlsTransport:
        return self._core.hooks.create_dtls_transport()

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        self._core.hooks.create_sctp_transport()

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        return self._core.hooks.create_transceiver(direction, kind, sender_track)

    async def _RTCPeerConnection__gather(self) -> None:
        await self._core.hooks.gather()

    def _RTCPeerConnection__setSignalingState(self, state: str) -> None:
        self._core.hooks.set_signaling_state(state)

    def _RTCPeerConnection__updateConnectionState(self) -> None:
        self._core.hooks.update_connection_state()

    def _RTCPeerConnection__updateIceConnectionState(self) -> None:
        self._core.hooks.update_ice_connection_state()

    def _RTCPeerConnection__updateIceGatheringState(self) -> None:
        self._core.hooks.update_ice_gathering_state()


class ConnectionView:
    """The private attributes and methods of one of aiortc's connections, under names of ours.

    Attributes:
        viewed: The connection, which is the program's object.
        observers: Functions that are told of calls and events, see `observation.Observer`.
    """

    cname = OfViewed[str](_PC, "__cname")
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
        self.observers: list[Callable[[str, str, Any], None]] = []

    @property
    def base(self) -> rtcpeerconnection.RTCPeerConnection:
        """The connection with aiortc's own methods, which neither we nor the program override."""
        return cast("rtcpeerconnection.RTCPeerConnection", super(HookedPeerConnection, self.viewed))

    def emit(self, event: str, *args: object) -> None:
        """Fire an event of the connection."""
        self.tell("event", event, args)
        self.viewed.emit(event, *args)

    def tell(self, what: str, name: str, value: Any) -> None:
        """Tell the observers of a call, of its result or error, or of an event."""
        for observer in tuple(self.observers):
            observer(what, name, value)

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
        described = self.pending_remote or self.current_remote
        index = mline_index(transceiver)
        assert described is not None
        assert index is not None
        media = described.media[index]
        if (encodings := _encodings(media)) is not None:
            parameters.encodings = encodings
        return ReceiveParameters(**vars(parameters), rids=tuple(getattr(media, "rids", ())))


def _encodings(media: MediaDescription) -> list[RTCRtpDecodingParameters] | None:
    """Return the sources of a section, if groups tell what each is for.

    aiortc knows those that repeat packets by their number, two sources in all, and so takes neither
    a simulcast nor one with forward error correction. (RFC 5576 section 4.2)
    """
    groups = [group.items for group in media.ssrc_group if len(group.items) > 1]
    repeaters = {
        group.items[0]: RTCRtpRtxParameters(ssrc=int(group.items[1]))
        for group in media.ssrc_group
        if group.semantic == "FID" and len(group.items) > 1
    }
    simulcast = {ssrc for g in media.ssrc_group if g.semantic == "SIM" for ssrc in g.items}
    if not groups:
        return None
    helping = {ssrc for items in groups for ssrc in items[1:]} - simulcast
    return [
        RTCRtpDecodingParameters(source.ssrc, 0, repeaters.get(source.ssrc))
        for source in media.ssrc
        if source.ssrc not in helping
    ]


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

for _method in ("_get_mline_index", "_set_mline_index", "_set_mid", "_setCurrentDirection"):
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


def set_current_direction(transceiver: aiortc.RTCRtpTransceiver, direction: str) -> None:
    """Set the negotiated direction of a transceiver."""
    transceiver._setCurrentDirection(direction)


def mark_bundled(
    user: aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport, *, bundled: bool
) -> None:
    """Set whether a transceiver or SCTP uses the transport of the BUNDLE group."""
    user._bundled = bundled


for _function in ("is_codec_compatible", "filter_preferred_codecs", "find_common_codecs"):
    require(rtcpeerconnection, _function)


def has_common_codec(
    kind: str,
    codecs: list[aiortc.RTCRtpCodecParameters],
    transceiver: aiortc.RTCRtpTransceiver | None = None,
) -> bool:
    """Return whether aiortc and a transceiver support one of the codecs of a media section."""
    preferred = [] if transceiver is None else transceiver._preferred_codecs

    def is_common(codec: aiortc.RTCRtpCodecParameters) -> bool:
        # aiortc's find_common_codecs() makes a deep copy of each.
        alike = (c for c in CODECS[kind] if rtcpeerconnection.is_codec_compatible(c, codec))
        common = [*islice(alike, 1)]
        return bool(rtcpeerconnection.filter_preferred_codecs(common, preferred))

    return any(is_common(codec) for codec in codecs if not is_rtx(codec))


def add_header_extensions(
    transceiver: aiortc.RTCRtpTransceiver, extensions: Iterable[RTCRtpHeaderExtensionParameters]
) -> None:
    """Let an answer have header extensions that are offered, and that aiortc reads, too."""
    known = {extension.uri for extension in transceiver._headerExtensions}
    more = [extension for extension in extensions if extension.uri not in known]
    transceiver._headerExtensions = [*transceiver._headerExtensions, *more]


def describe_numbers(
    transceiver: aiortc.RTCRtpTransceiver, codecs: list[aiortc.RTCRtpCodecParameters]
) -> None:
    """Let the codecs have the payload types of the other side below 96, too, such as 35 to 63.

    aiortc takes over only those from 96 on, and has numbers of its own for the others.

    Args:
        transceiver: The transceiver, for which aiortc has found the common codecs.
        codecs: The codecs of the other side's description, as aiortc was shown them.
    """
    known = CODECS[transceiver.kind]
    low = [codec for codec in codecs if codec.payloadType not in DYNAMIC_PAYLOAD_TYPES]
    odd = [codec for codec in low if is_rtx(codec) or _has_other_number(codec, known)]
    if not odd:
        return
    # What can't be common needs no number.
    bases = {c.payloadType for c in codecs if has_common_codec(transceiver.kind, [c])}
    codecs = [
        c for c in codecs if (c.parameters.get("apt") if is_rtx(c) else c.payloadType) in bases
    ]
    odd = [codec for codec in odd if codec in codecs]
    taken = {codec.payloadType for codec in codecs}
    free = (number for number in DYNAMIC_PAYLOAD_TYPES if number not in taken)
    stands_for: dict[int | None, int | None] = dict(
        zip(free, (codec.payloadType for codec in odd), strict=False)
    )
    shown = _renumber(codecs, {number: shown for shown, number in stands_for.items()})
    common = rtcpeerconnection.filter_preferred_codecs(
        rtcpeerconnection.find_common_codecs(known, shown), transceiver._preferred_codecs
    )
    transceiver._codecs = _renumber(common, stands_for)


def _has_other_number(
    codec: aiortc.RTCRtpCodecParameters, known: Iterable[aiortc.RTCRtpCodecParameters]
) -> bool:
    """Return whether aiortc knows a codec by another payload type."""
    alike = [c.payloadType for c in known if rtcpeerconnection.is_codec_compatible(c, codec)]
    return bool(alike) and codec.payloadType not in alike


def _renumber(
    codecs: Iterable[aiortc.RTCRtpCodecParameters], numbers: Mapping[int | None, int | None]
) -> list[aiortc.RTCRtpCodecParameters]:
    """Return codecs with other payload types, also in what says which one is repeated."""
    changed = []
    for codec in codecs:
        parameters = dict(codec.parameters)
        repeated = parameters.get("apt")
        if isinstance(repeated, int):
            parameters["apt"] = numbers.get(repeated, repeated)
        number = numbers.get(codec.payloadType, codec.payloadType)
        changed.append(replace(codec, payloadType=number, parameters=parameters))
    return changed


def describe_unusual(
    transceiver: aiortc.RTCRtpTransceiver, codecs: list[aiortc.RTCRtpCodecParameters]
) -> None:
    """Let an answer describe the H.264 of the offer, not the one that aiortc was shown."""
    transceiver._codecs = as_offered(transceiver._codecs, codecs)


def codecs_of_aiortc(kind: str) -> list[aiortc.RTCRtpCodecParameters]:
    """Return the codecs that aiortc has for a kind of media."""
    return [*CODECS[kind]]


def describe_suspended(
    transceiver: aiortc.RTCRtpTransceiver, codecs: Iterable[aiortc.RTCRtpCodecParameters]
) -> None:
    """Let an answer name a codec of the offer, though neither is anything sent nor received."""
    transceiver._codecs = [codec for codec in codecs if not is_rtx(codec)][:1]


def is_suspended(codecs: list[aiortc.RTCRtpCodecParameters], kind: str) -> bool:
    """Return whether the codecs that are negotiated for a section are none that aiortc has."""
    return bool(codecs) and not has_common_codec(kind, readable(codecs))


def describe_own_repeating(transceiver: aiortc.RTCRtpTransceiver) -> None:
    """Let an answer say of repeated packets what holds here: aiortc repeats what is offered."""
    for codec in filter(is_rtx, transceiver._codecs):
        codec.rtcpFeedback = []
        codec.parameters = {"apt": codec.parameters["apt"]}


@contextmanager
def kept_codecs(transceivers: list[aiortc.RTCRtpTransceiver]) -> Iterator[Codecs]:
    """Undo what createOffer() does to live transceivers: it writes all that aiortc can do there.

    Yields:
        The codecs that are negotiated for each transceiver.
    """
    before = [(t, t._codecs, t._headerExtensions) for t in transceivers]
    try:
        yield {transceiver: codecs for transceiver, codecs, _ in before}
    finally:
        for transceiver, codecs, extensions in before:
            transceiver._codecs, transceiver._headerExtensions = codecs, extensions
