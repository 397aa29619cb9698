"""How a client gets its seat: the hello, tokens, resuming and joining."""

import asyncio
from typing import Final

import websockets.asyncio.server as ws

from .backend import Arrival, Attendant, Claim, Seat
from .closing import CLOSE_AUTH, CLOSE_PROTOCOL, CLOSE_ROOM_FULL, CLOSE_TOO_LARGE
from .decoding import decode_with_ack
from .errors import BadMessage, ServerError, SignalingError
from .messages import PROTOCOL_VERSION, SUBPROTOCOL, Hello
from .service import Service, refusal
from .tokens import Grant, read_token

__all__ = ["Reception"]

CLOSE_CODES: Final = {
    "auth": CLOSE_AUTH,
    "protocol": CLOSE_PROTOCOL,
    "room-full": CLOSE_ROOM_FULL,
}


class Reception:
    """Lets clients in, or not. All of it may raise Refusal, BackendDown, and ConnectionClosed."""

    def __init__(self, service: Service) -> None:
        self._settings = service.settings
        self._backend = service.backend
        self._metrics = service.metrics

    async def receive_hello(self, socket: ws.ServerConnection) -> Hello:
        """Wait for a client's first message."""
        try:
            async with asyncio.timeout(self._settings.hello_timeout):
                hello, _ = decode_with_ack(await socket.recv())
        except BadMessage as error:
            raise refusal("protocol", str(error), CLOSE_PROTOCOL) from None
        except TimeoutError:
            raise refusal("protocol", "no hello in time", CLOSE_PROTOCOL) from None
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL_VERSION:
            reason = f"the first message must be a hello of {SUBPROTOCOL}"
            raise refusal("protocol", reason, CLOSE_PROTOCOL)
        if len(str(hello.meta)) > self._settings.max_meta:
            reason = f"meta must not be larger than {self._settings.max_meta}"
            raise refusal("too-large", reason, CLOSE_TOO_LARGE)
        return hello

    async def take_seat(self, hello: Hello, attendant: Attendant) -> Seat:
        """Go on with a client's session, or begin one.

        Raises:
            Overloaded: There are too many rooms or sessions.
        """
        try:
            seat = await self._resume(hello, attendant)
            if seat is None:
                grant = await self._authenticate(hello)
                seat = await self._join(hello, grant, attendant)
        except ServerError as error:
            raise refusal(error.code, error.reason, CLOSE_CODES[error.code]) from None
        if seat.resumed:
            self._metrics.resumed += 1
            return seat
        self._metrics.joined += 1
        if hello.resume is not None:
            self._metrics.not_resumed += 1
        return seat

    async def _resume(self, hello: Hello, attendant: Attendant) -> Seat | None:
        resume, room = hello.resume, hello.room
        if resume is None:
            return None
        # The key says enough: a token lets in, and doesn't throw out.
        seat = await self._backend.resume(resume.session, resume.key, resume.last, attendant, room)
        if seat is None:
            seat = await self._backend.readmit(resume.session, resume.key, attendant, room)
        return seat

    async def _authenticate(self, hello: Hello) -> Grant | None:
        if self._settings.secret is None:
            return None
        grant = read_token(self._settings.secret, hello.token, hello.room)
        if grant.peer is not None and hello.peer not in {None, grant.peer}:
            raise ServerError("auth", "the token is for another peer")
        return grant

    async def _join(self, hello: Hello, grant: Grant | None, attendant: Attendant) -> Seat:
        once = None if grant is None else grant.once
        if grant is None or once is None:
            return await self._backend.join(_arrival(hello, grant), attendant)
        if not await self._backend.use_once(once, grant.expire):
            raise ServerError("auth", "the token has been used")
        try:
            return await self._backend.join(_arrival(hello, grant), attendant)
        except SignalingError:
            # Whom it hasn't let in may try again.
            await self._backend.give_back(once)
            raise


def _arrival(hello: Hello, grant: Grant | None) -> Arrival:
    if grant is None:
        # Who claims to be a peer may not be it, if it has not lost its place by a resume.
        claim = Claim.IF_AWAY if hello.resume is None else Claim.NONE
        return Arrival(hello.room, hello.peer, hello.meta, claim)
    claim = Claim.NONE if grant.peer is None else Claim.ALWAYS
    return Arrival(hello.room, grant.peer or hello.peer, hello.meta, claim, grant.rights)
