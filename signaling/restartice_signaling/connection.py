"""One client's connection to a server."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import websockets.asyncio.server as ws
from websockets.exceptions import ConnectionClosed

from .backend import Arrival, Backend, BackendDown, Claim, Outcome, Overloaded, Seat
from .closing import (
    CLOSE_AUTH,
    CLOSE_BYE,
    CLOSE_PROTOCOL,
    CLOSE_REPLACED,
    CLOSE_ROOM_FULL,
    CLOSE_TOO_LARGE,
    CLOSE_TOO_SLOW,
    CLOSE_TRY_LATER,
)
from .decoding import decode, decode_with_ack
from .errors import BadMessage, ServerError
from .limits import RateLimit
from .logs import event
from .messages import (
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    Ack,
    Bye,
    Custom,
    Error,
    Hello,
    IceRequest,
    IceServers,
    Message,
    Ping,
    Pong,
    Signal,
    Welcome,
    encode,
    numbered,
)
from .metrics import Metrics
from .reliable import Inbox
from .settings import ServerSettings
from .tokens import Grant, read_token

__all__ = ["ClientConnection", "Service"]

logger = logging.getLogger(__name__)

BATCH: Final = 64
# How many unnumbered messages wait for a client that doesn't read, before it is given up.
MAX_ASIDES: Final = 64
RETRY_AFTER: Final = 5.0
# What is enforced of the rate that clients are told.
LENIENCE: Final = 2.0
# TURN credentials are renewed after this part of their life.
TURN_RENEWAL: Final = 0.8


@dataclass
class Service:
    """What all connections of a server share."""

    settings: ServerSettings
    backend: Backend
    metrics: Metrics = field(default_factory=Metrics)


class _Refused(Exception):  # noqa: N818  not an error of ours
    """A client is told why, and its connection is closed."""

    def __init__(self, error: Error, close_code: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.close_code = close_code


def _refusal(
    code: str, message: str, close_code: int, retry_after: float | None = None
) -> _Refused:
    return _Refused(Error(code, message, fatal=True, retry_after=retry_after), close_code)


class ClientConnection:
    """Reads what a client says and writes what it is to be told, until the socket is closed."""

    def __init__(
        self, service: Service, socket: ws.ServerConnection, on_hello: Callable[[], None]
    ) -> None:
        self._service = service
        self._on_hello = on_hello
        self._settings = service.settings
        self._backend = service.backend
        self._metrics = service.metrics
        self._socket = socket
        limits = self._settings.limits
        self._rate = RateLimit(limits.rate * LENIENCE, limits.burst * LENIENCE)
        self._throttled_since: float | None = None
        self._inbox = Inbox()
        # Signals that were read and have not been dealt with yet.
        self._backlog: deque[Signal] = deque()
        self._relaying: asyncio.Task[None] | None = None
        self._sent = 0
        self._asides: deque[str] = deque()
        self._wakeup = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._renew_ice_at: float | None = None
        # When the client was last heard, or was not listened to.
        self._heard = time.monotonic()
        self._listening = True

    # What the backend and the server call.

    def wake(self) -> None:
        """There is something to send."""
        self._wakeup.set()

    def dismiss(self, code: int, reason: str) -> None:
        """Close, and send nothing more."""
        if self._closing is None:
            self._metrics.closed[code] += 1
            self._closing = asyncio.create_task(self._socket.close(code, reason))

    def say(self, message: Message) -> None:
        """Send a message that needs no number."""
        if len(self._asides) >= MAX_ASIDES:
            self.dismiss(CLOSE_TOO_SLOW, "too slow")
            return
        self._asides.append(encode(message))
        self._wakeup.set()

    async def say_last(self, message: Message) -> None:
        """Send a message at once, past all that waits."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(encode(message))

    def tick(self, now: float) -> None:
        """Do what is due. Called about every second."""
        if self._listening and now - self._heard > self._settings.heartbeat.timeout:
            self.dismiss(CLOSE_TOO_SLOW, "nothing heard")
        if self._inbox.ack_due(now):
            self._wakeup.set()
        if self._renew_ice_at is not None and time.time() >= self._renew_ice_at:
            self._send_ice()

    # The life of a connection.

    async def run(self) -> None:
        """Serve the client until it or the server closes the connection."""
        try:
            seat = await self._take_seat()
        except _Refused as refused:
            await self._refuse(refused)
            return
        except (BackendDown, Overloaded) as error:
            await self._close_for_now(error)
            return
        except ConnectionClosed:
            return
        self._seat = seat
        self._on_hello()
        writer = asyncio.create_task(self._write())
        farewell = None
        try:
            farewell = await self._read()
        except _Refused as refused:
            await self._refuse(refused)
        except BackendDown as error:
            await self._close_for_now(error)
        finally:
            tasks = [task for task in (writer, self._relaying) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._let_go(seat, farewell)
        if self._closing is not None:
            await self._closing

    async def _refuse(self, refused: _Refused) -> None:
        self._metrics.refused[refused.error.code] += 1
        event(
            logger, logging.INFO, "refused", code=refused.error.code, reason=refused.error.message
        )
        await self._close_with(refused.error, refused.close_code)

    async def _close_for_now(self, error: BackendDown | Overloaded) -> None:
        event(logger, logging.WARNING, "try later", reason=str(error))
        told = Error("rate-limited", "try later", fatal=True, retry_after=RETRY_AFTER)
        await self._close_with(told, CLOSE_TRY_LATER)

    async def _close_with(self, error: Error, code: int) -> None:
        # A client that doesn't read is not waited for.
        try:
            async with asyncio.timeout(1):
                await self.say_last(error)
        except TimeoutError:
            self._socket.transport.abort()
        self.dismiss(code, error.code)
        if self._closing is not None:
            await self._closing

    async def _let_go(self, seat: Seat, farewell: str | None) -> None:
        fields = {"room": seat.room, "peer": seat.peer}
        try:
            if farewell is None:
                event(logger, logging.INFO, "away", **fields)
                await self._backend.detach(seat)
            else:
                event(logger, logging.INFO, "left", reason=farewell, **fields)
                await self._backend.leave(seat, farewell)
        except BackendDown:
            # The session's time runs out by itself.
            event(logger, logging.WARNING, "backend down", **fields)

    # Hello.

    async def _take_seat(self) -> Seat:
        hello = await self._receive_hello()
        if (seat := await self._resume(hello)) is None:
            seat = await self._join(hello)
            self._metrics.joined += 1
            if hello.resume is not None:
                self._metrics.not_resumed += 1
        else:
            self._metrics.resumed += 1
            assert hello.resume is not None
            self._sent = hello.resume.last
        self._inbox = Inbox(seat.last)
        self._heard = time.monotonic()
        ice = self._make_ice(seat.peer)
        welcome = Welcome(
            session=seat.session,
            key=seat.key,
            peer=seat.peer,
            room=seat.room,
            instance=seat.instance,
            resumed=seat.resumed,
            last=seat.last,
            peers=seat.others,
            ice=ice,
            heartbeat=self._settings.heartbeat,
            resume_window=self._settings.rooms.resume_window,
            limits=self._settings.limits,
        )
        self.say(welcome)
        if hello.resume is not None and not seat.resumed:
            self.say(Error("resume-expired", "the session is over; this is a new one"))
        name = "resumed" if seat.resumed else "joined"
        event(logger, logging.INFO, name, room=seat.room, peer=seat.peer)
        return seat

    async def _receive_hello(self) -> Hello:
        try:
            async with asyncio.timeout(self._settings.hello_timeout):
                hello = decode(await self._socket.recv())
        except BadMessage as error:
            raise _refusal("protocol", str(error), CLOSE_PROTOCOL) from None
        except TimeoutError:
            raise _refusal("protocol", "no hello in time", CLOSE_PROTOCOL) from None
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL_VERSION:
            reason = f"the first message must be a hello of {SUBPROTOCOL}"
            raise _refusal("protocol", reason, CLOSE_PROTOCOL)
        if len(str(hello.meta)) > self._settings.max_meta:
            reason = f"meta must not be larger than {self._settings.max_meta}"
            raise _refusal("too-large", reason, CLOSE_TOO_LARGE)
        return hello

    async def _resume(self, hello: Hello) -> Seat | None:
        resume = hello.resume
        if resume is None:
            return None
        # The key says enough: a token lets in, and doesn't throw out.
        seat = await self._backend.resume(resume.session, resume.key, resume.last, self)
        if seat is not None and seat.room != hello.room:
            await self._backend.detach(seat)
            raise _refusal("protocol", "the session is in another room", CLOSE_PROTOCOL)
        return seat

    async def _join(self, hello: Hello) -> Seat:
        try:
            grant = await self._authenticate(hello)
            return await self._backend.join(self._arrival(hello, grant), self)
        except ServerError as error:
            code = CLOSE_ROOM_FULL if error.code == "room-full" else CLOSE_AUTH
            raise _refusal(error.code, error.reason, code) from None

    async def _authenticate(self, hello: Hello) -> Grant | None:
        if self._settings.secret is None:
            return None
        grant = read_token(self._settings.secret, hello.token, hello.room)
        if grant.peer is not None and hello.peer not in {None, grant.peer}:
            raise ServerError("auth", "the token is for another peer")
        if grant.once is not None and not await self._backend.use_once(grant.once, grant.expire):
            raise ServerError("auth", "the token has been used")
        return grant

    def _arrival(self, hello: Hello, grant: Grant | None) -> Arrival:
        if grant is None:
            # Who claims to be a peer may not be it, if it has not lost its place by a resume.
            claim = Claim.IF_AWAY if hello.resume is None else Claim.NONE
            return Arrival(hello.room, hello.peer, hello.meta, claim)
        claim = Claim.NONE if grant.peer is None else Claim.ALWAYS
        return Arrival(hello.room, grant.peer or hello.peer, hello.meta, claim, grant.rights)

    # Reading.

    async def _read(self) -> str | None:
        """Act on what a client says; return why it left, or None if the connection was lost."""
        confirmed = not self._seat.resumed
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                self._listening = False
                await self._keep_to_rate()
                if not confirmed:
                    await self._backend.confirm(self._seat)
                    confirmed = True
                farewell = await self._act_on(frame)
                if farewell is not None:
                    self.dismiss(CLOSE_BYE, "bye")
                    return farewell
                self._heard = time.monotonic()
                self._listening = True
        return None

    async def _keep_to_rate(self) -> None:
        """Read no faster than agreed: what comes too fast waits in the client's socket."""
        now = time.monotonic()
        delay = self._rate.take(now)
        if not delay:
            self._throttled_since = None
            return
        self._metrics.throttled += 1
        if self._throttled_since is None:
            self._throttled_since = now
        if now - self._throttled_since > self._settings.flood_patience:
            raise _refusal("rate-limited", "too many messages", CLOSE_TOO_SLOW, RETRY_AFTER)
        await asyncio.sleep(delay)

    async def _act_on(self, frame: str | bytes) -> str | None:
        self._metrics.received += 1
        try:
            message, ack = decode_with_ack(frame)
        except BadMessage as error:
            await self._answer_bad(error)
            return None
        if ack is not None:
            await self._acknowledge(ack)
        if isinstance(message, Signal):
            await self._take_signal(message)
        elif isinstance(message, Ack):
            await self._acknowledge(message.seq)
        elif isinstance(message, Ping):
            self.say(Pong(message.t))
        elif isinstance(message, IceRequest):
            self._send_ice()
        elif isinstance(message, Bye):
            if self._relaying is not None:
                await asyncio.shield(self._relaying)
            return message.reason or "bye"
        elif not isinstance(message, Pong):
            await self._answer_bad(BadMessage("a client sends no message of this type"))
        return None

    async def _answer_bad(self, error: BadMessage) -> None:
        self._metrics.refused["bad-message"] += 1
        if error.ref is not None and error.ref == self._inbox.taken + 1:
            # It had a number, which is used up, but not before those that wait.
            if self._relaying is not None:
                await asyncio.shield(self._relaying)
            await self._backend.skip(self._seat, error.ref)
            self._note(error.ref)
        self.say(Error("bad-message", str(error), error.ref))

    async def _acknowledge(self, seq: int) -> None:
        if seq > self._sent:
            raise _refusal("protocol", f"{seq} was never sent", CLOSE_PROTOCOL)
        await self._backend.acknowledge(self._seat, seq)

    async def _take_signal(self, signal: Signal) -> None:
        now = time.monotonic()
        try:
            is_new = self._inbox.take(signal.seq, now)
        except BadMessage as error:
            raise _refusal("protocol", str(error), CLOSE_PROTOCOL) from None
        if not is_new:
            if self._inbox.ack_due(now):
                self._wakeup.set()
            return
        if self._relaying is None and await self._relay(signal, force=False):
            return
        # Reading goes on: acknowledgments must not wait behind what waits for others.
        self._backlog.append(signal)
        if len(self._backlog) > self._settings.limits.max_unacknowledged:
            raise _refusal("rate-limited", "too much unacknowledged", CLOSE_TOO_SLOW, RETRY_AFTER)
        if self._relaying is None:
            self._relaying = asyncio.create_task(self._relay_backlog())

    async def _relay_backlog(self) -> None:
        """Relay what waits, in order. Who can't take it in time is given up."""
        try:
            while self._backlog:
                signal = self._backlog.popleft()
                give_up_at = time.monotonic() + self._settings.stall_timeout
                while not await self._relay(signal, force=time.monotonic() >= give_up_at):
                    left = give_up_at - time.monotonic()
                    await self._backend.wait_for_room(max(0.0, min(left, 1.0)))
        except BackendDown:
            self.dismiss(CLOSE_TRY_LATER, "try later")
        finally:
            self._relaying = None

    async def _relay(self, signal: Signal, *, force: bool) -> bool:
        """Deal with a signal; return False if somebody it is for has no room."""
        seat = self._seat
        refusal = None
        if ("custom" if isinstance(signal.data, Custom) else "signal") not in seat.rights:
            await self._backend.skip(seat, signal.seq)
            refusal = Error("auth", "the token doesn't allow that", signal.seq)
        else:
            told = Signal(0, signal.data, sender=seat.peer, instance=seat.instance)
            outcome = await self._backend.relay(
                seat, signal.seq, signal.to, signal.instance, encode(told), force
            )
            if outcome is Outcome.FULL:
                return False
            if outcome is Outcome.LOST:
                self.dismiss(CLOSE_REPLACED, "replaced")
                return True
            if outcome is Outcome.NO_PEER:
                refusal = Error("no-peer", "no such peer is in the room, or several", signal.seq)
        if refusal is None:
            self._metrics.relayed += 1
        else:
            self._metrics.refused[refusal.code] += 1
            self.say(refusal)
        self._note(signal.seq)
        return True

    def _note(self, seq: int) -> None:
        now = time.monotonic()
        self._inbox.note(seq, now)
        if self._inbox.ack_due(now):
            self._wakeup.set()

    # Writing.

    async def _write(self) -> None:
        try:
            while True:
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._asides:
                    await self._send(self._asides.popleft())
                await self._send_waiting()
                if self._inbox.ack_due(time.monotonic()):
                    await self._send(encode(Ack(self._inbox.take_ack() or self._inbox.last)))
        except ConnectionClosed:
            return
        except BackendDown:
            self.dismiss(CLOSE_TRY_LATER, "try later")

    async def _send_waiting(self) -> None:
        while messages := await self._backend.waiting(self._seat, self._sent, BATCH):
            for seq, text in messages:
                # Noted first: the acknowledgment may be there before the next turn.
                self._sent = seq
                self._metrics.sent += 1
                await self._send(numbered(text, seq, self._inbox.take_ack()))

    async def _send(self, text: str) -> None:
        if self._closing is not None:
            # Nothing may follow what was given up.
            await asyncio.shield(self._closing)
        await self._socket.send(text)

    # TURN.

    def _make_ice(self, peer: str) -> IceServers | None:
        turn = self._settings.turn
        if turn is None:
            return None
        now = time.time()
        ice = turn.servers_for(peer, now)
        if ice.expire is not None:
            self._renew_ice_at = now + TURN_RENEWAL * turn.lifetime
        return ice

    def _send_ice(self) -> None:
        self.say(self._make_ice(self._seat.peer) or IceServers(()))
