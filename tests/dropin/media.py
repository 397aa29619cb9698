"""A film to play, and what is read of tracks and files."""

import asyncio
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from aiortc import MediaStreamTrack
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from dropin.program import DEADLINE

FRAMES_PER_SECOND = 15
SECONDS = 20
SAMPLE_RATE = 48000


def make_film(path: Path, video_codec: str, *, sound: bool) -> Path:
    """Write a film, in which each picture is another gray, and perhaps a tone."""
    with av.open(path, "w") as container:
        video = container.add_stream(video_codec, rate=FRAMES_PER_SECOND)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.gop_size = FRAMES_PER_SECOND
        audio = None
        if sound:
            audio = container.add_stream("aac", rate=SAMPLE_RATE)
        for number in range(SECONDS * FRAMES_PER_SECOND):
            picture = np.full((240, 320, 3), number % 256, dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None:
            write_tone(container, audio)
    return path


def write_tone(container: OutputContainer, stream: AudioStream) -> None:
    for start in range(0, SECONDS * SAMPLE_RATE, 1024):
        wave = np.sin(np.arange(start, start + 1024) * (2 * np.pi * 440 / SAMPLE_RATE))
        frame = av.AudioFrame.from_ndarray(
            wave.astype(np.float32).reshape(1, -1) / 4, format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        frame.time_base = Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


async def receive(track: MediaStreamTrack, count: int) -> None:
    """Receive frames of a track."""
    async with asyncio.timeout(DEADLINE):
        for _ in range(count):
            await track.recv()


def count_frames(path: Path) -> dict[str, int]:
    """Return how many frames of each kind a file has."""
    counts = {"audio": 0, "video": 0}
    with av.open(path) as container:
        for frame in container.decode():
            counts["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
    return counts
