"""The signaling server: a relay between the peers of a room."""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Final, Self

import websockets.asyncio.server as ws
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .errors import BadMessage, NoPeer, ServerError
from .messages import (
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    Bye,
    Error,
    Hello,
    Message,
    PeerEvent,
    Ping,
    Pong,
    Signal,
    Welcome,
    decode,
    encode,
)
from .rooms import Member, Rooms

__all__ = ["SignalingServer", "serve"]

logger = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
CLOSE_PROTOCOL: Final = 4000
CLOSE_ROOM_FULL: Final = 4009


class _Client:
    """One connection: what it is told goes through a bounded queue of its own."""

    def __init__(self, socket: ws.ServerConnection, queue_size: int) -> None:
        self.socket = socket
        self.seqs = itertools.count(1)
        self.last_seq = 0
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(queue_size)
        self._writer = asyncio.create_task(self._write())

    def send(self, message: Message) -> None:
        """Send later. A client that doesn't read is cut off, and nobody waits for it."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._writer.cancel()
            self.socket.transport.abort()

    async def finish(self) -> None:
        """Send what is queued, and end."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(self._writer, timeout=5)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (message := await self._queue.get()) is not None:
                await self.socket.send(encode(message))


class SignalingServer:
    """A running server; made by serve()."""

    def __init__(
        self,
        *,
        max_message_size: int = 65536,
        max_peers: int = 8,
        max_queued: int = 256,
        hello_timeout: float = 10.0,
    ) -> None:
        self.max_message_size = max_message_size
        self._max_queued = max_queued
        self._hello_timeout = hello_timeout
        self._rooms: Rooms[_Client] = Rooms(max_peers)
        self._server: ws.Server | None = None

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL for clients on this machine or, if it listens on one address only, for others."""
        assert self._server is not None
        host: str = next(iter(self._server.sockets)).getsockname()[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  no binding
        return f"ws://[{host}]:{self.port}" if ":" in host else f"ws://{host}:{self.port}"

    async def listen(self, host: str, port: int) -> Self:
        """Start to listen."""
        self._server = await ws.serve(
            self._handle,
            host,
            port,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=self.max_message_size,
            compression=None,
        )
        return self

    async def close(self) -> None:
        """Close all connections with 1001 and stop listening."""
        if self._server is not None:
            self._server.close(code=GOING_AWAY, reason="the server ends")
            await self._server.wait_closed()

    async def _handle(self, socket: ws.ServerConnection) -> None:
        client = _Client(socket, self._max_queued)
        try:
            member = await self._welcome(client)
        except (ConnectionClosed, _Refused) as refused:
            await client.finish()
            if isinstance(refused, _Refused):
                await socket.close(refused.close_code, refused.error.code)
            return
        reason = "lost"
        try:
            reason = await self._relay(member)
        finally:
            self._tell_others(member, "left", reason)
            self._rooms.leave(member)
            await client.finish()

    async def _welcome(self, client: _Client) -> Member[_Client]:
        try:
            async with asyncio.timeout(self._hello_timeout):
                hello = decode(await client.socket.recv())
        except (BadMessage, TimeoutError) as error:
            raise _refuse(client, str(error) or "no hello in time") from None
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL_VERSION:
            raise _refuse(client, f"the first message must be a hello of {SUBPROTOCOL}")
        try:
            member = self._rooms.join(client, hello.room, hello.peer, hello.meta)
        except ServerError as error:
            raise _refuse(client, str(error), error.code, CLOSE_ROOM_FULL) from None
        others = tuple(other.seen_by(member) for other in self._rooms.others(member))
        client.send(
            Welcome(
                session=secrets.token_hex(16),
                key=secrets.token_hex(16),
                peer=member.peer,
                room=member.room,
                peers=others,
                max_message_size=self.max_message_size,
            )
        )
        self._tell_others(member, "joined")
        return member

    async def _relay(self, member: Member[_Client]) -> str:
        """Relay what a client says until it leaves; return why it left."""
        client = member.connection
        try:
            async for frame in client.socket:
                try:
                    message = decode(frame)
                except BadMessage as error:
                    client.send(Error("bad-message", str(error), error.ref))
                    continue
                if isinstance(message, Bye):
                    await client.finish()
                    await client.socket.close()
                    return message.reason or "bye"
                self._act_on(member, message)
        except ConnectionClosed:
            pass
        return "lost"

    def _act_on(self, member: Member[_Client], message: Message | None) -> None:
        client = member.connection
        if isinstance(message, Signal):
            self._forward(member, message)
        elif isinstance(message, Ping):
            client.send(Pong(message.t))
        elif message is not None and not isinstance(message, Pong):
            client.send(Error("bad-message", "a client sends no message of this type"))

    def _forward(self, member: Member[_Client], signal: Signal) -> None:
        client = member.connection
        # What was seen already is dropped.
        if signal.seq <= client.last_seq:
            return
        client.last_seq = signal.seq
        try:
            recipient = self._rooms.recipient(member, signal.to, signal.instance)
        except NoPeer as error:
            client.send(Error("no-peer", str(error), signal.seq))
            return
        other = recipient.connection
        other.send(
            Signal(next(other.seqs), signal.data, sender=member.peer, instance=member.instance)
        )

    def _tell_others(self, member: Member[_Client], event: str, reason: str = "") -> None:
        for other in self._rooms.others(member):
            info = member.seen_by(other)
            client = other.connection
            client.send(
                PeerEvent(
                    next(client.seqs),
                    event,
                    info.peer,
                    info.instance,
                    info.polite,
                    info.meta,
                    reason,
                )
            )


class _Refused(Exception):  # noqa: N818  not an error of ours
    """A client isn't let in; it has been told why."""

    def __init__(self, error: Error, close_code: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.close_code = close_code


def _refuse(
    client: _Client, message: str, code: str = "protocol", close_code: int = CLOSE_PROTOCOL
) -> _Refused:
    """Tell a client why it isn't let in."""
    error = Error(code, message, fatal=True)
    client.send(error)
    return _Refused(error, close_code)


@contextlib.asynccontextmanager
async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    max_message_size: int = 65536,
    max_peers: int = 8,
    max_queued: int = 256,
    hello_timeout: float = 10.0,
) -> AsyncIterator[SignalingServer]:
    """Run a signaling server as long as the `async with` block runs.

    Anyone who reaches it may join any room: on other addresses than loopback, put it behind
    something that lets only the right ones in.

    Args:
        host: The address to listen on.
        port: The port, or 0 for any free one, which `server.port` tells.
        max_message_size: The largest message, in bytes; larger ones end the sender's connection
            with close code 1009.
        max_peers: How many peers a room takes.
        max_queued: How many messages wait for a client that doesn't read, before it is cut off.
        hello_timeout: Within how many seconds a client must have said hello.

    Raises:
        OSError: The address can't be listened on.
    """
    server = SignalingServer(
        max_message_size=max_message_size,
        max_peers=max_peers,
        max_queued=max_queued,
        hello_timeout=hello_timeout,
    )
    await server.listen(host, port)
    try:
        yield server
    finally:
        await server.close()
