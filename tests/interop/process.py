"""A peer program in a process of its own, and the ends of calls in it."""

import asyncio
import itertools
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent / "peers"
DEADLINE = 120.0
LIMIT = 1 << 24
# Of the text of an error, as messages may be long.
LONGEST = 2000

Event = dict[str, Any]


class PeerError(Exception):
    """What the peer's stack threw when it was told to do something."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class PeerProcess:
    """A running peer program. It serves many calls, one after the other."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._control = End(self, 0)
        self._ends = {0: self._control}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, namespace: str, command: Sequence[str]) -> Self:
        """Start a program in a network namespace."""
        process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", namespace, *command),
            stdin=PIPE,
            stdout=PIPE,
            limit=LIMIT,
            cwd=HERE,
            start_new_session=True,
        )
        peer = cls(process)
        try:
            await peer._control.wait("ready")
        except BaseException:
            await peer.close()
            raise
        return peer

    async def new(self, **options: Any) -> "End":
        """Make a connection.

        Args:
            options: `stays`, whether one of restartice leaves no path by itself, so that it takes a
                restart; `prefer`, which networks it prefers. Others do as they always do.
        """
        number = len(self._ends)
        end = self._ends[number] = End(self, number)
        await end.do("new", **options)
        return end

    async def order(self, **order: Any) -> Any:
        """Tell the program something; return its answer.

        Raises:
            PeerError: The peer's stack refused.
        """
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**order, "number": number}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(DEADLINE):
            return await self._answers[number]

    async def close(self) -> None:
        """Let the program end, or make it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await self._process.wait()
        except TimeoutError:
            # Where node is a script, the real one is its child, as a browser is its driver's.
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(json.loads(line))
        for future in self._answers.values():
            future.set_exception(PeerError("Ended", "the program has ended"))
        for end in self._ends.values():
            await end.notice({"event": "ended-program"})

    def _take(self, message: Event) -> None:
        if "event" in message:
            self._ends[message["pc"]].notice_soon(message)
            return
        future = self._answers.pop(message["answer"])
        if future.cancelled():
            return
        if error := message.get("error"):
            future.set_exception(PeerError(error["name"], error["message"]))
        else:
            future.set_result(message["result"])


class End:
    """One end of a call: a connection in a peer program, and all that has happened to it."""

    def __init__(self, process: PeerProcess, number: int) -> None:
        self.events: list[Event] = []
        self._process = process
        self._number = number
        self._changed = asyncio.Condition()
        self._noticing: set[asyncio.Task[None]] = set()

    async def do(self, what: str, **values: Any) -> Any:
        """Let the connection do something; return the result."""
        return await self._process.order(do=what, pc=self._number, **values)

    async def wait(self, event: str, *, count: int = 1, **values: Any) -> list[Event]:
        """Return when there have been as many events of that name with these values."""
        expected = {"event": event, **values}
        result: list[Event] = await self.wait_until(
            lambda: found if len(found := self.matching(expected)) >= count else None,
            f"{count} times {expected}",
        )
        return result

    async def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Return what the condition returns when that is true; it's looked at after each event."""
        try:
            async with asyncio.timeout(DEADLINE), self._changed:
                while not (result := condition()):
                    if self.events and self.events[-1]["event"] == "ended-program":
                        raise AssertionError(f"the program has ended; waited for {what}")
                    await self._changed.wait()
        except TimeoutError:
            last = [event for event in self.events if event["event"] != "icecandidate"][-12:]
            raise AssertionError(
                f"waited in vain for {what[:LONGEST]}; last was {str(last)[-LONGEST:]}"
            ) from None
        return result

    async def wait_forever(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds, which is looked at after each event."""
        async with self._changed:
            await self._changed.wait_for(condition)

    def last_state(self, name: str) -> str | None:
        """Return what a state such as `connectionState` was last told to have become."""
        found = self.matching({"event": name.lower() + "change"})
        return str(found[-1]["state"]) if found else None

    def matching(self, expected: Event) -> list[Event]:
        """Return the events with these values."""
        return [event for event in self.events if expected.items() <= event.items()]

    def notice_soon(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        task = asyncio.ensure_future(self._notify())
        self._noticing.add(task)
        task.add_done_callback(self._noticing.discard)

    async def notice(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
