"""The private names of aiortc's senders, receivers and transceivers."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from queue import Queue
from typing import Any, Final

import aiortc
from aiortc import mediastreams, rtcrtpreceiver, rtcrtpsender, rtcrtptransceiver
from aiortc.codecs.base import Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpRrPacket, RtpPacket

from ..logs import ObjectLogger
from .h264 import SingleNalEncoder, is_single_nal
from .names import OfViewed, require
from .rate import sparse
from .sources import Sources

__all__ = [
    "AiortcRtpReceiver",
    "AiortcRtpSender",
    "ReceiverView",
    "RemoteStreamTrack",
    "SenderView",
    "TransceiverView",
    "end_tasks",
    "pair",
    "send_keyframe",
    "set_track_id",
]

# How long the end of a task is waited for, and after how long it is cancelled again, in seconds.
END_TIMEOUT: Final = 2.0
RETRY: Final = 0.25
# How many report blocks an RTCP packet can have. (RFC 3550 section 6.4.2)
REPORT_BLOCKS: Final = 31
# Of how many sources a receiver keeps account; and how many its estimate of the bandwidth can name.
SOURCES: Final = 512
ESTIMATED_SOURCES: Final = 255
# How many pictures are still decoded when a receiver ends.
LAST_PICTURES: Final = 32

_SENDER, _RECEIVER = rtcrtpsender.RTCRtpSender, rtcrtpreceiver.RTCRtpReceiver
_TRANSCEIVER = rtcrtptransceiver.RTCRtpTransceiver

for _name in ("_next_encoded_frame", "_send_keyframe", "_send_rtcp", "_ssrc"):
    require(_SENDER, _name)


class _Events:
    """The events of a task of aiortc's, at the start and at the end."""

    def __init__(self, owner: type, *names: str) -> None:
        self.names = [require(owner, name) for name in names]

    def __get__(self, instance: Any, owner: type) -> list[asyncio.Event]:
        return [getattr(instance.viewed, name) for name in self.names]


async def end_tasks(
    job: Coroutine[Any, Any, None],
    *tasks: asyncio.Future[None] | None,
    what: str,
    log: ObjectLogger,
) -> None:
    """Run what cancels tasks and waits for their end, but not for ever.

    They are cancelled again now and then, because what they wait in may have swallowed the first
    time, as wait_for() sometimes does until Python 3.12.
    """
    ending = asyncio.ensure_future(job)
    try:
        for _ in range(round(END_TIMEOUT / RETRY)):
            if (await asyncio.wait([ending], timeout=RETRY))[0]:
                return
            for task in filter(None, tasks):
                task.cancel()
        log.warning("gave up waiting for %s to end", what)
    finally:
        ending.cancel()


def _set_at_end(
    log: ObjectLogger, task: asyncio.Future[None] | None, *events: asyncio.Event
) -> None:
    """Let nobody wait for a task that has ended otherwise than aiortc's own do."""

    def set_events(ended: asyncio.Future[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.warning("a task of RTP has failed", exc_info=error)
        for event in events:
            event.set()

    if task is not None:
        task.add_done_callback(set_events)


class SenderView:
    """A sender of aiortc's with its private names under names of ours, and what its loop calls."""

    # What waits for the encoder.
    loop = OfViewed[asyncio.AbstractEventLoop](_SENDER, "__loop")
    rtp_task = OfViewed[asyncio.Future[None] | None](_SENDER, "__rtp_task")
    rtcp_task = OfViewed[asyncio.Future[None] | None](_SENDER, "__rtcp_task")
    rtp_events = _Events(_SENDER, "__rtp_started", "__rtp_exited")
    rtcp_events = _Events(_SENDER, "__rtcp_started", "__rtcp_exited")
    encoder = OfViewed[Encoder | None](_SENDER, "__encoder")

    def __init__(self, sender: "AiortcRtpSender", log: ObjectLogger) -> None:
        self.viewed = sender
        self.log = log

    async def next_frame(self, codec: aiortc.RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        """Return the next frame to send, or None; what a subclass overrides."""
        return await self.encode_frame(codec)

    def make_encoder(self, codec: aiortc.RTCRtpCodecParameters) -> Encoder | None:
        """Return the encoder to use, or None for aiortc's."""
        return SingleNalEncoder(self.log) if is_single_nal(codec) else None

    async def encode_frame(self, codec: aiortc.RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        """Return the next frame as aiortc does, or None if there is nothing to send."""
        if self.encoder is None:
            self.encoder = self.make_encoder(codec)
        return await super(AiortcRtpSender, self.viewed)._next_encoded_frame(codec)

    def set_track(self, track: aiortc.MediaStreamTrack | None) -> None:
        """Set the track at once."""
        super(AiortcRtpSender, self.viewed).replaceTrack(track)


class AiortcRtpSender(rtcrtpsender.RTCRtpSender):
    """aiortc's sender, whose core provides the frames, and whose end is bounded."""

    _core: SenderView

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begin to send."""
        core = self._core
        begun = core.rtp_task is not None
        # It may have been made for another event loop, or before there was one.
        core.loop = asyncio.get_running_loop()
        await super().send(parameters)
        if not begun:
            _set_at_end(core.log, core.rtp_task, *core.rtp_events)
            _set_at_end(core.log, core.rtcp_task, *core.rtcp_events)

    async def stop(self) -> None:
        """Stop sending. Waits for the track's recv() to end, but not for long."""
        core = self._core
        tasks = core.rtp_task, core.rtcp_task
        await end_tasks(super().stop(), *tasks, what=f"its track, {self.track!r}", log=core.log)

    async def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        try:
            await super()._send_rtcp(packets)
        except Exception as error:
            self._core.log.debug("a report couldn't be sent", exc_info=error)

    async def _next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        return await self._core.next_frame(codec)


def send_keyframe(sender: aiortc.RTCRtpSender) -> None:
    """Let the next picture be one that can be decoded without those before it."""
    if sender.kind == "video":
        sender._send_keyframe()


def _parts(packet: AnyRtcpPacket) -> Iterator[AnyRtcpPacket]:
    """Yield a report in as many parts as it needs, and any other packet as it is."""
    if isinstance(packet, RtcpRrPacket) and len(packet.reports) > REPORT_BLOCKS:
        for n in range(0, len(packet.reports), REPORT_BLOCKS):
            yield RtcpRrPacket(packet.ssrc, packet.reports[n : n + REPORT_BLOCKS])
    else:
        yield packet


class Recent(dict[int, Any]):
    """Forgets, when it is looked through, all but those of its values that are the latest.

    aiortc puts each source in that it hears, and never takes one out. Putting in costs no more.
    """

    def __init__(self, limit: int, age: Callable[[Any], Any]) -> None:
        super().__init__()
        self.limit = limit
        self.age = age

    def forget(self) -> None:
        """Forget those that are too many."""
        if (excess := len(self) - self.limit) > 0:
            for source in sorted(self, key=lambda source: self.age(self[source]))[:excess]:
                del self[source]

    def keys(self) -> Any:
        """Return the sources."""
        self.forget()
        return super().keys()

    def items(self) -> Any:
        """Return the sources with what is known of them."""
        self.forget()
        return super().items()


_JITTER_BUFFER = require(_RECEIVER, "__jitter_buffer")


class _JitterBufferSlot:
    """Lets the receiver choose when a jitter buffer is set; reading it costs nothing."""

    def __set__(self, receiver: "AiortcRtpReceiver", buffer: JitterBuffer) -> None:
        vars(receiver)[_JITTER_BUFFER] = receiver._core.choose_jitter_buffer(buffer)


class ReceiverView:
    """A receiver of aiortc's with its private names under names of ours, and what it asks."""

    rtcp_task = OfViewed[asyncio.Future[None] | None](_RECEIVER, "__rtcp_task")
    rtcp_events = _Events(_RECEIVER, "__rtcp_started", "__rtcp_exited")
    active_sources = OfViewed[dict[int, Any]](_RECEIVER, "__active_ssrc")
    codecs = OfViewed[dict[int | None, aiortc.RTCRtpCodecParameters]](_RECEIVER, "__codecs")
    statistics = OfViewed[dict[int, StreamStatistics]](_RECEIVER, "__remote_streams")
    estimator = OfViewed[RemoteBitrateEstimator | None](_RECEIVER, "__remote_bitrate_estimator")
    decoder_queue = OfViewed[Queue[Any]](_RECEIVER, "__decoder_queue")

    def __init__(self, receiver: "AiortcRtpReceiver", log: ObjectLogger) -> None:
        self.viewed = receiver
        self.log = log
        self.sources = Sources(receiver)

    def choose_jitter_buffer(self, buffer: JitterBuffer) -> JitterBuffer:
        """Return the jitter buffer to use in place of one that is about to be set."""
        return buffer

    def source_left(self) -> None:
        """Note an RTCP BYE, by which the other side says that a source sends no more."""

    def call_at_next_packet(self, callback: Callable[[], object]) -> None:
        """Call something, once, when an RTP packet comes; the packets after it cost nothing."""
        receiver = self.viewed

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            vars(receiver).pop("_handle_rtp_packet", None)
            callback()
            await receiver._handle_rtp_packet(packet, arrival_time_ms)

        vars(receiver)["_handle_rtp_packet"] = handle


class AiortcRtpReceiver(rtcrtpreceiver.RTCRtpReceiver):
    """aiortc's receiver; its core chooses the jitter buffer, and notes incoming packets."""

    _core: ReceiverView

    # aiortc sets it, and so do programs that want a larger one, as Pipecat does.
    _RTCRtpReceiver__jitter_buffer = _JitterBufferSlot()

    def __init__(self, kind: str, transport: aiortc.RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        core = self._core
        core.active_sources = Recent(SOURCES, lambda heard: heard)
        core.statistics = Recent(SOURCES, lambda stream: stream._last_arrival)
        if core.estimator is not None:
            core.estimator.ssrcs = Recent(ESTIMATED_SOURCES, lambda heard: heard)
            core.estimator.incoming_bitrate = sparse(core.estimator.incoming_bitrate)

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin to receive, or go on by what another description says."""
        core = self._core
        if core.rtcp_task is None:
            await super().receive(parameters)
            _set_at_end(core.log, core.rtcp_task, *core.rtcp_events)
        else:
            core.codecs.update({codec.payloadType: codec for codec in parameters.codecs})
            self.transport._register_rtp_receiver(self, parameters)

    async def stop(self) -> None:
        """Stop."""
        core = self._core
        await end_tasks(super().stop(), core.rtcp_task, what="its reports", log=core.log)

    def _RTCRtpReceiver__stop_decoder(self) -> None:
        queue = self._core.decoder_queue
        # It is waited for, and nothing else goes on meanwhile.
        while queue.qsize() > LAST_PICTURES:
            queue.get_nowait()
        super()._RTCRtpReceiver__stop_decoder()  # type: ignore[misc]

    async def _send_rtcp(self, packet: AnyRtcpPacket) -> None:
        """Send a packet, or a report of many sources as several. (RFC 3550 section 6.4.2)."""
        try:
            for part in _parts(packet):
                await super()._send_rtcp(part)
        except Exception as error:
            self._core.log.debug("a report couldn't be sent", exc_info=error)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        # It isn't handed on, because the track would end, and never come back.
        if isinstance(packet, RtcpByePacket):
            self._core.source_left()
        else:
            await super()._handle_rtcp_packet(packet)


for _name in (
    "__stop_decoder",
    "_handle_rtcp_packet",
    "_handle_rtp_packet",
    "_send_rtcp",
    "_set_rtcp_ssrc",
    "_track",
):
    require(_RECEIVER, _name)
require(StreamStatistics, "_last_arrival")


def pair(transceiver: aiortc.RTCRtpTransceiver, track: RemoteStreamTrack, *, shared: bool) -> None:
    """Connect sender and receiver of a new transceiver, and give the latter its track."""
    transceiver.receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver.receiver._track = track
    transceiver._bundled = shared


require(mediastreams.MediaStreamTrack, "_id")


def set_track_id(track: aiortc.MediaStreamTrack, track_id: str) -> None:
    """Give a track the id that the remote side gave it."""
    track._id = track_id


class TransceiverView:
    """The private attributes of one of aiortc's transceivers under names of ours."""

    wanted_direction = OfViewed[str](_TRANSCEIVER, "__direction")
    negotiated_direction = OfViewed[str | None](_TRANSCEIVER, "__currentDirection")
    codecs = OfViewed[list[aiortc.RTCRtpCodecParameters]](_TRANSCEIVER, "_codecs")

    def __init__(self, transceiver: rtcrtptransceiver.RTCRtpTransceiver) -> None:
        self.viewed = transceiver
