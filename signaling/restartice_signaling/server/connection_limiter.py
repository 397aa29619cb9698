"""Counts the connections to a server from their first packet on, and limits their number."""

import asyncio
import logging
from typing import Any, Final

from websockets.http11 import Response
from websockets.server import ServerProtocol

from ..protocol.close_codes import CLOSE_TOO_SLOW
from ..protocol.rate_limit import LENIENCE, RateLimit, Throttle
from .admission import AdmissionQueue, source_of
from .descriptors import spare_descriptors
from .logs import event
from .metrics import Metrics
from .settings import ServerSettings
from .throttled_socket import ThrottledSocket

__all__ = ["MAX_RECORD", "AdoptedProtocol", "AdoptedSocket", "ConnectionLimiter", "CountedSocket"]

logger = logging.getLogger(__name__)

# The most bytes that are read at a time from a connection that waits for its turn.
MAX_WAITING: Final = 8192
# The most bytes that are kept of a connection until its hello is processed.
MAX_RECORD: Final = 131_072
PROBES: Final = (b"GET /healthz", b"GET /metrics")


class ConnectionLimiter:
    """Admits connections, and has a list of them.

    Args:
        settings: The settings of the server.
        metrics: Its counters.
        records: Whether to keep what clients send until their hello is processed.
    """

    def __init__(
        self, settings: ServerSettings, metrics: Metrics, *, records: bool = False
    ) -> None:
        self.records = records
        self._settings = settings
        self._metrics = metrics
        # Connections without a hello, oldest first.
        self._pending: dict[CountedSocket, None] = {}
        self._entered: set[CountedSocket] = set()
        self._turns: AdmissionQueue[CountedSocket] = AdmissionQueue(settings.newcomers)
        self._timer: asyncio.TimerHandle | None = None

    def make_throttle(self) -> Throttle:
        """Return the throttle for a client."""
        limits = self._settings.limits
        rate = RateLimit(limits.rate * LENIENCE, limits.burst * LENIENCE)
        return Throttle(rate, self._settings.flood_patience)

    def count_flood(self) -> None:
        """Count a client that is closed because it was too fast."""
        self._metrics.refused["rate-limited"] += 1
        self._metrics.closed[CLOSE_TOO_SLOW] += 1

    def enter(self, socket: "CountedSocket") -> bool:
        """Count a connection; return False if there are too many."""
        metrics, settings = self._metrics, self._settings
        if metrics.connections >= settings.max_connections:
            self._note_overload("too many connections")
            return False
        spare = spare_descriptors()
        if spare is not None and metrics.connections >= spare:
            self._note_overload("too few descriptors")
            # Clients that have said hello stay.
            if not self._pending:
                return False
            self._cut_oldest()
        elif len(self._pending) >= settings.max_pending:
            self._note_overload("too many connections without a hello")
            # A genuine client would have sent its hello by now, so drop the oldest connection
            # without a hello, not the newcomer.
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
        # A connection that waits for its turn isn't late. If all wait, one address has too many.
        oldest = next((socket for socket in self._pending if not socket.waits), None)
        if oldest is None:
            oldest = self._turns.newest_of_most() or next(iter(self._pending))
        self.note_hello(oldest)
        oldest.transport.abort()

    def ask(self, socket: "CountedSocket") -> bool:
        """Return whether a newcomer is served at once; otherwise take_place() is called later."""
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
        """Note that a client has sent its hello, or never will."""
        self._pending.pop(socket, None)
        self._metrics.pending = len(self._pending)

    def count_handed_over(self) -> None:
        """Count a client that another worker serves."""
        self._metrics.handed_over += 1

    def leave(self, socket: "CountedSocket") -> None:
        """Note the end of a connection that was counted."""
        self.note_hello(socket)
        if socket.served_at is not None:
            now = socket.loop.time()
            self._turns.note_end(now - socket.served_at, now)
        self._turns.forget(socket, socket.source)
        self._entered.discard(socket)
        self._metrics.connections -= 1

    def cut_pending(self) -> None:
        """Abort the connections without a hello."""
        for socket in list(self._pending):
            socket.transport.abort()

    def cut_all(self) -> int:
        """Abort all connections; return their number."""
        sockets = list(self._entered)
        for socket in sockets:
            socket.transport.abort()
        return len(sockets)


class CountedSocket(ThrottledSocket):
    """A connection that the limiter counts.

    Attributes:
        source: The source of the connection; see `source_of`.
        served_at: The time of the loop's clock since which it is served, or None.
        waits: Whether it has sent something, and waits for its turn.
        record: All that has come, until it is known who keeps the room; None if it is too much.
    """

    def __init__(self, limiter: ConnectionLimiter, *args: Any, **kwargs: Any) -> None:
        super().__init__(limiter.make_throttle, *args, **kwargs)
        self._limiter = limiter
        self._entered = False
        self.source = ""
        self.served_at: float | None = None
        self.waits = False
        self.record: bytes | None = b"" if limiter.records else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or abort it."""
        super().connection_made(transport)
        self.source = source_of(transport.get_extra_info("peername"))
        self._entered = self._limiter.enter(self)
        if not self._entered:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Process the data if it is this connection's turn; otherwise keep it."""
        if self.record is not None:
            self.record += data
            if len(self.record) > MAX_RECORD:
                self.end_record()
        if self.served_at is None and not self.waits and self._entered:
            self._ask(data)
        if self.waits and len(data) > MAX_WAITING:
            self.transport.pause_reading()
        super().data_received(data)

    def _ask(self, data: bytes) -> None:
        if data.startswith(PROBES):
            # A health check must not wait, or the server would look dead.
            self.source = "probe"
        if self._limiter.ask(self):
            self.served_at = self.loop.time()
        else:
            self.waits = True
            # Keep reading, to notice if the client leaves.
            self._holds |= {"turn"}

    def take_place(self) -> None:
        """Process the data that has come."""
        self.waits = False
        self.served_at = self.loop.time()
        self._release("turn")

    def eof_received(self) -> None:
        """Leave the queue, or process the rest of the data."""
        if self.waits:
            self.transport.abort()
            return
        super().eof_received()

    def count_as_flooding(self) -> None:
        """Count a client that is closed because it was too fast for too long."""
        self._limiter.count_flood()

    def note_hello(self) -> None:
        """Note that the client has sent its hello."""
        self._limiter.note_hello(self)

    def end_record(self) -> None:
        """Forget what has come."""
        self.record = None

    def hand_over(self) -> None:
        """Let go of the connection, which stays open in another process."""
        self.end_record()
        self._limiter.count_handed_over()
        # It isn't a short one.
        self.served_at = None
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        if self._entered:
            self._limiter.leave(self)


class AdoptedProtocol(ServerProtocol):
    """The protocol of a connection whose opening handshake another process has answered."""

    def send_response(self, response: Response) -> None:
        """Note the response, but don't send it."""
        super().send_response(response)
        self.data_to_send()


class AdoptedSocket(CountedSocket):
    """A connection from another process.

    Args:
        record: All that came there.
        limiter: Counts the connection.
    """

    def __init__(
        self, record: bytes, limiter: ConnectionLimiter, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(limiter, *args, **kwargs)
        self._came_before = record

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Process what came before; the connection has had its turn."""
        super().connection_made(transport)
        record, self._came_before = self._came_before, b""
        if self._entered:
            self.served_at = self.loop.time()
            self.data_received(record)
