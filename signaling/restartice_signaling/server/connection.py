"""One client's connection to a server."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from websockets.exceptions import ConnectionClosed

from ..cancellation import end
from ..errors import BadMessage
from ..protocol.close_codes import CLOSE_BYE, CLOSE_PROTOCOL, CLOSE_TOO_SLOW, CLOSE_TRY_LATER
from ..protocol.decoding import decode_with_ack
from ..protocol.messages import (
    Ack,
    Bye,
    Error,
    IceRequest,
    IceServers,
    Ping,
    Pong,
    Signal,
    Welcome,
)
from ..protocol.rate_limit import LENIENCE, RateLimit, Throttle
from .connection_limiter import CountedSocket
from .context import Refusal, ServerContext, refusal
from .handshake import Handshake
from .logs import event
from .outgoing import Outgoing
from .relay import RETRY_AFTER, Relay
from .rooms.interface import BackendDown, Lease, Overloaded

__all__ = ["ServerConnection"]

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

# The most characters of a reason to leave that other peers get.
MAX_REASON: Final = 200
# TURN credentials are renewed after this part of their lifetime.
TURN_RENEWAL: Final = 0.8
# The messages of a client that are processed before other clients have their turn.
AT_ONCE: Final = 4
# So many characters count as another message.
LARGE: Final = 4096


class ServerConnection:
    """Serves a client until its socket is closed.

    Attributes:
        outgoing: Writes messages to the client.
    """

    def __init__(
        self, context: ServerContext, socket: CountedSocket, on_hello: Callable[[], None]
    ) -> None:
        self._context = context
        self._on_hello = on_hello
        self._settings = context.settings
        self._backend = context.backend
        self._metrics = context.metrics
        self._socket = socket
        self.outgoing = Outgoing(context, socket)
        limits = self._settings.limits
        rate = RateLimit(limits.rate * LENIENCE, limits.burst * LENIENCE)
        self._throttle = Throttle(rate, self._settings.flood_patience)
        self._at_once = 0
        self._lease: Lease | None = None
        self._renew_ice_at: float | None = None
        # When the last message came, or the server last paused reading.
        self._heard = time.monotonic()
        self._listening = True

    def tick(self, now: float) -> None:
        """Check timeouts. Called about every second."""
        if self._listening and now - self._heard > self._settings.heartbeat.timeout:
            self.outgoing.dismiss(CLOSE_TOO_SLOW, "nothing heard")
        self.outgoing.acknowledge_if_due(now)
        if self._renew_ice_at is not None and time.time() >= self._renew_ice_at:
            assert self._lease is not None
            self._send_ice(self._lease)

    # The life of a connection.

    async def run(self) -> None:
        """Serve the client until it or the server closes the connection."""
        lease = await self._or_close(self._take_lease())
        if lease is not None:
            await self._serve(lease)
        await self.outgoing.wait_closed()

    async def _serve(self, lease: Lease) -> None:
        self._on_hello()
        relay = Relay(self._context, lease, self.outgoing)
        writing = asyncio.create_task(self.outgoing.run(lease))
        farewell = None
        try:
            farewell = await self._or_close(self._read(lease, relay))
        finally:
            try:
                await end([writing])
                await relay.stop()
            finally:
                await self._let_go(lease, farewell)

    async def _or_close(self, step: Coroutine[Any, Any, Result]) -> Result | None:
        """Do a step. If it is refused, send the error and close the connection."""
        try:
            return await step
        except Refusal as refused:
            await self._refuse(refused)
        except (BackendDown, Overloaded) as error:
            await self._close_for_now(error)
        except ConnectionClosed:
            pass
        return None

    async def _refuse(self, refused: Refusal) -> None:
        error = refused.error
        self._metrics.refused[error.code] += 1
        event(logger, logging.INFO, "refused", code=error.code, reason=error.message)
        await self._close_with(error, refused.close_code)

    async def _close_for_now(self, error: BackendDown | Overloaded) -> None:
        event(logger, logging.WARNING, "try later", reason=str(error))
        refused = Error("rate-limited", "try later", fatal=True, retry_after=RETRY_AFTER)
        await self._close_with(refused, CLOSE_TRY_LATER)

    async def _close_with(self, error: Error, code: int) -> None:
        # Don't wait for a client that doesn't read.
        try:
            async with asyncio.timeout(1):
                await self.outgoing.say_last(error)
        except TimeoutError:
            self._socket.transport.abort()
        self.outgoing.dismiss(code, error.code)

    async def _take_lease(self) -> Lease | None:
        handshake, outgoing = Handshake(self._context), self.outgoing
        hello = await handshake.receive_hello(self._socket)
        workers = self._context.workers
        if workers is not None and not await workers.keep(hello.room, self._socket):
            return None
        lease = self._lease = await handshake.take_lease(hello, outgoing)
        self._heard = time.monotonic()
        seen = hello.resume.last if lease.resumed and hello.resume is not None else 0
        outgoing.begin(self._welcome(lease), seen)
        lease.progress = outgoing.progress
        if hello.resume is not None and not lease.resumed:
            outgoing.say(Error("resume-expired", "the session has ended; this is a new one"))
        name = "resumed" if lease.resumed else "joined"
        event(logger, logging.INFO, name, room=lease.room, peer=lease.peer)
        return lease

    def _welcome(self, lease: Lease) -> Welcome:
        return Welcome(
            session=lease.session,
            key=lease.key,
            peer=lease.peer,
            room=lease.room,
            instance=lease.instance,
            resumed=lease.resumed,
            last=lease.last,
            peers=lease.others,
            ice=self._make_ice(lease.peer),
            heartbeat=self._settings.heartbeat,
            resume_window=self._settings.rooms.resume_window,
            limits=self._settings.limits,
        )

    async def _let_go(self, lease: Lease, farewell: str | None) -> None:
        fields = {"room": lease.room, "peer": lease.peer}
        try:
            if farewell is None:
                event(logger, logging.INFO, "away", **fields)
                await self._backend.detach(lease)
            else:
                event(logger, logging.INFO, "left", reason=farewell, **fields)
                await self._backend.leave(lease, farewell)
        except BackendDown:
            # The session ends when its window is over.
            event(logger, logging.WARNING, "backend down", **fields)

    # Reading.

    async def _read(self, lease: Lease, relay: Relay) -> str | None:
        """Process messages; return the reason of the bye, or None if the connection was lost."""
        confirmed = not lease.resumed
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                self._listening = False
                await self._keep_to_rate(len(frame))
                if self._context.stopping.is_set():
                    break
                if not confirmed:
                    await self._backend.confirm(lease)
                    confirmed = True
                farewell = await self._act_on(frame, lease, relay)
                if farewell is not None:
                    self.outgoing.dismiss(CLOSE_BYE, "bye")
                    return farewell
                self._heard = time.monotonic()
                self._listening = True
        return None

    async def _keep_to_rate(self, size: int) -> None:
        """Read no faster than the limit; further messages wait in the socket."""
        delay = self._throttle.take(time.monotonic())
        if not delay:
            await self._give_way(size)
            return
        self._metrics.throttled += 1
        if self._throttle.is_exhausted:
            raise refusal("rate-limited", "too many messages", CLOSE_TOO_SLOW, RETRY_AFTER)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._context.stopping.wait()

    async def _give_way(self, size: int) -> None:
        """Let other tasks run: reading frames that are already there never yields."""
        self._at_once += 1 + size // LARGE
        if self._at_once >= AT_ONCE:
            self._at_once = 0
            await asyncio.sleep(0)

    async def _act_on(self, frame: str | bytes, lease: Lease, relay: Relay) -> str | None:
        self._metrics.received += 1
        try:
            message, ack = decode_with_ack(frame)
        except BadMessage as error:
            await relay.take_bad(error)
            return None
        if ack is not None:
            await self._acknowledge(lease, ack)
        if isinstance(message, Signal):
            await relay.take(message)
        elif isinstance(message, Ack):
            await self._acknowledge(lease, message.seq)
        elif isinstance(message, Ping):
            self.outgoing.say(Pong(message.t))
        elif isinstance(message, IceRequest):
            self._send_ice(lease)
        elif isinstance(message, Bye):
            await relay.settle()
            return message.reason[:MAX_REASON] or "bye"
        elif not isinstance(message, Pong):
            await relay.take_bad(
                BadMessage(
                    f"a client must not send a message of type {message.__struct_config__.tag}"
                )
            )
        return None

    async def _acknowledge(self, lease: Lease, seq: int) -> None:
        if seq > self.outgoing.sent:
            raise refusal(
                "protocol", f"ack must be {self.outgoing.sent} at most, not {seq}", CLOSE_PROTOCOL
            )
        await self._backend.acknowledge(lease, seq)

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

    def _send_ice(self, lease: Lease) -> None:
        self.outgoing.say(self._make_ice(lease.peer) or IceServers(()))
