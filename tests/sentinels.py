"""A Redis with replicas, and Sentinels that make one of these the primary if it dies."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from ports import free_port
from requiring import require

__all__ = ["Failover", "sentinels"]

DEADLINE = 60.0
SERVICE = "rooms"
REPLICAS = 2
SENTINELS = 3
# After how many milliseconds of silence a primary is taken for dead.
SILENCE = 1000


def _client(port: int) -> Any:
    return redis.asyncio.Redis(host="127.0.0.1", port=port)


class Failover:
    """The processes, on loopback.

    Attributes:
        url: The URL for `--redis`.
        replicas: The ports of the replicas, in the beginning.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self.first = free_port()
        self.replicas = [free_port() for _ in range(REPLICAS)]
        self._sentinels = [free_port() for _ in range(SENTINELS)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._sentinels)
        self.url = f"redis+sentinel://{hosts}/{SERVICE}/0"

    async def start(self) -> None:
        """Start all, and return when the Sentinels know each other and the replicas."""
        await self.start_redis(self.first)
        for port in self.replicas:
            await self.start_redis(port, f"replicaof 127.0.0.1 {self.first}")
        # Sentinels ask at once when they begin, and then every ten seconds.
        async with asyncio.timeout(DEADLINE):
            while not await self._is_copied():  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.05)
        for port in self._sentinels:
            await self._start("redis-sentinel", port, self._sentinel_settings())
        for port in self._sentinels:
            try:
                async with asyncio.timeout(DEADLINE):
                    while not await self._knows_all(port):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
            except TimeoutError:
                ended = {port: process.returncode for port, process in self._processes.items()}
                state = await self._ask_sentinel(port)
                raise AssertionError(f"Sentinel {port}: {state}; statuses: {ended}") from None

    def _sentinel_settings(self) -> str:
        monitor = f"sentinel monitor {SERVICE} 127.0.0.1 {self.first} {SENTINELS // 2 + 1}"
        return "\n".join(
            [
                monitor,
                f"sentinel down-after-milliseconds {SERVICE} {SILENCE}",
                # An election without a majority is repeated after twice this. A promotion that
                # takes longer, on a busy machine, is given up for another one.
                f"sentinel failover-timeout {SERVICE} 5000",
            ]
        )

    async def start_redis(self, port: int, *settings: str) -> None:
        lines = ["appendonly yes", "appendfsync no", 'save ""', "repl-diskless-sync-delay 0"]
        await self._start("redis-server", port, "\n".join([*lines, *settings]))

    async def _start(self, program: str, port: int, settings: str) -> None:
        executable = shutil.which(program)
        require(executable, f"{program} (Debian package {program})")
        assert executable is not None
        folder = self._directory / str(port)
        folder.mkdir(exist_ok=True)
        file = folder / "redis.conf"
        file.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\n{settings}\n")
        self._processes[port] = await asyncio.create_subprocess_exec(
            executable, str(file), stdout=asyncio.subprocess.DEVNULL
        )

    async def _is_copied(self) -> bool:
        """Say if all replicas follow the primary."""
        try:
            async with _client(self.first) as client:
                state = await client.info("replication")
        except RedisError:
            return False
        found = [state.get(f"slave{number}", {}).get("state") for number in range(REPLICAS)]
        return found == ["online"] * REPLICAS

    async def cut_replicas(self) -> None:
        """Let the first primary keep what it gets from now on to itself.

        To let replicas follow another one isn't enough: Sentinels change that back in two seconds.
        """
        async with _client(self.first) as client:
            await client.execute_command("ACL", "SETUSER", "default", "-psync", "-sync")
            await client.execute_command("CLIENT", "KILL", "TYPE", "replica")

    async def _knows_all(self, port: int) -> bool:
        state = await self._ask_sentinel(port)
        others = state.get("num-other-sentinels"), state.get("num-slaves")
        return others == (SENTINELS - 1, REPLICAS) and state["flags"] == "master"

    async def _ask_sentinel(self, port: int) -> dict[str, object]:
        try:
            async with _client(port) as client:
                return dict(await client.sentinel_master(SERVICE))
        except RedisError:
            return {}

    async def fail_over(self) -> None:
        """Let a replica become the primary while the one before goes on for a moment."""
        async with _client(self._sentinels[0]) as client:
            await client.execute_command("SENTINEL", "FAILOVER", SERVICE)

    async def primary(self) -> int:
        """Return the port of the primary, as the Sentinels say."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for port in self._sentinels:
                    if state := await self._ask_sentinel(port):
                        return int(str(state["port"]))
                await asyncio.sleep(0.1)

    async def replaced(self, port: int) -> int:
        """Return the port of the next primary, when all agree on one in place of another.

        Until a replica follows it, Sentinels may take it back for another one.
        """
        async with asyncio.timeout(DEADLINE):
            while True:
                states = [await self._ask_sentinel(sentinel) for sentinel in self._sentinels]
                named = {int(str(state["port"])) for state in states if state}
                if len(named) == 1 and port not in named and await self._is_followed(*named):
                    return named.pop()
                await asyncio.sleep(0.1)

    async def _is_followed(self, port: int) -> bool:
        """Say if a Redis is a primary that a replica follows."""
        try:
            async with _client(port) as client:
                state = await client.info("replication")
        except RedisError:
            return False
        followers = [state.get(f"slave{number}", {}).get("state") for number in range(REPLICAS)]
        return state["role"] == "master" and "online" in followers

    async def kill(self, port: int) -> None:
        """Kill a process."""
        process = self._processes.pop(port)
        if process.returncode is None:
            process.kill()
        await process.wait()

    def pause(self, port: int) -> None:
        """Let a process hang."""
        self._processes[port].send_signal(signal.SIGSTOP)

    def go_on(self, port: int) -> None:
        """Let it go on."""
        self._processes[port].send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """Kill all."""
        for port in list(self._processes):
            await self.kill(port)


@asynccontextmanager
async def sentinels(directory: Path) -> AsyncIterator[Failover]:
    """Run all of them."""
    there = Failover(directory)
    try:
        await there.start()
        yield there
    finally:
        await there.close()
