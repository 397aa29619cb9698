"""What the application is still to be told, so that the connection needn't wait for it.

The connection to the server is read on, whatever the application does: acknowledgments of what it
sends must not wait behind what it hasn't taken yet. A message is acknowledged only when it has been
taken, so that the server keeps what waits here, and doesn't bring more than it keeps.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .events import Disconnected, Event, IceServersReceived, Reconnected

__all__ = ["EventQueue"]


@dataclass(frozen=True)
class _Entry:
    """An event, or None for a message that means none; and what is to be done when it is taken."""

    event: Event | None
    size: int
    on_taken: Callable[[], None] | None


class EventQueue:
    """Events in the order in which they happened.

    Attributes:
        size: The size of all messages in it, as it was told.
    """

    def __init__(self) -> None:
        self.size = 0
        self._entries: deque[_Entry] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, event: Event) -> None:
        """Add what happened here, without a message that has to be acknowledged.

        Of outages without a loss only the last one stays, and of lists of servers, too, so that
        these can't grow without end.
        """
        if isinstance(event, IceServersReceived):
            self._remove_ice_servers()
        elif isinstance(event, Disconnected):
            self._remove_last_outage()
        self._append(_Entry(event, 0, None))

    def put_message(self, event: Event | None, size: int, on_taken: Callable[[], None]) -> None:
        """Add what a message means, and call back when it is taken."""
        if event is None and not self._entries:
            on_taken()
        else:
            self._append(_Entry(event, size, on_taken))

    def end(self) -> None:
        """Nothing will be added any more."""
        self._ended = True
        self._changed.set()

    async def take(self) -> Event | None:
        """Return the oldest event, or None when all have been taken and there will be no more.

        It waits for one. There may be several who wait, each of whom gets another one. Being
        canceled, it takes nothing.
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
