"""The server as a process of its own: `python -m restartice_signaling`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connecting import DEADLINE
from restartice_signaling import CustomReceived, WebSocketSignaling
from wire import dial

PROGRAM = (sys.executable, "-m", "restartice_signaling")


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def listening_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("listening on ws://127.0.0.1:")
    return line.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with program("--host", "127.0.0.1", "--port", "0") as process:
        url = await listening_url(process)
        async with dial(url) as wire:
            await wire.join()
            process.send_signal(number)
            assert await wire.close_code() == 1001
        assert await process.wait() == 0
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def test_relays() -> None:
    async with program("--port", "0") as process:
        url = await listening_url(process)
        async with (
            WebSocketSignaling(url, room="room", peer="a") as first,
            WebSocketSignaling(url, room="room", peer="b") as second,
        ):
            await first.send_custom("through a process")
            async for event in second.events():
                if isinstance(event, CustomReceived):
                    assert event == CustomReceived("a", "through a process")
                    break


async def test_a_port_in_use() -> None:
    async with program("--port", "0") as process:
        port = (await listening_url(process)).rpartition(":")[2]
        async with program("--port", port) as second:
            assert second.stderr is not None
            assert b"can't listen on 127.0.0.1" in await second.stderr.read()
            assert await second.wait() == 1


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
async def test_is_not_open_to_strangers_unless_told(host: str) -> None:
    async with program("--host", host, "--port", "0") as process:
        assert process.stderr is not None
        assert b"--insecure" in await process.stderr.read()
        assert await process.wait() == 2


async def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "--port=0", stdout=asyncio.subprocess.PIPE, stderr=writer
        )
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            url = (await process.stdout.readline()).decode().split()[-1]
        # More than a pipe takes, though each line that comes again is counted only.
        async with asyncio.timeout(2 * DEADLINE):
            for number in range(400):
                async with dial(url) as wire:
                    await wire.join(room=f"{number:060}", peer="p" * 60)
                    await wire.say(type="bye", reason=f"{number:0200}")
                    assert await wire.close_code() == 1000
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        os.close(reader)
        os.close(writer)
