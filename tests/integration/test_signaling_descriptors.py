"""More connections than there are descriptors: newcomers don't wait, and the log isn't filled."""

import asyncio
import resource
from collections.abc import Iterator

import pytest

from connecting import DEADLINE
from owntime import own_time
from restartice_signaling import CustomReceived, WebSocketSignaling
from signalingevents import next_of
from signalingnode import PROGRAM, Node
from wire import dial

SILENT = 1_100
FEW = 1_024


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


async def start(limit: str) -> Node:
    process = await asyncio.create_subprocess_exec(
        "prlimit",
        f"--nofile={limit}",
        *PROGRAM,
        "--port=0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        line = (await process.stdout.readline()).decode()
    return Node(process, line.split()[-1])


async def be_silent(port: int, writers: list[asyncio.StreamWriter]) -> None:
    for _ in range(SILENT):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)


async def check_speaking(url: str) -> None:
    began = own_time()
    async with (
        WebSocketSignaling(url, room="room", peer="a") as first,
        WebSocketSignaling(url, room="room", peer="b") as second,
    ):
        await first.send_custom("there is room")
        assert isinstance(await next_of(second, CustomReceived), CustomReceived)
    # Those who are silent are thrown out after 10 s.
    assert own_time() - began < 8


async def test_silent_connections_make_room() -> None:
    server = await start(f"{FEW}:{FEW}")
    writers: list[asyncio.StreamWriter] = []
    try:
        async with dial(server.url) as wire:
            await wire.join("others")
            await be_silent(server.port, writers)
            await check_speaking(server.url)
            assert server.descriptors() < FEW
            # Who was there before is there still.
            await wire.say(type="ping", t=1)
            assert (await wire.hear())["type"] == "pong"
        server.process.terminate()
        async with asyncio.timeout(DEADLINE):
            _, log = await server.process.communicate()
        assert len(log.splitlines()) < 20, log[-2_000:]
        assert b"overload" in log
    finally:
        for writer in writers:
            writer.transport.abort()
        await server.kill()


async def test_the_soft_limit_is_raised() -> None:
    server = await start(f"{FEW // 4}:{FEW * 4}")
    writers: list[asyncio.StreamWriter] = []
    try:
        await be_silent(server.port, writers)
        await check_speaking(server.url)
        async with asyncio.timeout(DEADLINE):
            while server.descriptors() < FEW // 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        for writer in writers:
            writer.transport.abort()
        await server.kill()
