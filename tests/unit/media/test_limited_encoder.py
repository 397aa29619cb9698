"""The limits of an encoder of video."""

from fractions import Fraction

import av
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from restartice.media.limited_encoder import NO_LIMITS, LimitedEncoder, Limits

RATE = 30


def frame(number: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    found = av.VideoFrame(width, height, "yuv420p")
    for plane in found.planes:
        plane.update(bytes(plane.buffer_size))
    found.pts, found.time_base = number, Fraction(1, RATE)
    return found


@pytest.mark.parametrize("kind", [Vp8Encoder, H264Encoder])
@pytest.mark.parametrize(("scale", "size"), [(1, (64, 48)), (2, (32, 24)), (3, (20, 16))])
def test_frames_are_scaled_down(kind: type, scale: float, size: tuple[int, int]) -> None:
    encoder = LimitedEncoder(kind(), Limits(scale=scale))
    payloads, timestamp = encoder.encode(frame(RATE), force_keyframe=True)
    assert payloads
    assert timestamp == 90_000
    assert (encoder.encoder.codec.width, encoder.encoder.codec.height) == size


@pytest.mark.parametrize(
    ("rate", "sent"), [(None, 30), (30, 30), (15, 15), (10, 10), (1, 1), (0, 0)]
)
def test_frames_that_come_too_soon_are_dropped(rate: float | None, sent: int) -> None:
    encoder = LimitedEncoder(Vp8Encoder(), Limits(frame_rate=rate))
    assert sum(bool(encoder.encode(frame(number))[0]) for number in range(RATE)) == sent


def test_a_key_frame_is_not_forgotten_with_a_dropped_frame() -> None:
    encoder = LimitedEncoder(Vp8Encoder(), Limits(frame_rate=15))
    asked: list[bool] = []
    encode = encoder.encoder.encode

    def note(frame: av.VideoFrame, force_keyframe: bool) -> tuple[list[bytes], int]:
        asked.append(force_keyframe)
        found: tuple[list[bytes], int] = encode(frame, force_keyframe)
        return found

    encoder.encoder.encode = note
    for number, forced in enumerate([False, True, False, False, False]):
        encoder.encode(frame(number), force_keyframe=forced)
    assert asked == [False, True, False]


def test_the_bit_rate_is_limited_and_comes_back() -> None:
    encoder = LimitedEncoder(Vp8Encoder(), Limits(bitrate=400_000))
    assert encoder.target_bitrate == 400_000
    encoder.target_bitrate = 1_000_000  # what the receiver estimates
    assert encoder.target_bitrate == encoder.encoder.target_bitrate == 400_000
    encoder.target_bitrate = 300_000
    assert encoder.target_bitrate == 300_000
    encoder.target_bitrate = 1_000_000
    encoder.limits = NO_LIMITS
    assert encoder.target_bitrate == 1_000_000
