"""A program as a process in a namespace, which speaks JSON lines on stdin and stdout."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
DEADLINE = 120.0

Event = dict[str, Any]


class Program:
    """A running program of this directory. Its events are kept, so that none can be missed."""

    def __init__(self, process: Process) -> None:
        self.events: list[Event] = []
        self._process = process
        self._changed = asyncio.Condition()
        self._ended = False
        self._orders = 0
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, namespace: str, name: str, *arguments: str) -> Self:
        """Start a program in a network namespace, which may import what tests do."""
        path = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", namespace, sys.executable, str(HERE / name), *arguments),
            stdin=PIPE,
            stdout=PIPE,
            limit=1 << 24,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(path)},
        )
        return cls(process)

    async def order(self, **order: Any) -> Event:
        """Tell the program something; return its answer."""
        self._orders += 1
        number = self._orders
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**order, "number": number}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.wait(lambda event: event.get("order") == number)

    async def wait(
        self, condition: Callable[[Event], bool], *, since: float = 0.0, deadline: float = DEADLINE
    ) -> Event:
        """Return the first event, of those at or after a time, that meets the condition."""

        def find() -> Event | None:
            recent = (event for event in self.events if event.get("at", since) >= since)
            return next((event for event in recent if condition(event)), None)

        try:
            async with asyncio.timeout(deadline), self._changed:
                await self._changed.wait_for(lambda: find() is not None or self._ended)
        except TimeoutError:
            raise AssertionError(
                f"waited {deadline} s in vain; last was {self.events[-8:]}"
            ) from None
        event = find()
        assert event is not None, f"the program has ended; last was {self.events[-8:]}"
        return event

    async def wait_for(self, name: str, *, since: float = 0.0, **values: Any) -> Event:
        """Return the first event of that name with these values."""
        expected = {"event": name, **values}
        return await self.wait(lambda event: expected.items() <= event.items(), since=since)

    async def wait_until_connected(self) -> None:
        """Return when the last that was told of the connection is that it is connected."""

        def is_connected(_: Event) -> bool:
            states = [e["state"] for e in self.events if e["event"] == "connectionState"]
            return states[-1:] == ["connected"]

        await self.wait(is_connected)

    async def kill(self) -> None:
        """End the program without notice."""
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def close(self) -> int:
        """Let the program end, or make it; return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(15):
                status = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            status = await self._process.wait()
        await self._reader
        return status

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            async with self._changed:
                self.events.append(event)
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
