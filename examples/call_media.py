"""Generated media: video with the number of each frame in its picture, and a tone."""

import asyncio
import functools
import math
import time
from array import array
from fractions import Fraction

from av import AudioFrame, VideoFrame

from restartice import MediaStreamTrack

WIDTH, HEIGHT, FRAME_RATE = 320, 240, 30
BLOCK = 16
BITS = WIDTH // BLOCK
BLACK, WHITE, GREY = 16, 235, 128
SAMPLE_RATE, SAMPLES = 48000, 960
TONE = 440


class Pace:
    """Waits for the times of a regular series, and doesn't hurry after a stall."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Wait for the next time."""
        now = time.monotonic()
        if now - self._next > 5 * self._interval:
            self._next = now
        await asyncio.sleep(max(0.0, self._next - now))
        self._next += self._interval


def draw_number(number: int, frame: VideoFrame) -> None:
    """Draw a number as a row of black and white blocks, and its complement in the row below."""
    plane = frame.planes[0]
    stride = plane.line_size
    picture = bytearray([GREY]) * plane.buffer_size
    for row, value in enumerate((number, ~number)):
        line = b"".join(
            bytes([WHITE if value >> bit & 1 else BLACK]) * BLOCK for bit in range(BITS)
        )
        for y in range(row * BLOCK, (row + 1) * BLOCK):
            picture[y * stride : y * stride + WIDTH] = line
    # Something for the eye: a bar that wanders down.
    bar = 3 * BLOCK + number % (HEIGHT - 4 * BLOCK)
    picture[bar * stride : (bar + BLOCK) * stride] = bytes([WHITE]) * (BLOCK * stride)
    plane.update(bytes(picture))


def read_number(frame: VideoFrame) -> int | None:
    """Read the number from a decoded picture; None if it can't be read."""
    plane = frame.planes[0]
    picture, stride = memoryview(plane), plane.line_size
    if frame.width != WIDTH or frame.height != HEIGHT:
        return None

    def read_row(row: int) -> int:
        middle = (row * BLOCK + BLOCK // 2) * stride + BLOCK // 2
        samples = (picture[middle + bit * BLOCK] for bit in range(BITS))
        return sum((sample > GREY) << bit for bit, sample in enumerate(samples))

    number = read_row(0)
    return number if number ^ read_row(1) == 2**BITS - 1 else None


class CountedVideo(MediaStreamTrack):
    """Frames that carry their number, 30 a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._pace = Pace(1 / FRAME_RATE)
        self._frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in self._frame.planes[1:]:
            plane.update(bytes([GREY]) * plane.buffer_size)

    async def recv(self) -> VideoFrame:
        """Return the next frame when its time has come."""
        await self._pace.wait()
        draw_number(self.sent % 2**BITS, self._frame)
        self._frame.pts = self.sent * 90000 // FRAME_RATE
        self._frame.time_base = Fraction(1, 90000)
        self.sent += 1
        return self._frame


@functools.cache
def second_of_tone() -> bytes:
    """Return a second of the tone. Computing it again during the call would take too long."""
    wave = (math.sin(2 * math.pi * TONE * n / SAMPLE_RATE) for n in range(SAMPLE_RATE))
    return array("h", (round(8000 * value) for value in wave)).tobytes()


class Tone(MediaStreamTrack):
    """A sine of 440 Hz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pace = Pace(SAMPLES / SAMPLE_RATE)
        self._sent = 0
        self._second = second_of_tone()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms."""
        await self._pace.wait()
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        start = 2 * (self._sent % SAMPLE_RATE)
        frame.planes[0].update(self._second[start : start + 2 * SAMPLES])
        frame.pts, frame.sample_rate = self._sent, SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._sent += SAMPLES
        return frame
