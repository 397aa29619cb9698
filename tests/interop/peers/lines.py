"""Orders in, answers and events out: the side of a peer program that is written in Python.

An order is `{"number", "do", "pc", ...}`, a line of JSON on stdin. Its answer is
`{"answer": number, "result"}` or `{"answer": number, "error": {"name", "message"}}`; what happens
meanwhile is `{"event", "pc", ...}`. Orders don't wait for each other. The program ends with stdin.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

LIMIT = 1 << 24

Order = dict[str, Any]


def tell(**values: Any) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def obey(handle: Callable[[Order], Awaitable[Any]]) -> None:
    """Carry out the orders until there are no more."""
    reader = asyncio.StreamReader(limit=LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tell(event="ready", pc=0)
    tasks = set()
    async for line in reader:
        task = asyncio.create_task(answer(handle, json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def answer(handle: Callable[[Order], Awaitable[Any]], order: Order) -> None:
    """Carry out one order and tell what came of it."""
    try:
        tell(answer=order["number"], result=await handle(order))
    except Exception as error:  # noqa: BLE001  whatever the stack under test throws
        name = getattr(error, "name", None) or type(error).__name__
        tell(answer=order["number"], error={"name": str(name), "message": str(error)})


class Flow:
    """Numbered messages that go both ways, and the longest time in which none came."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.in_order = True
        self.numbers: set[int] = set()
        self.counter = Counter()
        self._task: asyncio.Task[None] | None = None

    def begin(self, send: Callable[[str], Any], interval: float) -> None:
        """Send a message every so many seconds."""
        self._task = asyncio.create_task(self._send(send, interval))

    def flood(self, send: Callable[[str], Any], count: int, size: int) -> None:
        """Send so many messages of so many bytes at once."""
        for _ in range(count):
            send(f"flow {self.sent}".ljust(size))
            self.sent += 1

    def end(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()

    def takes(self, text: object) -> bool:
        """Take a message; return whether it is one of these."""
        if not isinstance(text, str) or not text.startswith("flow "):
            return False
        number = int(text[5:])
        self.in_order = self.in_order and number == self.received
        self.numbers.add(number)
        self.received += 1
        self.counter.add()
        return True

    def take(self) -> dict[str, Any]:
        """Return the counts, and the longest time without a message since this was asked last."""
        return {
            "sent": self.sent,
            "received": self.received,
            "different": len(self.numbers),
            "inOrder": self.in_order,
            "gap": self.counter.take()["gap"],
        }

    async def _send(self, send: Callable[[str], Any], interval: float) -> None:
        while True:
            send(f"flow {self.sent}")
            self.sent += 1
            await asyncio.sleep(interval)


class Counter:
    """Counts what arrives, and remembers the longest time in between."""

    def __init__(self) -> None:
        self.count = 0
        self._gap = 0.0
        self._last: float | None = None

    def add(self) -> None:
        """Note that something has arrived."""
        now = asyncio.get_running_loop().time()
        if self._last is not None:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self.count += 1

    def take(self) -> dict[str, float]:
        """Return the count and the longest gap in milliseconds since the last call."""
        gap, self._gap = self._gap, 0.0
        if self._last is not None:
            gap = max(gap, asyncio.get_running_loop().time() - self._last)
        return {"count": self.count, "gap": round(1000 * gap, 1)}
