"""The private names of aiortc's senders, receivers, transceivers and jitter buffer."""

from collections.abc import Callable, Iterator

import aiortc
from aiortc import mediastreams, rtcrtpreceiver, rtcrtpsender, rtcrtptransceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket

from .seam import Private, require

__all__ = [
    "AiortcJitterBuffer",
    "AiortcRtpReceiver",
    "AiortcRtpSender",
    "AiortcRtpTransceiver",
    "RemoteStreamTrack",
    "is_new_video_buffer",
    "pair",
    "set_track_id",
]

for _name in ("_capacity", "_is_video", "_origin", "_packets"):
    require(JitterBuffer, _name)


def is_new_video_buffer(buffer: JitterBuffer) -> bool:
    """Say if a jitter buffer is aiortc's own kind for video, and has taken nothing yet."""
    return type(buffer) is JitterBuffer and buffer._is_video and buffer._origin is None


class AiortcJitterBuffer(JitterBuffer):
    """aiortc's jitter buffer with what it holds under names of ours."""

    def numbers_until(self, last: int) -> Iterator[int]:
        """Yield the sequence numbers from the first that it waits for to a given one."""
        assert self._origin is not None
        for count in range((last - self._origin) % (1 << 16) + 1):
            yield (self._origin + count) % (1 << 16)

    def packet(self, number: int) -> RtpPacket | None:
        """Return the packet with a sequence number, if it is there."""
        number %= 1 << 16
        packet = self._packets[number % self._capacity]
        return packet if packet is not None and packet.sequence_number == number else None

    def skip_to(self, number: int) -> None:
        """Forget all packets before a sequence number."""
        assert self._origin is not None
        self.remove(min(self._capacity, (number - self._origin) % (1 << 16)))


_SENDER, _RECEIVER = rtcrtpsender.RTCRtpSender, rtcrtpreceiver.RTCRtpReceiver
_TRANSCEIVER = rtcrtptransceiver.RTCRtpTransceiver

for _name in ("_next_encoded_frame", "_send_keyframe", "_ssrc"):
    require(_SENDER, _name)


class AiortcRtpSender(rtcrtpsender.RTCRtpSender):
    """aiortc's sender with what its loop calls under a name of ours."""

    async def next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        """Return the next frame to send, or None."""
        return await super()._next_encoded_frame(codec)

    def force_keyframe(self) -> None:
        """Let the next picture be a keyframe."""
        self._send_keyframe()

    async def _next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        return await self.next_encoded_frame(codec)


_JITTER_BUFFER = require(_RECEIVER, "__jitter_buffer")


class _JitterBufferSlot:
    """Lets the receiver choose when a jitter buffer is set; reading it costs nothing."""

    def __set__(self, receiver: "AiortcRtpReceiver", buffer: JitterBuffer) -> None:
        vars(receiver)[_JITTER_BUFFER] = receiver.choose_jitter_buffer(buffer)


class AiortcRtpReceiver(rtcrtpreceiver.RTCRtpReceiver):
    """aiortc's receiver, which chooses its jitter buffer, and tells what comes."""

    # aiortc sets it, and so do programs that want a larger one, as Pipecat does.
    _RTCRtpReceiver__jitter_buffer = _JitterBufferSlot()

    def choose_jitter_buffer(self, buffer: JitterBuffer) -> JitterBuffer:
        """Return the jitter buffer to use in place of one that is about to be set."""
        return buffer

    def call_at_next_packet(self, callback: Callable[[], object]) -> None:
        """Call something, once, when an RTP packet comes; the packets after it cost nothing."""

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            vars(self).pop("_handle_rtp_packet", None)
            callback()
            await self._handle_rtp_packet(packet, arrival_time_ms)

        vars(self)["_handle_rtp_packet"] = handle

    def source_left(self) -> None:
        """Take note of an RTCP BYE, by which the other side says that a source sends no more."""

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        # It isn't handed on, because the track would end, and never come back.
        if isinstance(packet, RtcpByePacket):
            self.source_left()
        else:
            await super()._handle_rtcp_packet(packet)


for _name in ("_handle_rtcp_packet", "_handle_rtp_packet", "_set_rtcp_ssrc", "_track"):
    require(_RECEIVER, _name)


def pair(transceiver: aiortc.RTCRtpTransceiver, track: RemoteStreamTrack, *, shared: bool) -> None:
    """Connect sender and receiver of a new transceiver, and give the latter its track."""
    transceiver.receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver.receiver._track = track
    transceiver._bundled = shared


require(mediastreams.MediaStreamTrack, "_id")


def set_track_id(track: aiortc.MediaStreamTrack, track_id: str) -> None:
    """Give a track the id that the remote side gave it."""
    track._id = track_id


class AiortcRtpTransceiver(rtcrtptransceiver.RTCRtpTransceiver):
    """aiortc's transceiver with its private attributes under names of ours."""

    wanted_direction = Private[str](_TRANSCEIVER, "__direction")
    negotiated_direction = Private[str | None](_TRANSCEIVER, "__currentDirection")
