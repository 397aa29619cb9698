"""RTCRtpReceiver: aiortc's, whose track is there from the start and can be muted."""

import asyncio
import copy
import logging
from typing import TYPE_CHECKING

import aiortc
from aiortc import RTCRtpParameters, RTCStatsReport
from aiortc.rtcrtpparameters import RTCRtpCapabilities, RTCRtpReceiveParameters

from ..logs import ObjectLogger, next_number
from ..seam import AiortcRtpReceiver, ReceiverView, is_new_video_buffer, set_track_id
from ..settings import IceSettings, or_default
from ..transports.stats import transport_report
from .heard import RTCRtpContributingSource, RTCRtpSynchronizationSource
from .jitterbuffer import JitterBuffer
from .parameters import common_parameters
from .stats import receiver_statistics
from .tracks import RemoteTrack, set_muted_state

if TYPE_CHECKING:
    from aiortc.jitterbuffer import JitterBuffer as AnyJitterBuffer

__all__ = ["RTCRtpReceiver"]

logger = logging.getLogger(__name__)


class ReceiverCore(ReceiverView):
    """The state behind an RTCRtpReceiver.

    Attributes:
        track: The track that is received.
        receptive: Whether the remote side may send, by what is negotiated.
        negotiated: What is negotiated to be received.
        named: Whether a description has told of the track, with its id or without.
        stopped: Whether the transceiver is stopped.
    """

    def __init__(
        self, receiver: "RTCRtpReceiver", kind: str, settings: IceSettings, label: str | None
    ) -> None:
        super().__init__(
            receiver, ObjectLogger(logger, f"RTCRtpReceiver({label or next_number()})")
        )
        self._patience = settings.video_patience
        self.track = RemoteTrack(kind, receiver)
        self.receptive = False
        self.negotiated = RTCRtpParameters()
        self.named = False
        self.stopped = False

    def choose_jitter_buffer(self, buffer: "AnyJitterBuffer") -> "AnyJitterBuffer":
        """Return one as large that doesn't wait for what will not come, if it is for video."""
        if is_new_video_buffer(buffer):
            return JitterBuffer(buffer.capacity, self._patience)
        return buffer

    def note_negotiated(self, parameters: RTCRtpParameters) -> None:
        """Note what is negotiated to be received."""
        self.negotiated = common_parameters(parameters)
        # "rtcp.cname is left out."
        self.negotiated.rtcp.cname = None

    def name_track(self, track_id: str | None) -> None:
        """Give the track the id of the remote side's first description of it, as aiortc does."""
        self.named = True
        if track_id is not None:
            set_track_id(self.track, track_id)

    def expect_media(self) -> None:
        """Unmute the track when media comes."""
        self.receptive = True
        if self.track.muted:
            loop = asyncio.get_running_loop()
            self.call_at_next_packet(lambda: loop.call_soon(self._media_comes))

    def end(self) -> None:
        """Leave the track muted for ever, and tell no more statistics of what came."""
        self.receptive = False
        self.stopped = True

    def expect_no_media(self) -> None:
        """Leave the track muted, if it is, even when media comes."""
        self.receptive = False

    def _media_comes(self) -> None:
        if self.receptive:
            set_muted_state(self.track, muted=False)

    def source_left(self) -> None:
        """Mute the track until media comes again.

        In aiortc the track ends. But libwebrtc says goodbye for its sources when a negotiation
        makes it rebuild their streams, which then go on.

        Spec: https://w3c.github.io/webrtc-pc/#mediastreamtrack-network-use
        """
        if self.receptive:
            set_muted_state(self.track, muted=True)
            self.expect_media()


class RTCRtpReceiver(AiortcRtpReceiver):
    """aiortc's receiver, which doesn't wait for packets that got lost in an outage.

    Args:
        kind: `"audio"` or `"video"`.
        transport: The DTLS transport.
        settings: The settings of the connection; `video_patience` is how long to wait for a packet.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpreceiver-interface
    """

    _core: ReceiverCore

    def __init__(
        self,
        kind: str,
        transport: aiortc.RTCDtlsTransport,
        settings: IceSettings | None = None,
        *,
        label: str | None = None,
    ) -> None:
        # First, because aiortc's constructor makes the jitter buffer.
        self._core = ReceiverCore(self, kind, or_default(settings, IceSettings), label)
        super().__init__(kind, transport)

    @classmethod
    def getCapabilities(cls, kind: str) -> RTCRtpCapabilities | None:
        """Return the codecs that can be received, as a copy.

        Args:
            kind: `"audio"` or `"video"`.

        Raises:
            ValueError: The kind is neither of these.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpreceiver-getcapabilities
        """
        return copy.deepcopy(super().getCapabilities(kind))

    def getParameters(self) -> RTCRtpParameters:
        """Return what is negotiated to be received.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpreceiver-getparameters
        """
        return copy.deepcopy(self._core.negotiated)

    def getContributingSources(self) -> list[RTCRtpContributingSource]:
        """Return the sources of the last 10 seconds that a mixer, such as an MCU, names.

        The one heard last comes first.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpreceiver-getcontributingsources
        """
        return [
            RTCRtpContributingSource(heard, source, timestamp)
            for source, heard, timestamp in self._core.sources.recent_contributors()
        ]

    def getSynchronizationSources(self) -> list[RTCRtpSynchronizationSource]:  # type: ignore[override]
        """Return the sources of media of the last 10 seconds; the one heard last comes first.

        Sources of repeated packets (RTX) aren't among them.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpreceiver-getsynchronizationsources
        """
        found = [
            RTCRtpSynchronizationSource(told.timestamp, told.source, timestamp)
            for told in super().getSynchronizationSources()
            if (timestamp := self._core.sources.last_timestamp(told.source)) is not None
        ]
        return sorted(found, key=lambda source: source.timestamp, reverse=True)

    async def getStats(self) -> RTCStatsReport:
        """Return statistics of each source that is received, of its codec, and of the transport.

        A stopped transceiver has no statistics of what it received. In aiortc all sources have the
        same `id`, so only the last one is reported: repeated packets in place of the video.

        Spec: https://w3c.github.io/webrtc-pc/#rtcrtpreceiver-interface
        """
        core, report = self._core, await super().getStats()
        complete = transport_report(self.transport)
        if not core.stopped:
            for stats in receiver_statistics(
                report, core.negotiated, core.track, core.statistics, core.sources.payload_types
            ):
                complete.add(stats)
        return complete

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin to receive what is negotiated; a connection calls it.

        Args:
            parameters: The negotiated codecs and encodings.
        """
        if not self._core.negotiated.codecs:
            self._core.note_negotiated(parameters)
        await super().receive(parameters)
