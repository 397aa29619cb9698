"""Senders and receivers of media that get over an outage."""

import asyncio
from typing import TYPE_CHECKING, Final

import aiortc

from .icetransport import RTCIceTransport
from .internals import AiortcRtpReceiver, AiortcRtpSender
from .jitterbuffer import JitterBuffer

if TYPE_CHECKING:
    from aiortc.rtcrtpsender import RTCEncodedFrame

__all__ = ["RTCRtpReceiver", "RTCRtpSender"]

# How many packets are sent on a path that seems to be lost.
VOID_LIMIT: Final = 1 << 14
CAPACITY: Final = 512
PAUSE: Final = 0.02


class RTCRtpSender(AiortcRtpSender):
    """aiortc's sender, which goes on reading its track, but encodes nothing that can't be sent.

    The other end counts how often the 16 bits of the sequence number have been used up, which goes
    wrong when it misses 2^15 packets. (RFC 3711 section 3.3.1)

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpsender-interface
    """

    def __init__(
        self, trackOrKind: aiortc.MediaStreamTrack | str, transport: aiortc.RTCDtlsTransport
    ) -> None:
        super().__init__(trackOrKind, transport)
        self._sent_into_void = 0
        self._holding = False

    def send_keyframe(self) -> None:
        """Let the next picture be one that can be decoded without those before it."""
        if self.kind == "video":
            self.force_keyframe()

    async def next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> "RTCEncodedFrame | None":
        """Return the next frame to send, or None if the track's next one isn't to be sent."""
        ice = self.transport.transport
        assert isinstance(ice, RTCIceTransport)
        if not ice.path_lost:
            self._sent_into_void = 0
        if not ice.sendable or self._sent_into_void >= VOID_LIMIT:
            self._holding = True
            await self._skip_frame()
            return None
        if self._holding:
            self._holding = False
            self.send_keyframe()
        frame = await super().next_encoded_frame(codec)
        if frame is not None:
            self._sent_into_void += len(frame.payloads)
        return frame

    async def _skip_frame(self) -> None:
        if (track := self.track) is None:
            await asyncio.sleep(PAUSE)
        else:
            await track.recv()


class RTCRtpReceiver(AiortcRtpReceiver):
    """aiortc's receiver, which doesn't wait for packets that got lost in an outage.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpreceiver-interface
    """

    def __init__(self, kind: str, transport: aiortc.RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        if kind == "video":
            self.jitter_buffer = JitterBuffer(CAPACITY)
