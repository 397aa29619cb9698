"""The client's connection to a server, which reconnects when it is lost."""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..cancellation import end
from ..errors import BadMessage, SignalingClosed
from ..protocol.close_codes import CLOSE_REPLACED, FINAL_CODES
from ..protocol.decoding import decode_with_ack
from ..protocol.encoding import encode, numbered
from ..protocol.messages import (
    Ack,
    Bye,
    Error,
    GoAway,
    IceServers,
    Message,
    PeerEvent,
    Ping,
    Pong,
    Signal,
)
from ..protocol.rate_limit import RateLimit
from .event_queue import EventQueue
from .events import Disconnected, Event, Refused, event_of
from .reconnecting import CLOSE_TIMEOUT, OPEN_TIMEOUT, Dialer
from .session import ClientSession

__all__ = ["Connection"]

logger = logging.getLogger(__name__)

TICK: Final = 1.0
# The server keeps twice its limits for a session that acknowledges nothing, and a new session may
# follow before the application takes the events of the old one.
SESSIONS_UNTAKEN: Final = 8


class Connection:
    """Carries a session over one socket after another.

    Args:
        dialer: Opens the sockets.
        session: The session.
        events: The queue of events for the application.
        notify: Called when peers or the outbox have changed.
    """

    def __init__(
        self,
        dialer: Dialer,
        session: ClientSession,
        events: EventQueue,
        notify: Callable[[], None],
    ) -> None:
        self._dialer = dialer
        self._session = session
        self._events = events
        self._notify = notify
        self._socket: ClientConnection | None = None
        self._sent = 0
        self._asides: deque[str] = deque()
        self._wakeup = asyncio.Event()
        self._leaving = False
        self._left = asyncio.Event()
        self._connected_at = 0.0
        self._heard = 0.0

    # What the client calls.

    async def open(self) -> None:
        """Connect for the first time.

        Raises:
            ServerError: The server refuses the client.
            SignalingClosed: The server can't be reached, or doesn't speak the protocol.
        """
        self._use(*await self._dialer.dial())

    async def run(self, *, again: bool = True) -> None:
        """Carry the session until it ends.

        Args:
            again: Whether to reconnect when the connection is lost.

        Raises:
            SignalingClosed: The server has ended the session, or can't be reached for too long.
            ServerError: The server refuses the client when it reconnects.
        """
        while True:
            closed = await self._serve()
            code = None if closed is None or closed.rcvd is None else closed.rcvd.code
            reason = "the server has closed the connection" if closed is None else str(closed)
            # An earlier attempt may have reached the server late and replaced this connection.
            young = time.monotonic() - self._connected_at < OPEN_TIMEOUT
            is_final = code in FINAL_CODES and not (code == CLOSE_REPLACED and young)
            if is_final or not again:
                raise SignalingClosed(f"the connection to the server is lost: {reason}")
            logger.info("%s: lost the connection, close code %s", self._session.label, code)
            self._events.put(Disconnected(reason))
            self._use(*await self._dialer.dial_again())

    def _use(self, socket: ClientConnection, events: Sequence[Event]) -> None:
        """Use a socket on which the welcome has come."""
        self._socket = socket
        self._connected_at = time.monotonic() if self._session.resumed else -OPEN_TIMEOUT
        how = "resumed its session" if self._session.resumed else "began a session"
        logger.info("%s: connected, and %s", self._session.label, how)
        self._sent = self._session.outbox.acknowledged
        self._asides.clear()
        # Any message shows the server that the welcome has arrived.
        self._say(Ping(time.monotonic()))
        self._notify()
        for event in events:
            self._events.put(event)

    def wake(self) -> None:
        """Send what waits."""
        self._wakeup.set()

    @property
    def local_address(self) -> str | None:
        """The address of this machine that the connection uses, or None if there is none."""
        address = None if self._socket is None else self._socket.local_address
        return None if address is None else str(address[0])

    def hurry(self) -> None:
        """Reconnect now."""
        self._dialer.hurry()
        if self._socket is not None:
            self._socket.transport.abort()

    async def leave(self) -> None:
        """Send the waiting messages and a bye, and close."""
        socket = self._socket
        if socket is None:
            return
        self._leaving = True
        self._wakeup.set()
        try:
            await self._say_bye(socket)
            await socket.close()
        finally:
            # Has no effect unless this call was cancelled: the socket is closed.
            socket.transport.abort()

    async def _say_bye(self, socket: ClientConnection) -> None:
        gone = asyncio.ensure_future(socket.wait_closed())
        left = asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait(
                [gone, left], timeout=CLOSE_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            gone.cancel()
            left.cancel()

    # Carrying.

    async def _serve(self) -> ConnectionClosed | None:
        """Read and write until the socket is closed; return the reason."""
        socket = self._socket
        assert socket is not None
        self._heard = time.monotonic()
        self._wakeup.set()
        tasks = [asyncio.create_task(step(socket)) for step in (self._write, self._watch)]
        try:
            # Nothing here waits for the application, which may wait for a message itself.
            async for frame in socket:
                self._heard = time.monotonic()
                self._take(frame)
        except ConnectionClosed as closed:
            return closed
        except BadMessage:
            # A message is missing; the server sends it again on the next connection.
            socket.transport.abort()
        finally:
            self._socket = None
            await end(tasks)
            if not self._leaving:
                socket.transport.abort()
        return None

    async def _watch(self, socket: ClientConnection) -> None:
        """Keep the connection alive, and notice when it is dead."""
        beat = self._session.heartbeat
        tick = min(TICK, beat.interval / 2)
        next_ping = time.monotonic() + beat.interval
        while True:
            await asyncio.sleep(tick)
            now = time.monotonic()
            if now - self._heard > beat.timeout:
                socket.transport.abort()
                return
            if now >= next_ping:
                next_ping = now + beat.interval
                self._say(Ping(now))
            if self._session.inbox.ack_due(now):
                self._wakeup.set()

    def _say(self, message: Message) -> None:
        if len(self._asides) < 64:
            self._asides.append(encode(message))
            self._wakeup.set()

    async def _write(self, socket: ClientConnection) -> None:
        session = self._session
        limits = session.limits
        rate = RateLimit(limits.rate, limits.burst)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._asides:
                    await socket.send(self._asides.popleft())
                while waiting := next(session.outbox.after(self._sent), None):
                    await asyncio.sleep(rate.take(time.monotonic()))
                    seq, text = waiting
                    await socket.send(numbered(text, seq, session.inbox.take_ack()))
                    self._sent = seq
                if session.inbox.ack_due(time.monotonic()):
                    await socket.send(encode(Ack(session.inbox.take_ack() or session.inbox.last)))
                if self._leaving:
                    await socket.send(encode(Bye()))
                    self._left.set()
                    return

    def _take(self, frame: str | bytes) -> None:
        """Act on a message of the server.

        Raises:
            BadMessage: A message before it is missing.
            SignalingClosed: The application has left too many events unread.
        """
        try:
            message, ack = decode_with_ack(frame)
        except BadMessage as error:
            self._take_bad(error, len(frame))
            return
        if ack is not None:
            self._acknowledge(ack)
        if isinstance(message, Signal | PeerEvent):
            self._take_in_order(message, len(frame))
        elif isinstance(message, Ack):
            self._acknowledge(message.seq)
        else:
            self._take_aside(message)

    def _take_bad(self, error: BadMessage, size: int) -> None:
        if error.ref is None:
            self._put_aside(Refused(error))
        elif error.ref > 0 and self._session.inbox.take(error.ref, time.monotonic()):
            self._put_message(Refused(error), error.ref, size)

    def _take_in_order(self, message: Signal | PeerEvent, size: int) -> None:
        now = time.monotonic()
        if self._session.inbox.take(message.seq, now):
            try:
                event = self._session.read(message)
            except BadMessage as error:
                event = Refused(error)
            self._notify()
            self._put_message(event, message.seq, size)
        elif self._session.inbox.ack_due(now):
            self._wakeup.set()

    def _put_message(self, event: Event | None, seq: int, size: int) -> None:
        limits = self._session.limits
        too_many = len(self._events) > SESSIONS_UNTAKEN * limits.max_unacknowledged
        if too_many or self._events.size > SESSIONS_UNTAKEN * limits.max_buffered:
            raise SignalingClosed("the application has left too many events unread")
        inbox = self._session.inbox

        # Only when it is taken, so that the server repeats what the application didn't get.
        def note() -> None:
            now = time.monotonic()
            inbox.note(seq, now)
            if inbox.ack_due(now):
                self._wakeup.set()

        self._events.put_message(event, size, note)

    def _put_aside(self, event: Event) -> None:
        # These aren't acknowledged, so the server doesn't bound how many wait here.
        if len(self._events) < SESSIONS_UNTAKEN * self._session.limits.max_unacknowledged:
            self._events.put(event)

    def _take_aside(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._say(Pong(message.t))
        elif isinstance(message, IceServers):
            for refused in self._session.check_ice(message):
                self._put_aside(refused)
            self._events.put(self._session.take_ice(message))
        elif isinstance(message, GoAway):
            self._dialer.wait_at_least(random.uniform(*message.reconnect_in))
        elif (event := event_of(message)) is not None:
            if isinstance(message, Error) and message.retry_after is not None:
                self._dialer.wait_at_least(message.retry_after * random.random())
            self._put_aside(event)

    def _acknowledge(self, seq: int) -> None:
        self._session.outbox.acknowledge(seq)
        self._notify()
