"""RTCRtpSender: aiortc's, with streams, which encodes nothing while it has no path."""

import asyncio
import copy
import logging
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import aiortc
from aiortc import InvalidStateError, RTCRtpParameters, RTCStatsReport
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCapabilities
from aiortc.rtcrtpparameters import RTCRtpSendParameters as NegotiatedParameters

from ..ice.transport import RTCIceTransport
from ..logs import ObjectLogger, next_number
from ..seam import AiortcRtpSender, SenderView, send_keyframe
from ..transports.stats import transport_report
from .limited_encoder import NO_LIMITS, LimitedEncoder, Limits
from .owner import Done, Owner
from .parameters import (
    RTCRtcpParameters,
    RTCRtpEncodingParameters,
    RTCRtpSendParameters,
    check_modification,
    common_parameters,
    usable_encodings,
    with_limits,
)
from .stats import sender_statistics
from .streams import MediaStream, check_track, stream_ids

if TYPE_CHECKING:
    from aiortc.codecs.base import Encoder
    from aiortc.rtcrtpsender import RTCEncodedFrame

    from .transceiver import RTCRtpTransceiver

__all__ = ["RTCRtpSender"]

logger = logging.getLogger(__name__)

# The most packets that are sent on a path that seems to be lost.
VOID_LIMIT: Final = 1 << 14
PAUSE: Final = 0.02


class SenderCore(SenderView):
    """The state behind an RTCRtpSender.

    Attributes:
        transceiver: The transceiver, or None for a sender that a program has made by itself.
        stream_ids: The ids of the streams that the track is announced in.
        encodings: How the track is encoded.
        negotiated: What is negotiated to be sent.
        last_returned: What getParameters() returned last, until something changes.
        frames_encoded: How many frames were encoded, each of which is sent at once.
    """

    transceiver: "RTCRtpTransceiver | None" = None

    def __init__(self, sender: "RTCRtpSender", label: str | None) -> None:
        super().__init__(sender, ObjectLogger(logger, f"RTCRtpSender({label or next_number()})"))
        self.stream_ids: tuple[str, ...] = ()
        self.encodings = usable_encodings("")
        self.limits = NO_LIMITS
        self.negotiated = RTCRtpParameters()
        self.last_returned: RTCRtpSendParameters | None = None
        self.frames_encoded = 0
        self._sent_in_vain = 0
        self._holding = False

    def encode_as(self, encodings: list[RTCRtpEncodingParameters]) -> None:
        """Encode the track in another way from the next frame on."""
        self.encodings = encodings
        (only,) = encodings
        self.limits = Limits(only.maxBitrate, only.maxFramerate, only.scaleResolutionDownBy or 1.0)
        encoder = self.encoder
        if isinstance(encoder, LimitedEncoder):
            encoder.limits = self.limits
        elif encoder is not None and self.limits != NO_LIMITS:
            self.encoder = LimitedEncoder(encoder, self.limits)

    def make_encoder(self, codec: aiortc.RTCRtpCodecParameters) -> "Encoder | None":
        """Return the encoder to use, with the limits if there are some, or None for aiortc's."""
        encoder = super().make_encoder(codec)
        if self.limits == NO_LIMITS:
            return encoder
        return LimitedEncoder(encoder or get_encoder(codec), self.limits)

    def join(self, transceiver: "RTCRtpTransceiver", cname: str) -> None:
        """Note the transceiver, which is made after its sender, and the name of the connection."""
        self.transceiver = transceiver
        self.negotiated.rtcp = RTCRtcpParameters(cname=cname)

    def note_negotiated(self, parameters: RTCRtpParameters) -> None:
        """Note what is negotiated to be sent."""
        self.negotiated = common_parameters(parameters)
        self.last_returned = None

    def set_streams(self, ids: tuple[str, ...]) -> None:
        """Announce the track in other streams from the next description on."""
        self.stream_ids = ids

    @property
    def is_negotiated(self) -> bool:
        """Whether something is negotiated to be sent; a program's own sender may just send."""
        core = None if self.transceiver is None else self.transceiver._core
        return core is None or (bool(self.negotiated.codecs) and core.is_sending)

    def owner(self, name: str) -> Owner:
        """Return the connection, for a call of that name.

        Raises:
            InvalidStateError: The connection is closed, or there is none.
            RuntimeError: This is not the thread of the connection's event loop.
        """
        if self.transceiver is None:
            raise InvalidStateError("RTCRtpSender belongs to no RTCPeerConnection")
        return self.transceiver._core.owner_for(name)

    def raise_if_stopped(self) -> None:
        """Raise InvalidStateError if the transceiver is stopped."""
        if self.transceiver is not None:
            self.transceiver._core.raise_if_stopped()

    async def replace_track(self, track: aiortc.MediaStreamTrack | None) -> None:
        """Set the track, as an operation of the connection."""
        self.raise_if_stopped()
        self.set_track(track)

    async def next_frame(self, codec: aiortc.RTCRtpCodecParameters) -> "RTCEncodedFrame | None":
        """Return the next frame, or None to skip the next one of the track."""
        if not self._has_path() or not self.encodings[0].active:
            self._holding = True
            await self._skip_frame()
            return None
        if self._holding:
            self._holding = False
            send_keyframe(self.viewed)
        frame = await self.encode_frame(codec)
        if frame is not None:
            self._sent_in_vain += len(frame.payloads)
            self.frames_encoded += 1
        return frame

    def _has_path(self) -> bool:
        """Return whether to send: not without a path, nor too much on one that seems to be lost.

        The receiver counts how often the 16 bits of the sequence number wrap around, which goes
        wrong when it misses 2^15 packets. (RFC 3711 section 3.3.1)
        """
        ice = self.viewed.transport.transport
        if not isinstance(ice, RTCIceTransport):
            return True  # aiortc's, made by a program: it ends when its path does
        if not ice._core.path_lost:
            self._sent_in_vain = 0
        return ice._core.sendable and self._sent_in_vain < VOID_LIMIT

    async def _skip_frame(self) -> None:
        if (track := self.viewed.track) is None:
            await asyncio.sleep(PAUSE)
        else:
            await track.recv()


class RTCRtpSender(AiortcRtpSender):
    """aiortc's sender, with streams.

    Without a path it keeps reading its track, but encodes nothing.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpsender-interface
    """

    _core: SenderCore

    def __init__(
        self,
        trackOrKind: aiortc.MediaStreamTrack | str,
        transport: aiortc.RTCDtlsTransport,
        *,
        label: str | None = None,
    ) -> None:
        # First, because aiortc's constructor calls replaceTrack().
        self._core = SenderCore(self, label)
        super().__init__(trackOrKind, transport)
        self._core.encodings = usable_encodings(self.kind)

    @classmethod
    def getCapabilities(cls, kind: str) -> RTCRtpCapabilities:
        """Return the codecs that can be sent, as a copy.

        Args:
            kind: `"audio"` or `"video"`.

        Raises:
            ValueError: The kind is neither of these.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-getcapabilities
        """
        return copy.deepcopy(super().getCapabilities(kind))

    async def getStats(self) -> RTCStatsReport:
        """Return statistics of what is sent, of its codec and track, and of the transport.

        There are no statistics of what is sent before the negotiation, or after the transceiver
        has stopped.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-getstats
        """
        core, report = self._core, await super().getStats()
        complete = transport_report(self.transport)
        if core.is_negotiated:
            for stats in sender_statistics(
                report,
                core.negotiated,
                self.track,
                active=core.encodings[0].active,
                frames=core.frames_encoded,
            ):
                complete.add(stats)
        return complete

    def setStreams(self, *streams: MediaStream | str) -> None:
        """Announce the track in other streams, from the next offer or answer on.

        Args:
            streams: The streams, or their ids; none of them to announce no stream.

        Raises:
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setstreams
        """
        owner = self._core.owner("setStreams()")
        self._core.set_streams(stream_ids(streams))
        owner.update_negotiation_needed_flag()

    def replaceTrack(self, track: aiortc.MediaStreamTrack | None) -> Awaitable[None]:  # type: ignore[override]
        """Send another track, or none, without negotiation.

        The track is replaced when this returns, as in aiortc, or after the operations of the
        connection that are under way.

        Args:
            track: A track of the same kind; None to send nothing.

        Returns:
            An awaitable, which is done when the track is replaced.

        Raises:
            InvalidStateError: The transceiver is stopped, or the connection is closed.
            TypeError: It is a track of another kind, or not a track.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-replacetrack
        """
        core = self._core
        if track is not None:
            check_track(track)
        if core.transceiver is None:
            core.set_track(track)
            return Done()
        owner = core.owner("replaceTrack()")
        if track is not None and track.kind != self.kind:
            raise TypeError(f"A track of kind {track.kind} can't replace one of kind {self.kind}")
        core.raise_if_stopped()
        if owner.operations.empty:
            core.set_track(track)
            return Done()
        return owner.in_background(owner.operations.run(lambda: core.replace_track(track)))

    def getParameters(self) -> RTCRtpSendParameters:
        """Return the parameters. Change their `encodings` and pass them to setParameters().

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-getparameters
        """
        core = self._core
        if core.last_returned is None:
            core.last_returned = RTCRtpSendParameters(
                **vars(copy.deepcopy(core.negotiated)),
                transactionId=str(uuid.uuid4()),
                encodings=copy.deepcopy(core.encodings),
            )
        return copy.deepcopy(core.last_returned)

    async def setParameters(self, parameters: RTCRtpSendParameters) -> None:
        """Change how the track is sent, without negotiation.

        Args:
            parameters: The result of getParameters(), with changes in `encodings` only.

        Raises:
            InvalidStateError: getParameters() wasn't called since the last change, or the
                transceiver is stopped.
            InvalidModificationError: Another field than the attributes of `encodings` differs.
            RangeError: A limit of the encoding is out of its range.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setparameters
        """
        core = self._core
        if core.transceiver is not None:
            core.owner("setParameters()")
            core.raise_if_stopped()
        if core.last_returned is None:
            raise InvalidStateError("getParameters() must be called before setParameters()")
        encodings = [with_limits(self.kind, encoding) for encoding in parameters.encodings]
        check_modification(core.last_returned, parameters)
        # The parameters may be set again until the event loop goes on.
        await asyncio.sleep(0)
        core.last_returned = None
        core.encode_as(encodings)

    async def send(self, parameters: NegotiatedParameters) -> None:
        """Begin to send what is negotiated; a connection calls it.

        Args:
            parameters: The negotiated codecs and header extensions.
        """
        if self._core.transceiver is None:
            self._core.note_negotiated(parameters)
        await super().send(parameters)
