"""A signaling server as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

DEADLINE = 60.0
PROGRAM = (sys.executable, "-m", "restartice_signaling")
FAST = ("--rate=1000000", "--burst=1000000")


class Node:
    """The process, and where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @classmethod
    async def start(cls, *options: str, environment: Mapping[str, str] | None = None) -> Self:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            "--port=0",  # unless the options have another one
            *options,
            "--log-level=error",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on "), line
        return cls(process, line.split()[-1])

    def resident(self) -> int:
        """Return how much of the process is in memory, in KiB."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def descriptors(self) -> int:
        """Return how many files and sockets it has open."""
        return len(list(Path("/proc", str(self.process.pid), "fd").iterdir()))

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let it do nothing for a while."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


@asynccontextmanager
async def node(*options: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Node]:
    started = await Node.start(*options, environment=environment)
    try:
        yield started
    finally:
        await started.kill()
