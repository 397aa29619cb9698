"""A file of 100 MB is received by aiortc's example while ICE is restarted ten times."""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiortc import RTCDataChannel

from conftest import Factory
from connecting import sending_ufrags, wait_restarted
from dropin.examples import adopt_examples
from dropin.program import Program
from restartice import RTCPeerConnection

MB = 1_000_000
RESTARTS = 10
# As in the example.
PIECE = 16384
TRANSFER_SECONDS = 600


@pytest.fixture(scope="module")
def filexfer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adopt_examples(tmp_path_factory.mktemp("aiortc")) / "datachannel-filexfer/filexfer.py"


def make_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Progress:
    """How much was handed on, and who wants to know."""

    done: int = 0

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()

    async def add(self, count: int) -> None:
        self.done += count
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.done >= count)


async def send_file(channel: RTCDataChannel, path: Path, progress: Progress) -> None:
    """Send a file, and an empty message after it, without filling memory."""
    room = asyncio.Event()
    room.set()
    channel.on("open", room.set)
    channel.on("bufferedamountlow", room.set)
    if channel.readyState != "open":
        room.clear()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            while channel.readyState != "open" or channel.bufferedAmount > PIECE:
                room.clear()
                await room.wait()
            channel.send(piece)
            await progress.add(len(piece))
    channel.send(b"")


async def restart_in_parts(
    program: Program, pc: RTCPeerConnection, size: int, progress: Progress
) -> None:
    """Restart whenever another part of the file has gone."""
    for number in range(1, RESTARTS + 1):
        await progress.wait_for(size * number // (RESTARTS + 1))
        before = sending_ufrags(pc)
        pc.restartIce()
        await program.negotiate(pc)
        await wait_restarted(pc, since=[before])
        assert progress.done < size, "the file had gone before the restart was done"


Meanwhile = Callable[[Program, RTCPeerConnection, int, Progress], Awaitable[None]]


async def transfer(
    filexfer: Path, pc: RTCPeerConnection, file: Path, size: int, meanwhile: Meanwhile | None = None
) -> float:
    """Send a file to the example, which must get it whole; return the bytes per second."""
    target = file.with_suffix(".received")
    async with Program.run(filexfer, "receive", target) as program:
        channel, progress = pc.createDataChannel("filexfer"), Progress()
        await program.negotiate(pc)
        start = time.monotonic()
        async with asyncio.timeout(TRANSFER_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(send_file(channel, file, progress))
            if meanwhile is not None:
                group.create_task(meanwhile(program, pc, size, progress))  # type: ignore[arg-type]
        line = await program.wait_for("received ", seconds=TRANSFER_SECONDS)
        seconds = time.monotonic() - start
        await program.say_goodbye()
    assert f"received {size} bytes" in line
    assert checksum(target) == checksum(file)
    return size / seconds


@pytest.mark.timeout(2 * TRANSFER_SECONDS)
async def test_100_mb_come_through_ten_restarts(
    make_pc: Factory, filexfer: Path, tmp_path: Path
) -> None:
    quiet = await transfer(filexfer, make_pc(), make_file(tmp_path / "small", 10 * MB), 10 * MB)
    big = make_file(tmp_path / "big", 100 * MB)
    pc = make_pc()
    rate = await transfer(filexfer, pc, big, 100 * MB, restart_in_parts)
    print(f"{rate / MB:.2f} MB/s through {RESTARTS} restarts, {quiet / MB:.2f} MB/s without")
    statistics = (await pc.getStats()).values()
    (transport,) = (entry for entry in statistics if entry.type == "transport")
    assert transport.selectedCandidatePairChanges == RESTARTS + 1


@pytest.mark.timeout(2 * TRANSFER_SECONDS)
async def test_a_file_that_the_example_sends_comes_through_restarts(
    make_pc: Factory, filexfer: Path, tmp_path: Path
) -> None:
    size = 50 * MB
    file, received, ended = make_file(tmp_path / "file", size), bytearray(), asyncio.Event()
    pc, progress = make_pc(), Progress()

    @pc.on("datachannel")
    def take(channel: RTCDataChannel) -> None:
        @channel.on("message")
        async def write(piece: bytes) -> None:
            received.extend(piece)
            await progress.add(len(piece))
            if not piece:
                ended.set()

    async with Program.run(filexfer, "send", file) as program:
        await program.answer(pc)
        async with asyncio.timeout(TRANSFER_SECONDS):
            await restart_in_parts(program, pc, size, progress)
            await ended.wait()
        await program.say_goodbye()
    assert hashlib.sha256(received).hexdigest() == checksum(file)
