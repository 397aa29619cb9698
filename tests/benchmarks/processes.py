"""The servers that are loaded, as processes of their own, and what they take of the machine."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ServerProcess", "start_echo", "start_signaling"]

DEADLINE: Final = 90.0
ECHO: Final = """
import asyncio
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        await socket.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print("listening on", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True)
class _Child:
    pid: int


class ServerProcess:
    """A server that runs."""

    def __init__(self, process: "asyncio.subprocess.Process | _Child", port: int) -> None:
        self.port = port
        self._pid = process.pid
        self._proc = Path("/proc") / str(process.pid)

    def children(self) -> "list[ServerProcess]":
        """Return its workers."""
        found = (self._proc / "task" / str(self._pid) / "children").read_text().split()
        return [ServerProcess(_Child(int(pid)), self.port) for pid in found]

    def memory(self) -> int:
        """Return what it has in memory, in KiB."""
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")

    def cpu_time(self) -> float:
        """Return for how many seconds it has run."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _start(*arguments: str) -> AsyncIterator[ServerProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = (await process.stdout.readline()).decode()
        yield ServerProcess(process, int(line.strip().rpartition(":")[2].split()[-1]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def start_signaling(*more: str) -> AbstractAsyncContextManager[ServerProcess]:
    """Run a signaling server, with no bounds on rates, which are not what is measured."""
    options = ("--port=0", "--log-level=warning", "--rate=1000000", "--burst=1000000")
    return _start("-m", "restartice_signaling", *options, *more)


def start_echo() -> AbstractAsyncContextManager[ServerProcess]:
    """Run a server of `websockets` that sends all messages back."""
    return _start("-c", ECHO)
