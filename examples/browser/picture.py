"""The video that Python sends: slow waves of color, and a clock that shows any gap."""

import math
from collections.abc import Iterator

from av import VideoFrame

from restartice import VideoStreamTrack

WIDTH, HEIGHT = 512, 288
FRAME_RATE = 30
BLOCK = 8
WHITE = 235
# Rows of three blocks, the first one in the highest bits.
FONT = {
    "0": 0b111_101_101_101_111,
    "1": 0b010_110_010_010_111,
    "2": 0b111_001_111_100_111,
    "3": 0b111_001_111_001_111,
    "4": 0b101_101_111_001_001,
    "5": 0b111_100_111_001_111,
    "6": 0b111_100_111_101_111,
    "7": 0b111_001_010_010_010,
    "8": 0b111_101_111_101_111,
    "9": 0b111_101_111_001_111,
    ":": 0b000_010_000_010_000,
    ".": 0b000_000_000_000_010,
}


def wave(width: int, middle: int, swing: int, periods: float) -> bytes:
    """Return two widths of a wave, of which any part that is a width long can be shown."""
    angles = (2 * math.pi * periods * x / width for x in range(2 * width))
    return bytes(round(middle + swing * math.sin(angle)) for angle in angles)


class Plane:
    """One of brightness, blue and red: a wave whose rows are shifted against each other."""

    def __init__(self, width: int, height: int, line: bytes, drift: float, bend: float) -> None:
        self._width, self._height, self._line = width, height, line
        self._drift, self._bend = drift, bend

    def paint(self, seconds: float, stride: int) -> bytearray:
        """Return the plane as it is at some time."""
        width, picture = self._width, bytearray()
        for y in range(self._height):
            sway = 0.5 + 0.25 * math.sin(self._bend * y / self._height + self._drift * seconds)
            start = int(width * (sway + 0.2 * math.sin(0.3 * self._drift * seconds)))
            picture += self._line[start : start + width].ljust(stride, b"\0")
        return picture


PLANES = (
    Plane(WIDTH, HEIGHT, wave(WIDTH, 78, 34, 1), drift=0.5, bend=3.2),
    Plane(WIDTH // 2, HEIGHT // 2, wave(WIDTH // 2, 148, 22, 1), drift=0.7, bend=-2.4),
    Plane(WIDTH // 2, HEIGHT // 2, wave(WIDTH // 2, 112, 30, 1), drift=-0.4, bend=4.0),
)


Box = tuple[int, int, int, int]


def fill(picture: bytearray, stride: int, box: Box) -> None:
    """Draw a white box: left, top, width, height."""
    left, top, width, height = box
    for y in range(top, top + height):
        picture[y * stride + left : y * stride + left + width] = bytes([WHITE]) * width


def glyph(character: str, left: int, top: int) -> Iterator[Box]:
    """Yield the boxes of a digit, or of a mark of a clock."""
    for bit in range(15):
        if FONT[character] >> 14 - bit & 1:
            row, column = divmod(bit, 3)
            yield left + column * BLOCK, top + row * BLOCK, BLOCK, BLOCK


def clock(frames: int) -> str:
    """Return minutes, seconds and tenths."""
    tenths = frames * 10 // FRAME_RATE
    return f"{tenths // 600 % 100:02}:{tenths // 10 % 60:02}.{tenths % 10}"


class Picture(VideoStreamTrack):
    """30 frames a second."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0

    async def recv(self) -> VideoFrame:
        """Return the next frame when its time has come."""
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for number, (place, painted) in enumerate(zip(frame.planes, PLANES, strict=True)):
            picture = painted.paint(self._frames / FRAME_RATE, place.line_size)
            if number == 0:
                self._draw_time(picture, place.line_size)
            place.update(bytes(picture))
        frame.pts, frame.time_base = pts, time_base
        self._frames += 1
        return frame

    def _draw_time(self, picture: bytearray, stride: int) -> None:
        for place, character in enumerate(clock(self._frames)):
            for box in glyph(character, (3 + 4 * place) * BLOCK, HEIGHT - 9 * BLOCK):
                fill(picture, stride, box)
        # It grows to the right in two seconds.
        grown = 1 + self._frames % (2 * FRAME_RATE)
        bar = BLOCK // 2
        fill(picture, stride, (0, HEIGHT - bar, WIDTH * grown // (2 * FRAME_RATE), bar))
