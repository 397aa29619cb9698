"""An encoder of aiortc's for video, with limits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import av
from aiortc.codecs.base import Encoder
from av.frame import Frame

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["NO_LIMITS", "LimitedEncoder", "Limits"]


@dataclass(frozen=True)
class Limits:
    """How a video is encoded.

    Attributes:
        bitrate: The most bits in a second, or None.
        frame_rate: The most frames in a second, or None.
        scale: By how much width and height are divided, at least 1.
    """

    bitrate: int | None = None
    frame_rate: float | None = None
    scale: float = 1.0


NO_LIMITS: Final = Limits()


class LimitedEncoder(Encoder):
    """An encoder that is given smaller and fewer frames, and a bit rate that isn't exceeded.

    Args:
        encoder: aiortc's.
        limits: The limits, which may be replaced at any time.
    """

    def __init__(self, encoder: Any, limits: Limits) -> None:
        self.encoder = encoder
        self._limits = limits
        self._wanted: int = encoder.target_bitrate
        self._last: float | None = None
        self._keyframe_due = False
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.target_bitrate = self._wanted

    @property
    def target_bitrate(self) -> int:
        """The bit rate, in bits per second; aiortc sets what the receiver estimates."""
        rate: int = self.encoder.target_bitrate
        return rate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._wanted = bitrate
        most = self._limits.bitrate
        self.encoder.target_bitrate = bitrate if most is None else min(bitrate, most)

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode a frame, or drop it: then there is nothing to send."""
        assert isinstance(frame, av.VideoFrame)
        self._keyframe_due |= force_keyframe
        if self._is_too_soon(frame):
            return [], 0
        force_keyframe, self._keyframe_due = self._keyframe_due, False
        found: tuple[list[bytes], int] = self.encoder.encode(self._scaled(frame), force_keyframe)
        return found

    def pack(self, packet: "Packet[Any]") -> tuple[list[bytes], int]:
        """Pack what the program has encoded, to which no limit applies."""
        packed: tuple[list[bytes], int] = self.encoder.pack(packet)
        return packed

    def _is_too_soon(self, frame: av.VideoFrame) -> bool:
        rate, time = self._limits.frame_rate, frame.time
        if rate is None or time is None:
            return False
        # A frame may come a little early: half the shortest time between two of 120 a second.
        if rate == 0 or (self._last is not None and 0 <= time - self._last < 1 / rate - 1 / 240):
            return True
        self._last = time
        return False

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self._limits.scale == 1.0:
            return frame
        # Even, as each of their colours has half of the samples.
        width, height = (max(2, int(n / self._limits.scale) // 2 * 2) for n in _size(frame))
        return frame.reformat(width=width, height=height)


def _size(frame: av.VideoFrame) -> tuple[int, int]:
    return frame.width, frame.height
