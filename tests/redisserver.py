"""A real Redis on loopback, with files and a port of its own."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ports import free_port
from requiring import require

DEADLINE = 60.0


class RedisServer:
    """A Redis that keeps all that it was told, also when it is killed.

    It hands what it is told to the kernel before it answers. Only the end of the whole machine
    would need `appendfsync always`, which is as slow as the disk.
    """

    def __init__(self, directory: Path) -> None:
        executable = shutil.which("redis-server")
        require(executable, "redis-server (Debian package redis-server)")
        assert executable is not None
        self._executable = executable
        self._directory = directory
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self, *, empty: bool = False) -> None:
        if empty:
            for folder in self._directory.glob("appendonlydir"):
                shutil.rmtree(folder)
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = await asyncio.create_subprocess_exec(
            self._executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while b"Ready to accept connections" not in (
                line := await self._process.stdout.readline()
            ):
                assert line, "redis-server has ended"

    def pause(self) -> None:
        """Let it hang: it answers nothing, and closes nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@asynccontextmanager
async def redis_server(directory: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(directory)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
