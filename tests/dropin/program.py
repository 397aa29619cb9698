"""A program in a process of its own, whose lines are read and which is told descriptions."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from aiortc import RTCSessionDescription

from restartice import RTCPeerConnection

LAUNCH = Path(__file__).parent / "launch.py"
DEADLINE = 120.0
# Descriptions are lines of some kilobytes.
LIMIT = 1 << 20


class Program:
    """A running program."""

    def __init__(self, process: Process) -> None:
        self.output: list[str] = []
        self._process = process
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def run(cls, path: Path, *arguments: object) -> AsyncIterator[Self]:
        """Run a program, which is killed if it doesn't end in the meantime."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", str(LAUNCH), str(path), *map(str, arguments)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            limit=LIMIT,
        )
        program = cls(process)
        try:
            yield program
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await program._reader

    async def wait_for(
        self, text: str, *, count: int = 1, after: int = 0, seconds: float = DEADLINE
    ) -> str:
        """Return the first line (or a later one) with a text, past some lines of the output."""

        def find() -> str | None:
            found = [line for line in self.output[after:] if text in line]
            return found[count - 1] if len(found) >= count else None

        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: find() or self._reader.done())
        line = find()
        assert line is not None, f"the program ended without {text!r}: {self.output}"
        return line

    async def describe(self, after: int = 0) -> RTCSessionDescription:
        """Return the description that the program asks to be pasted elsewhere."""
        return RTCSessionDescription(**json.loads(await self.wait_for('"sdp": ', after=after)))

    async def answer(self, pc: RTCPeerConnection) -> None:
        """Answer the program's offer."""
        await pc.setRemoteDescription(await self.describe())
        await pc.setLocalDescription()
        self.paste(pc.localDescription)

    async def negotiate(self, pc: RTCPeerConnection) -> None:
        """Let the program answer an offer."""
        after = len(self.output)
        await pc.setLocalDescription()
        self.paste(pc.localDescription)
        await pc.setRemoteDescription(await self.describe(after))

    def paste(self, description: RTCSessionDescription) -> None:
        """Paste a description."""
        self._write({"sdp": description.sdp, "type": description.type})

    async def say_goodbye(self) -> None:
        """Paste a good-bye, at which the program ends."""
        self._write({"type": "bye"})
        await self.end()

    async def interrupt(self) -> None:
        """Press Ctrl-C, at which the program ends.

        Wherever that finds it, there is a KeyboardInterrupt, which may be told.
        """
        self._process.send_signal(signal.SIGINT)
        await self._wait()

    async def end(self) -> None:
        """Wait for the program's end, at which nothing must have gone wrong."""
        await self._wait()
        assert not [line for line in self.output if "Traceback" in line], self.output

    async def _wait(self) -> None:
        async with asyncio.timeout(DEADLINE):
            status = await self._process.wait()
            await self._reader
        assert status == 0, self.output

    def _write(self, message: dict[str, str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output.append(line.decode().rstrip())
            async with self._changed:
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()
