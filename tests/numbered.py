"""Numbered messages in both directions, all of which must arrive once and in order."""

import asyncio
from collections.abc import Awaitable, Callable

from restartice_signaling import CustomReceived, Reconnected, WebSocketSignaling

# Within how many seconds something must come, whatever is cut: all of it takes as long as it takes.
STALL = 60.0


class Flow:
    """Two clients that send each other numbers."""

    def __init__(self, first: WebSocketSignaling, second: WebSocketSignaling, count: int) -> None:
        self._peers = (first, second)
        self._count = count
        self.received: dict[str, list[int]] = {"a": [], "b": []}
        self.reconnected: list[Reconnected] = []
        self._progress = asyncio.Event()

    async def run(self, *meanwhile: Callable[["Flow"], Awaitable[None]]) -> None:
        """Exchange all messages while something else happens; check that they came in order."""
        async with asyncio.TaskGroup() as group:
            for signaling in self._peers:
                group.create_task(self._send(signaling))
                group.create_task(self._receive(signaling))
            for step in meanwhile:
                group.create_task(step(self))  # type: ignore[arg-type]
        expected = list(range(self._count))
        for name, numbers in self.received.items():
            assert numbers == expected, name

    async def until(self, share: float) -> None:
        """Return when that share of the messages has come on both sides."""
        while min(map(len, self.received.values())) < share * self._count:
            self._progress.clear()
            await self._progress.wait()

    async def _send(self, signaling: WebSocketSignaling) -> None:
        other = "b" if signaling.peer == "a" else "a"
        for number in range(self._count):
            await signaling.send_custom(number, other)

    async def _receive(self, signaling: WebSocketSignaling) -> None:
        assert signaling.peer is not None
        numbers = self.received[signaling.peer]
        events = aiter(signaling)
        while len(numbers) < self._count:
            async with asyncio.timeout(STALL):
                event = await anext(events)
            if isinstance(event, CustomReceived):
                numbers.append(event.value)
                self._progress.set()
            elif isinstance(event, Reconnected):
                # Else a session was lost.
                assert event.resumed, f"{signaling.peer} after {len(numbers)} numbers: {event}"
                self.reconnected.append(event)
