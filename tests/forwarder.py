"""A TCP forwarder that fails as networks do."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

CHUNK = 4096


class Forwarder:
    """Forwards connections to a port on this machine, until told otherwise.

    Args:
        target: The port.
        cut_after: Draws after how many bytes a new connection is cut, in the middle of whatever
            they are; None for never.
    """

    def __init__(self, target: int, cut_after: Callable[[], int] | None = None) -> None:
        self.target = target
        self.cut_after = cut_after
        self.cuts = 0
        self.connections = 0
        # Cut when this is about to be forwarded to the client, which doesn't get it. (What a client
        # sends can't be looked for: WebSocket masks it.)
        self.cut_before: bytes | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self._thawed.set()
        # They end by themselves, now that all is cut.
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def freeze(self) -> None:
        """Swallow nothing and forward nothing, as a network that is gone."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def thaw_new(self) -> None:
        """Forward what comes on new connections; those there are stay frozen."""
        self._thawed = asyncio.Event()
        self._thawed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._forward(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(far_writer)
        self.connections += 1
        budget = [None if self.cut_after is None else self.cut_after()]
        ways = [
            asyncio.create_task(self._pump(reader, far_writer, budget, may_match=False)),
            asyncio.create_task(self._pump(far_reader, writer, budget, may_match=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()
            self._writers -= {writer, far_writer}

    async def _pump(
        self,
        reader: Any,
        writer: asyncio.StreamWriter,
        budget: list[int | None],
        *,
        may_match: bool,
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._thawed.wait()
            if may_match and self.cut_before is not None and self.cut_before in data:
                self.cut_before = None
                self.cuts += 1
                return
            left = budget[0]
            if left is not None and len(data) > left:
                # What was before the cut may still arrive.
                writer.write(data[:left])
                await writer.drain()
                self.cuts += 1
                return
            if left is not None:
                budget[0] = left - len(data)
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def forwarder(
    target: int, cut_after: Callable[[], int] | None = None
) -> AsyncIterator[Forwarder]:
    made = Forwarder(target, cut_after)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def random_lengths(seed: int, low: int, high: int) -> Callable[[], int]:
    chance = random.Random(seed)
    return lambda: chance.randint(low, high)
