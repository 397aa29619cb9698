"""A queue of events between the connection and the application.

The connection keeps reading while the application is busy: an acknowledgment must not wait behind
events that the application hasn't taken. A message is acknowledged when the application takes its
event, so the server keeps the messages that wait here, and its limits bound this queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .events import Disconnected, Event, IceServersReceived, Reconnected

__all__ = ["EventQueue"]


@dataclass(frozen=True)
class _Entry:
    """An event, or None for a message without one, and a callback for when it is taken."""

    event: Event | None
    size: int
    on_taken: Callable[[], None] | None


class EventQueue:
    """Events in the order in which they happened.

    Attributes:
        size: The sum of the sizes that were passed to put_message().
    """

    def __init__(self) -> None:
        self.size = 0
        self._entries: deque[_Entry] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, event: Event) -> None:
        """Add an event that no message of the server has to be acknowledged for.

        To bound the queue, only the last outage without a loss and the last list of servers stay.
        """
        if isinstance(event, IceServersReceived):
            self._remove_ice_servers()
        elif isinstance(event, Disconnected):
            self._remove_last_outage()
        self._append(_Entry(event, 0, None))

    def put_message(self, event: Event | None, size: int, on_taken: Callable[[], None]) -> None:
        """Add the event of a message, and call back when it is taken."""
        if event is None and not self._entries:
            on_taken()
        else:
            self._append(_Entry(event, size, on_taken))

    def end(self) -> None:
        """Let take() return None once the queue is empty."""
        self._ended = True
        self._changed.set()

    async def take(self) -> Event | None:
        """Wait for the oldest event and return it, or None after end() and the last event.

        Several tasks may wait; each gets a different event. A cancelled call takes none.
        """
        while True:
            while self._entries:
                entry = self._entries.popleft()
                self.size -= entry.size
                if entry.on_taken is not None:
                    entry.on_taken()
                if entry.event is not None:
                    return entry.event
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()

    def _append(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.size += entry.size
        self._changed.set()

    def _remove_ice_servers(self) -> None:
        for entry in self._entries:
            if isinstance(entry.event, IceServersReceived):
                self._entries.remove(entry)
                return

    def _remove_last_outage(self) -> None:
        servers = []
        while self._entries and isinstance(self._entries[-1].event, IceServersReceived):
            servers.append(self._entries.pop())
        match [entry.event for entry in list(self._entries)[-2:]]:
            case [Disconnected(), Reconnected(resumed=True)]:
                self._entries.pop()
                self._entries.pop()
        self._entries.extend(servers)
