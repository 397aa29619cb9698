"""Gives a client its lease: reads the hello, checks the token, resumes or joins."""

import asyncio
from typing import Final

import websockets.asyncio.server as ws

from ..errors import BadMessage, ServerError, SignalingError
from ..protocol.close_codes import CLOSE_AUTH, CLOSE_PROTOCOL, CLOSE_ROOM_FULL, CLOSE_TOO_LARGE
from ..protocol.decoding import decode_with_ack
from ..protocol.messages import PROTOCOL_VERSION, SUBPROTOCOL, Hello
from .context import ServerContext, refusal
from .rooms.interface import Claim, JoinRequest, Lease, Outlet
from .tokens import Grant, read_token

__all__ = ["Handshake"]

CLOSE_CODES: Final = {
    "auth": CLOSE_AUTH,
    "protocol": CLOSE_PROTOCOL,
    "room-full": CLOSE_ROOM_FULL,
}


class Handshake:
    """Admits clients. All methods may raise Refusal, BackendDown and ConnectionClosed."""

    def __init__(self, context: ServerContext) -> None:
        self._settings = context.settings
        self._backend = context.backend
        self._metrics = context.metrics
        self._keeps_rooms = context.workers is not None and context.workers.keeps_rooms

    async def receive_hello(self, socket: ws.ServerConnection) -> Hello:
        """Wait for the hello of a client."""
        try:
            async with asyncio.timeout(self._settings.hello_timeout):
                hello, _ = decode_with_ack(await socket.recv())
        except BadMessage as error:
            raise refusal("protocol", str(error), CLOSE_PROTOCOL) from None
        except TimeoutError:
            raise refusal(
                "protocol",
                f"expected a hello within {self._settings.hello_timeout:g} s",
                CLOSE_PROTOCOL,
            ) from None
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL_VERSION:
            reason = f"the first message must be a hello of {SUBPROTOCOL}"
            raise refusal("protocol", reason, CLOSE_PROTOCOL)
        size = len(str(hello.meta))
        if size > self._settings.max_meta:
            reason = f"meta must have {self._settings.max_meta} characters at most, not {size}"
            raise refusal("too-large", reason, CLOSE_TOO_LARGE)
        return hello

    async def take_lease(self, hello: Hello, outlet: Outlet) -> Lease:
        """Resume a client's session, or begin one.

        Raises:
            Overloaded: There are too many rooms or sessions.
        """
        try:
            lease = await self._resume(hello, outlet)
            if lease is None:
                grant = await self._authenticate(hello)
                lease = await self._join(hello, grant, outlet)
        except ServerError as error:
            raise refusal(error.code, error.reason, CLOSE_CODES[error.code]) from None
        if lease.resumed:
            self._metrics.resumed += 1
            return lease
        self._metrics.joined += 1
        if hello.resume is not None:
            self._metrics.not_resumed += 1
        return lease

    async def _resume(self, hello: Hello, outlet: Outlet) -> Lease | None:
        resume, room = hello.resume, hello.room
        if resume is None:
            return None
        # The key is enough: a token admits a client, and its end doesn't remove one.
        lease = await self._backend.resume(
            resume.session, resume.key, resume.last, outlet, room, resume.acknowledged
        )
        if lease is None:
            lease = await self._backend.readmit(resume.session, resume.key, outlet, room)
        return lease

    async def _authenticate(self, hello: Hello) -> Grant | None:
        if self._settings.secret is None:
            return None
        grant = read_token(self._settings.secret, hello.token, hello.room)
        if grant.peer is not None and hello.peer not in {None, grant.peer}:
            raise ServerError("auth", "the token is for another peer")
        return grant

    async def _join(self, hello: Hello, grant: Grant | None, outlet: Outlet) -> Lease:
        once = None if grant is None else grant.once
        if grant is None or once is None:
            return await self._backend.join(_join_request(hello, grant), outlet)
        if grant.several and self._keeps_rooms:
            # The worker of another room doesn't know if it has been used.
            raise ServerError("auth", "a token to use once must be for one room, without Redis")
        if not await self._backend.use_once(once, grant.expire):
            raise ServerError("auth", "the token has been used")
        try:
            return await self._backend.join(_join_request(hello, grant), outlet)
        except SignalingError:
            # The client hasn't joined, so it may use the token again.
            await self._backend.give_back(once)
            raise


def _join_request(hello: Hello, grant: Grant | None) -> JoinRequest:
    if grant is None:
        # Without a token, the id proves nothing. A failed resume must not replace another peer.
        claim = Claim.IF_AWAY if hello.resume is None else Claim.NONE
        return JoinRequest(hello.room, hello.peer, hello.meta, claim)
    claim = Claim.NONE if grant.peer is None else Claim.ALWAYS
    return JoinRequest(hello.room, grant.peer or hello.peer, hello.meta, claim, grant.rights)
