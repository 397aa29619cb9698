"""The connections to a server, counted from their first packet on; those too many are ended."""

import asyncio
import logging
from typing import Any, Final

from ..protocol.close_codes import CLOSE_TOO_SLOW
from ..protocol.rate_limit import LENIENCE, RateLimit, Throttle
from .admission import AdmissionQueue, source_of
from .descriptors import spare_descriptors
from .logs import event
from .metrics import Metrics
from .settings import ServerSettings
from .throttled_socket import ThrottledSocket

__all__ = ["ConnectionLimiter", "CountedSocket"]

logger = logging.getLogger(__name__)

# What is read at most of somebody whose turn it isn't, in one go.
MAX_WAITING: Final = 8192
PROBES: Final = (b"GET /healthz", b"GET /metrics")


class ConnectionLimiter:
    """Lets connections in, and knows them all."""

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # Those who have not said hello, oldest first.
        self._pending: dict[CountedSocket, None] = {}
        self._entered: set[CountedSocket] = set()
        self._turns: AdmissionQueue[CountedSocket] = AdmissionQueue(settings.newcomers)
        self._timer: asyncio.TimerHandle | None = None

    def make_throttle(self) -> Throttle:
        """Return what enforces the rate that a client is told."""
        limits = self._settings.limits
        rate = RateLimit(limits.rate * LENIENCE, limits.burst * LENIENCE)
        return Throttle(rate, self._settings.flood_patience)

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
        # Who waits for its turn isn't late; if all do, it is those of one address who are too many.
        oldest = next((socket for socket in self._pending if not socket.waits), None)
        if oldest is None:
            oldest = self._turns.newest_of_most() or next(iter(self._pending))
        self.note_hello(oldest)
        oldest.transport.abort()

    def ask(self, socket: "CountedSocket") -> bool:
        """Return whether a newcomer is dealt with at once; otherwise it is called later."""
        loop = socket.loop
        if self._turns.ask(socket, socket.source, loop.time()):
            return True
        self._metrics.delayed += 1
        self._call_later(loop)
        return False

    def _call_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            delay = max(0.0, self._turns.delay(loop.time()))
            self._timer = loop.call_later(delay, self._call_next, loop)

    def _call_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        socket = self._turns.take_next(loop.time())
        if socket is not None:
            socket.take_place()
            self._call_later(loop)

    def note_hello(self, socket: "CountedSocket") -> None:
        """Note that a client has said hello, or never will."""
        self._pending.pop(socket, None)
        self._metrics.pending = len(self._pending)

    def leave(self, socket: "CountedSocket") -> None:
        """Note the end of a connection that has entered."""
        self.note_hello(socket)
        if socket.served_at is not None:
            now = socket.loop.time()
            self._turns.note_end(now - socket.served_at, now)
        self._turns.forget(socket, socket.source)
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
    """A connection that the limiter counts.

    Attributes:
        source: Where it comes from.
        served_at: Since when the loop's clock says that it is dealt with.
        waits: Whether it has said something, and waits for its turn.
    """

    def __init__(self, limiter: ConnectionLimiter, *args: Any, **kwargs: Any) -> None:
        super().__init__(limiter.make_throttle, *args, **kwargs)
        self._limiter = limiter
        self._entered = False
        self.source = ""
        self.served_at: float | None = None
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection, or end it at once."""
        super().connection_made(transport)
        self.source = source_of(transport.get_extra_info("peername"))
        self._entered = self._limiter.enter(self)
        if not self._entered:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Deal with what has come, if it is our turn."""
        if self.served_at is None and not self.waits and self._entered:
            self._ask(data)
        if self.waits and len(data) > MAX_WAITING:
            self.transport.pause_reading()
        super().data_received(data)

    def _ask(self, data: bytes) -> None:
        if data.startswith(PROBES):
            # Whoever looks after the server mustn't take it for dead.
            self.source = "probe"
        if self._limiter.ask(self):
            self.served_at = self.loop.time()
        else:
            self.waits = True
            # Reading goes on, which tells of those who have gone.
            self._holds |= {"turn"}

    def take_place(self) -> None:
        """Deal with what has come."""
        self.waits = False
        self.served_at = self.loop.time()
        self._release("turn")

    def eof_received(self) -> None:
        """Give up a place in the queue, or look at all that is left."""
        if self.waits:
            self.transport.abort()
            return
        super().eof_received()

    def count_as_flooding(self) -> None:
        """Note that the client is ended because it was too fast for too long."""
        self._limiter.count_flood()

    def note_hello(self) -> None:
        """Note that the client has said hello."""
        self._limiter.note_hello(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        if self._entered:
            self._limiter.leave(self)
