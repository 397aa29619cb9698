"""The chat example: two programs that talk, restart ICE, and end together."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from signalingnode import node

PROGRAM = Path(__file__).parents[2] / "examples" / "chat.py"
DEADLINE = 120.0


class Chat:
    """One of the programs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout

    def type(self, line: str) -> None:
        self.stdin.write(f"{line}\n".encode())

    async def shows(self, text: str) -> None:
        """Return when it has printed a line with this text."""
        async with asyncio.timeout(DEADLINE):
            while text not in (line := (await self.stdout.readline()).decode()):
                assert line, f"it ended without {text!r}"


@asynccontextmanager
async def chat(url: str) -> AsyncIterator[Chat]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "--url", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Chat(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_two_chats() -> None:
    async with node() as server, chat(server.url) as one, chat(server.url) as other:
        for peer in (one, other):
            await peer.shows("connected")
        one.type("hello")
        await other.shows("> hello")
        other.type("/restart")
        for peer in (one, other):
            await peer.shows("RestartSucceeded")
        other.type("still there?")
        await one.shows("> still there?")
        one.stdin.close()
        async with asyncio.timeout(DEADLINE):
            assert [await peer.process.wait() for peer in (one, other)] == [0, 0]


async def test_without_a_server_it_says_so() -> None:
    async with chat("ws://127.0.0.1:9") as lonely, asyncio.timeout(DEADLINE):
        _, errors = await lonely.process.communicate()
    assert lonely.process.returncode == 1
    assert b"can't reach the signaling server" in errors
    assert b"Traceback" not in errors
