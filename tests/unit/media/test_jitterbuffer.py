"""The jitter buffer gives up what will not come, and nothing else."""

import random
from collections.abc import Callable

import pytest
from aiortc.jitterbuffer import JitterBuffer as AiortcJitterBuffer
from aiortc.rtp import RtpPacket

from restartice import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCRtpReceiver,
)
from restartice.media.jitterbuffer import AGAIN, CLOCK_RATE, REPEATABLE, JitterBuffer, elapsed

FRAME = 3000  # at 30 frames a second
PATIENCE = int(0.6 * CLOCK_RATE)


class Stream:
    """Packets of frames, three to a frame, into a jitter buffer."""

    def __init__(self, number: int = 65530, timestamp: int = (1 << 32) - 5 * FRAME) -> None:
        self.buffer = JitterBuffer(512, patience=PATIENCE / CLOCK_RATE)
        self.number = number
        self.timestamp = timestamp
        self.frames: list[int] = []
        self.pictures_asked_for = 0

    def packets(self, step: int = FRAME) -> list[RtpPacket]:
        """Return the packets of the next frame."""
        made = []
        for _ in range(3):
            packet = RtpPacket(sequence_number=self.number, timestamp=self.timestamp)
            packet._data = b"x"  # type: ignore[attr-defined]
            made.append(packet)
            self.number = (self.number + 1) % (1 << 16)
        self.timestamp = (self.timestamp + step) % (1 << 32)
        return made

    def add(self, packet: RtpPacket) -> None:
        lost, frame = self.buffer.add(packet)
        self.pictures_asked_for += lost
        if frame is not None:
            self.frames.append(frame.timestamp)

    def send(self, frames: int, step: int = FRAME) -> None:
        for _ in range(frames):
            for packet in self.packets(step):
                self.add(packet)

    def lose(self, frames: int) -> None:
        for _ in range(frames):
            self.packets()


def test_all_is_well() -> None:
    stream = Stream()
    stream.send(500)
    assert len(stream.frames) == 499
    assert stream.pictures_asked_for == 0


def test_pictures_that_are_rare() -> None:
    stream = Stream()
    stream.send(20, step=2 * 90000)
    assert len(stream.frames) == 19
    assert stream.pictures_asked_for == 0


def test_what_is_repeated_in_time_is_used() -> None:
    stream = Stream()
    stream.send(10)
    first, late, last = stream.packets()
    stream.add(first)
    stream.add(last)
    stream.send(PATIENCE // FRAME - 1)
    assert len(stream.frames) == 10
    stream.add(late)
    stream.send(40)
    assert stream.pictures_asked_for == 0
    assert stream.frames == sorted(stream.frames, key=lambda t: elapsed(stream.frames[0], t))


def test_what_stays_missing_is_given_up() -> None:
    stream = Stream()
    stream.send(10)
    first, _, last = stream.packets()
    stream.add(first)
    stream.add(last)
    stream.send(PATIENCE // FRAME + 2)
    assert stream.pictures_asked_for == 1
    before = len(stream.frames)
    stream.send(5)
    # The newest frames come out at once; those behind the hole need pictures that nobody has.
    assert len(stream.frames) == before + 5
    assert elapsed(stream.frames[-1], stream.timestamp) == 2 * FRAME


@pytest.mark.parametrize("frames", [REPEATABLE // 3 + 1, 100, 300, 5000])
def test_an_outage_ends_with_the_first_packets_after_it(frames: int) -> None:
    stream = Stream()
    stream.send(10)
    stream.lose(frames)
    stream.send(2)
    assert stream.pictures_asked_for == 1
    assert elapsed(stream.frames[-1], stream.timestamp) == 2 * FRAME


def test_a_whole_picture_is_asked_for_twice() -> None:
    stream = Stream()
    stream.send(10)
    stream.lose(100)
    stream.send(AGAIN // FRAME)
    assert stream.pictures_asked_for == 1
    stream.send(2)
    assert stream.pictures_asked_for == 2
    stream.send(500)
    assert stream.pictures_asked_for == 2


def test_an_outage_short_enough_to_be_repeated() -> None:
    stream = Stream()
    stream.send(10)
    lost = [packet for _ in range(30) for packet in stream.packets()]
    stream.send(1)
    assert stream.pictures_asked_for == 0
    for packet in lost:
        stream.add(packet)
    stream.send(60)
    assert stream.pictures_asked_for == 0


@pytest.mark.parametrize("seed", range(20))
def test_it_never_stays_stuck(seed: int) -> None:
    chance = random.Random(seed)
    stream = Stream()
    for _ in range(60):
        if chance.random() < 0.2:
            stream.lose(chance.randrange(1, 100))
        for packet in stream.packets():
            if chance.random() < 0.8:
                stream.add(packet)
    stream.send(PATIENCE // FRAME + 5)
    assert elapsed(stream.frames[-1], stream.timestamp) == 2 * FRAME


def receive_on(kind: str) -> tuple[RTCRtpReceiver, Callable[[], object]]:
    """Return a receiver, and how to look at the jitter buffer that it uses."""
    certificate = RTCCertificate.generateCertificate()
    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer()), [certificate])
    receiver = RTCRtpReceiver(kind, transport)
    return receiver, lambda: vars(receiver)["_RTCRtpReceiver__jitter_buffer"]


async def test_a_program_may_have_a_larger_one() -> None:
    receiver, buffer = receive_on("video")
    first = buffer()
    assert isinstance(first, JitterBuffer)
    larger = AiortcJitterBuffer(capacity=2048, is_video=True)
    receiver._RTCRtpReceiver__jitter_buffer = larger
    second = buffer()
    assert isinstance(second, JitterBuffer)
    assert second is not first
    assert second.capacity == 2048


async def test_that_of_sound_and_those_of_other_kinds_are_left_alone() -> None:
    class Other(AiortcJitterBuffer):
        pass

    _, buffer = receive_on("audio")
    assert type(buffer()) is AiortcJitterBuffer
    receiver, buffer = receive_on("video")
    other = Other(capacity=64, is_video=True)
    receiver._RTCRtpReceiver__jitter_buffer = other
    assert buffer() is other
