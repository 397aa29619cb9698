"""Tracks whose media cost little, so that a measurement measures something else."""

import asyncio
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

AUDIO_RATE, AUDIO_SAMPLES = 48000, 960
VIDEO_RATE, VIDEO_FRAMES = 90000, 15


class Silence(MediaStreamTrack):
    """Fifty frames of silence a second."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frame = AudioFrame(format="s16", layout="mono", samples=AUDIO_SAMPLES)
        self._frame.sample_rate, self._frame.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
        self._frame.planes[0].update(bytes(2 * AUDIO_SAMPLES))
        self._sent = 0

    async def recv(self) -> AudioFrame:
        """Return the next frame when 20 ms have passed."""
        await asyncio.sleep(AUDIO_SAMPLES / AUDIO_RATE)
        self._frame.pts = self._sent * AUDIO_SAMPLES
        self._sent += 1
        return self._frame


class GreyPicture(MediaStreamTrack):
    """Fifteen small pictures a second, all the same."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._frame = VideoFrame(64, 48, "yuv420p")
        self._frame.time_base = Fraction(1, VIDEO_RATE)
        for plane in self._frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        self._sent = 0

    async def recv(self) -> VideoFrame:
        """Return the next picture when its time has come."""
        await asyncio.sleep(1 / VIDEO_FRAMES)
        self._frame.pts = self._sent * VIDEO_RATE // VIDEO_FRAMES
        self._sent += 1
        return self._frame
