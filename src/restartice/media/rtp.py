"""Senders and receivers of media that get over an outage."""

import asyncio
import copy
import uuid
from typing import TYPE_CHECKING, Final

import aiortc
from aiortc import InvalidStateError, RTCRtpParameters
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpparameters import RTCRtpSendParameters as NegotiatedParameters

from ..ice.transport import RTCIceTransport
from ..seam import AiortcRtpReceiver, AiortcRtpSender, is_new_video_buffer
from ..settings import IceSettings
from .jitterbuffer import JitterBuffer
from .parameters import RTCRtpSendParameters, check_modification, usable_encodings

if TYPE_CHECKING:
    from aiortc.jitterbuffer import JitterBuffer as AnyJitterBuffer
    from aiortc.rtcrtpsender import RTCEncodedFrame

__all__ = ["RTCRtpReceiver", "RTCRtpSender"]

# How many packets are sent on a path that seems to be lost.
VOID_LIMIT: Final = 1 << 14
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
        self.encodings = usable_encodings(None)
        self._negotiated = RTCRtpParameters()
        self._last_returned: RTCRtpSendParameters | None = None
        self._sent_into_void = 0
        self._holding = False

    def getParameters(self) -> RTCRtpSendParameters:
        """Return what is sent, of which `encodings` can be changed and given to setParameters().

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-getparameters
        """
        if self._last_returned is None:
            self._last_returned = RTCRtpSendParameters(
                **vars(copy.deepcopy(self._negotiated)),
                transactionId=str(uuid.uuid4()),
                encodings=copy.deepcopy(self.encodings),
            )
        return copy.deepcopy(self._last_returned)

    async def setParameters(self, parameters: RTCRtpSendParameters) -> None:
        """Change how the track is sent, without negotiation.

        Raises:
            InvalidStateError: getParameters() wasn't called since the last change, or the
                transceiver is stopped.
            InvalidModificationError: Something has changed that may not.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setparameters
        """
        self.raise_if_stopped()
        if self._last_returned is None:
            raise InvalidStateError("getParameters() comes before setParameters()")
        check_modification(self._last_returned, parameters)
        self._last_returned = None
        self.encodings = copy.deepcopy(parameters.encodings)

    def raise_if_stopped(self) -> None:
        """Raise InvalidStateError if it can't send any more."""

    async def send(self, parameters: NegotiatedParameters) -> None:
        """Begin to send what is negotiated."""
        self._negotiated = common_parameters(parameters)
        self._last_returned = None
        await super().send(parameters)

    def send_keyframe(self) -> None:
        """Let the next picture be one that can be decoded without those before it."""
        if self.kind == "video":
            self.force_keyframe()

    async def next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> "RTCEncodedFrame | None":
        """Return the next frame to send, or None if the track's next one isn't to be sent."""
        if self._is_in_the_void() or not self.encodings[0].active:
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

    def _is_in_the_void(self) -> bool:
        """Say if nothing can be sent, or too much already has been without a path."""
        ice = self.transport.transport
        if not isinstance(ice, RTCIceTransport):
            return False  # aiortc's, made by a program: it ends when its path does
        if not ice.path_lost:
            self._sent_into_void = 0
        return not ice.sendable or self._sent_into_void >= VOID_LIMIT

    async def _skip_frame(self) -> None:
        if (track := self.track) is None:
            await asyncio.sleep(PAUSE)
        else:
            await track.recv()


class RTCRtpReceiver(AiortcRtpReceiver):
    """aiortc's receiver, which doesn't wait for packets that got lost in an outage.

    Args:
        kind: `"audio"` or `"video"`.
        transport: The DTLS transport.
        settings: Those of the connection, which say how long a missing packet is waited for.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpreceiver-interface
    """

    def __init__(
        self, kind: str, transport: aiortc.RTCDtlsTransport, settings: IceSettings | None = None
    ) -> None:
        self._patience = (settings or IceSettings()).video_patience
        super().__init__(kind, transport)
        self._negotiated = RTCRtpParameters()

    def choose_jitter_buffer(self, buffer: "AnyJitterBuffer") -> "AnyJitterBuffer":
        """Return one as large that doesn't wait for what will not come, if it is for video."""
        if is_new_video_buffer(buffer):
            return JitterBuffer(buffer.capacity, self._patience)
        return buffer

    def getParameters(self) -> RTCRtpParameters:
        """Return what is negotiated to be received.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpreceiver-getparameters
        """
        return copy.deepcopy(self._negotiated)

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin to receive what is negotiated."""
        self._negotiated = common_parameters(parameters)
        await super().receive(parameters)


def common_parameters(parameters: RTCRtpParameters) -> RTCRtpParameters:
    """Return what parameters say that isn't about sending or receiving only."""
    names = vars(RTCRtpParameters())
    return RTCRtpParameters(**{name: getattr(parameters, name) for name in names})
