"""The connections to a server, counted from their first packet on; those too many are ended."""

import asyncio
import logging
from typing import Any

from .closing import CLOSE_TOO_SLOW
from .descriptors import spare_descriptors
from .frames import ThrottledSocket
from .limits import LENIENCE, RateLimit
from .logs import event
from .metrics import Metrics
from .settings import ServerSettings

__all__ = ["CountedSocket", "Door"]

logger = logging.getLogger(__name__)


class Door:
    """Lets connections in, and knows them all."""

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # Those who have not said hello, oldest first.
        self._pending: dict[CountedSocket, None] = {}
        self._entered: set[CountedSocket] = set()

    @property
    def flood_patience(self) -> float:
        """For how many seconds a client may be too fast without a pause."""
        return self._settings.flood_patience

    def make_rate(self) -> RateLimit:
        """Return what is enforced of the rate that a client is told."""
        limits = self._settings.limits
        return RateLimit(limits.rate * LENIENCE, limits.burst * LENIENCE)

    def count_flood(self) -> None:
        """Note that a client is ended because it was too fast."""
        self._metrics.refused["rate-limited"] += 1
        self._metrics.closed[CLOSE_TOO_SLOW] += 1

    def enter(self, socket: "CountedSocket") -> bool:
        """Note a connection; return False if it is one too many."""
        metrics, settings = self._metrics, self._settings
        if metrics.connections >= settings.max_connections:
            self._note_overload("too many connections")
            return False
        spare = spare_descriptors()
        if spare is not None and metrics.connections >= spare:
            self._note_overload("too few descriptors")
            # Whoever has said hello keeps its place.
            if not self._pending:
                return False
            self._cut_oldest()
        elif len(self._pending) >= settings.max_pending:
            self._note_overload("too many connections without a hello")
            # Who means it has said hello long before: it isn't those who come who are too many.
            self._cut_oldest()
        self._pending[socket] = None
        self._entered.add(socket)
        metrics.accepted += 1
        metrics.connections += 1
        metrics.pending = len(self._pending)
        return True

    def _note_overload(self, reason: str) -> None:
        self._metrics.refused["overload"] += 1
        event(logger, logging.WARNING, "overload", reason=reason)

    def _cut_oldest(self) -> None:
        oldest = next(iter(self._pending))
        self.seat(oldest)
        oldest.transport.abort()

    def seat(self, socket: "CountedSocket") -> None:
        """Note that a client has said hello, or never will."""
        self._pending.pop(socket, None)
        self._metrics.pending = len(self._pending)

    def leave(self, socket: "CountedSocket") -> None:
        """Note the end of a connection that has entered."""
        self.seat(socket)
        self._entered.discard(socket)
        self._metrics.connections -= 1

    def cut_pending(self) -> None:
        """End the connections of those who have not said hello."""
        for socket in list(self._pending):
            socket.transport.abort()

    def cut_all(self) -> int:
        """End all connections; return how many there were."""
        sockets = list(self._entered)
        for socket in sockets:
            socket.transport.abort()
        return len(sockets)


class CountedSocket(ThrottledSocket):
    """A connection that goes through the door."""

    def __init__(self, door: Door, *args: Any, **kwargs: Any) -> None:
        super().__init__(door.make_rate, door.flood_patience, *args, **kwargs)
        self._door = door
        self._entered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection, or end it at once."""
        super().connection_made(transport)
        self._entered = self._door.enter(self)
        if not self._entered:
            self.transport.abort()

    def count_as_flooding(self) -> None:
        """Note that the client is ended because it was too fast for too long."""
        self._door.count_flood()

    def count_as_seated(self) -> None:
        """Note that the client has said hello."""
        self._door.seat(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        if self._entered:
            self._door.leave(self)
