"""The client's connection to a server, made anew whenever it is lost."""

import asyncio
import contextlib
import itertools
import random
import ssl as tls
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from .closing import CLOSE_REPLACED, FINAL_CODES
from .decoding import decode, decode_with_ack
from .errors import BadMessage, ServerError, SignalingClosed
from .events import Disconnected, Event, Refused
from .limits import RateLimit, pauses
from .messages import (
    SUBPROTOCOL,
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
    Welcome,
    encode,
    numbered,
)
from .session import ClientSession

__all__ = ["Link", "TokenSource"]

TokenSource = str | Callable[[], Awaitable[str]]

TICK: Final = 1.0
OPEN_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 5.0
FRAME_LIMIT: Final = 2**20
# With these the server says that trying again would not help.
FINAL_ERRORS: Final = frozenset({"auth", "room-full", "protocol", "too-large"})


class Link:
    """Carries a session over one socket after another.

    Args:
        urls: The servers, tried in turn.
        session: What is carried.
        token: What lets us in, or a function that gets it.
        ssl: For `wss`.
        deliver: Takes an event to the application, and waits until there is room for it.
        notify: Called when peers or the outbox have changed.
    """

    def __init__(
        self,
        urls: Sequence[str],
        session: ClientSession,
        *,
        token: TokenSource | None,
        ssl: tls.SSLContext | None,
        give_up_after: float | None,
        deliver: Callable[[Event], Awaitable[None]],
        notify: Callable[[], None],
    ) -> None:
        self._urls = itertools.cycle(urls)
        self._url = next(self._urls)
        self._session = session
        self._token = token
        self._ssl = ssl
        self._give_up_after = give_up_after
        self._deliver = deliver
        self._notify = notify
        self._socket: ClientConnection | None = None
        self._sent = 0
        self._asides: deque[str] = deque()
        self._wakeup = asyncio.Event()
        self._hurry = asyncio.Event()
        self._leaving = False
        self._left = asyncio.Event()
        self._not_before = 0.0
        self._connected_at = 0.0
        self._heard = 0.0
        self._listening = True

    # What the client calls.

    async def open(self) -> list[Event]:
        """Connect for the first time; return what the application is told.

        Raises:
            ServerError: The server doesn't let us in.
            SignalingClosed: It can't be reached, or doesn't speak the protocol.
        """
        return await self._dial()

    async def run(self) -> None:
        """Carry the session, until it can't be carried any more.

        Raises:
            SignalingClosed: The server has ended it, or can't be reached for too long.
            ServerError: The server doesn't let us in again.
        """
        while True:
            closed = await self._serve()
            code = None if closed is None or closed.rcvd is None else closed.rcvd.code
            reason = "the server has closed the connection" if closed is None else str(closed)
            # An earlier attempt of ours may have reached the server late, and taken our own place.
            young = time.monotonic() - self._connected_at < OPEN_TIMEOUT
            is_final = code in FINAL_CODES and not (code == CLOSE_REPLACED and young)
            if is_final or self._give_up_after == 0:
                raise SignalingClosed(f"the connection to the server is lost: {reason}")
            await self._deliver(Disconnected(reason))
            for event in await self._reconnect():
                await self._deliver(event)

    def wake(self) -> None:
        """There is something to send."""
        self._wakeup.set()

    @property
    def local_address(self) -> str | None:
        """The address of this machine that the connection uses, or None if there is none."""
        address = None if self._socket is None else self._socket.local_address
        return None if address is None else str(address[0])

    def hurry(self) -> None:
        """Make the connection anew, now."""
        self._hurry.set()
        if self._socket is not None:
            self._socket.transport.abort()

    async def leave(self) -> None:
        """Send what is left to send, say bye, and close."""
        socket = self._socket
        if socket is None:
            return
        self._leaving = True
        self._wakeup.set()
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                gone = asyncio.ensure_future(socket.wait_closed())
                left = asyncio.ensure_future(self._left.wait())
                try:
                    await asyncio.wait([gone, left], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    gone.cancel()
                    left.cancel()
        await socket.close()

    # Connecting.

    async def _reconnect(self) -> list[Event]:
        started = time.monotonic()
        for pause in pauses(random.random):
            lost_for = time.monotonic() - started
            if self._give_up_after is not None and lost_for > self._give_up_after:
                raise SignalingClosed(f"the server can't be reached for {lost_for:.0f} s")
            await self._pause(max(pause, self._not_before - time.monotonic()))
            try:
                return await self._dial()
            except SignalingClosed:
                self._url = next(self._urls)
            except ServerError as error:
                if error.code in FINAL_ERRORS:
                    raise
                self._not_before = time.monotonic() + (error.retry_after or 0) * random.random()
                self._url = next(self._urls)
        raise AssertionError

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _dial(self) -> list[Event]:
        """Open a socket and go through hello and welcome."""
        token = await self._token() if callable(self._token) else self._token
        is_secure = self._url.lower().startswith("wss:")
        try:
            socket = await connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                ssl=self._ssl or (True if is_secure else None),
                compression=None,
                open_timeout=OPEN_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                ping_interval=None,
                max_size=FRAME_LIMIT,
            )
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, EOFError) as error:
            raise SignalingClosed(f"can't reach the signaling server: {error}") from error
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await socket.send(encode(self._session.hello(token)))
                events = self._session.take_welcome(await _receive_welcome(socket))
        except BaseException as error:
            socket.transport.abort()
            if isinstance(error, TimeoutError | BadMessage | ConnectionClosed):
                raise SignalingClosed(f"the server didn't answer as it should: {error}") from error
            raise
        self._socket = socket
        self._hurry.clear()
        self._connected_at = time.monotonic() if self._session.resumed else -OPEN_TIMEOUT
        self._sent = self._session.outbox.acknowledged
        self._asides.clear()
        # Whatever is heard from us says that the welcome has arrived.
        self._say(Ping(time.monotonic()))
        self._notify()
        return events

    # Carrying.

    async def _serve(self) -> ConnectionClosed | None:
        """Read and write until the socket is closed; return why it was."""
        socket = self._socket
        assert socket is not None
        self._heard = time.monotonic()
        self._listening = True
        self._wakeup.set()
        tasks = [asyncio.create_task(step(socket)) for step in (self._write, self._watch)]
        try:
            async for frame in socket:
                self._listening = False
                await self._take(frame)
                self._heard = time.monotonic()
                self._listening = True
        except ConnectionClosed as closed:
            return closed
        except BadMessage:
            # A message is missing; the next connection brings it again.
            socket.transport.abort()
        finally:
            self._socket = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
            if self._listening and now - self._heard > beat.timeout:
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

    async def _take(self, frame: str | bytes) -> None:
        """Act on what the server says.

        Raises:
            BadMessage: A message before it is missing.
        """
        try:
            message, ack = decode_with_ack(frame)
        except BadMessage as error:
            await self._deliver(Refused(error))
            if error.ref is not None and error.ref == self._session.inbox.last + 1:
                self._session.inbox.note(error.ref, time.monotonic())
            return
        if ack is not None:
            self._acknowledge(ack)
        if isinstance(message, Signal | PeerEvent):
            await self._take_in_order(message)
        elif isinstance(message, Ack):
            self._acknowledge(message.seq)
        else:
            await self._take_aside(message)

    async def _take_in_order(self, message: Signal | PeerEvent) -> None:
        inbox = self._session.inbox
        if inbox.is_new(message.seq):
            try:
                event = self._session.read(message)
            except BadMessage as error:
                event = Refused(error)
            self._notify()
            if event is not None:
                await self._deliver(event)
        # Only now, so that what the application didn't get comes again.
        now = time.monotonic()
        inbox.note(message.seq, now)
        if inbox.ack_due(now):
            self._wakeup.set()

    async def _take_aside(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._say(Pong(message.t))
        elif isinstance(message, IceServers):
            await self._deliver(self._session.take_ice(message))
        elif isinstance(message, GoAway):
            self._not_before = time.monotonic() + random.uniform(*message.reconnect_in)
        elif isinstance(message, Error) and message.code != "resume-expired":
            if message.retry_after is not None:
                self._not_before = time.monotonic() + message.retry_after * random.random()
            await self._deliver(Refused(_server_error(message)))

    def _acknowledge(self, seq: int) -> None:
        self._session.outbox.acknowledge(seq)
        self._notify()


async def _receive_welcome(socket: ClientConnection) -> Welcome:
    message = decode(await socket.recv())
    if isinstance(message, Error):
        raise _server_error(message)
    if not isinstance(message, Welcome):
        raise BadMessage("the first message must be a welcome")
    return message


def _server_error(error: Error) -> ServerError:
    return ServerError(error.code, error.message, error.ref, error.retry_after)
