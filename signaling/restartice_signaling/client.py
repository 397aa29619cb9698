"""The signaling client, as aiortc knows it, and with events that say who sent what."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import aiortc
from aiortc.contrib.signaling import BYE, BaseSignaling
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from restartice import RTCIceCandidate

from .errors import BadMessage, NoPeer, ServerError, SignalingClosed, SignalingError
from .messages import (
    SUBPROTOCOL,
    Bye,
    Candidate,
    Custom,
    Data,
    Description,
    Error,
    Hello,
    Message,
    PeerEvent,
    PeerInfo,
    Ping,
    Pong,
    Signal,
    Welcome,
    decode,
    encode,
)

__all__ = [
    "CandidateReceived",
    "CustomReceived",
    "DescriptionReceived",
    "Event",
    "PeerJoined",
    "PeerLeft",
    "Refused",
    "WebSocketSignaling",
]

# How many events wait for the application before the server is made to wait.
EVENT_LIMIT: Final = 256
WELCOME_TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class DescriptionReceived:
    """A session description from a peer."""

    peer: str
    description: aiortc.RTCSessionDescription


@dataclass(frozen=True)
class CandidateReceived:
    """A candidate from a peer; None means the end of candidates."""

    peer: str
    candidate: RTCIceCandidate | None


@dataclass(frozen=True)
class CustomReceived:
    """What the application of a peer sent."""

    peer: str
    value: Any


@dataclass(frozen=True)
class PeerJoined:
    """A peer is in the room: it was there before us, or has joined."""

    peer: str
    info: PeerInfo


@dataclass(frozen=True)
class PeerLeft:
    """A peer has left, with the reason it gave, or `"lost"`."""

    peer: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """The server refused something that was sent, or a peer sent something malformed."""

    error: SignalingError


Event: TypeAlias = (
    DescriptionReceived | CandidateReceived | CustomReceived | PeerJoined | PeerLeft | Refused
)


class WebSocketSignaling(BaseSignaling):
    """A place in a room of a signaling server.

    It is one of aiortc's signalings, so aiortc's example programs run on it: `connect`, `send`,
    `receive` and `close`. `events()` tells more, and who sent what. Use one or the other.

    Losing the connection to the server raises SignalingClosed here, and does nothing to any peer
    connection. Getting it back is not built yet.

    Args:
        url: The server's, `ws://…` or `wss://…`.
        room: The room's name: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
        peer: The id to have in the room, if it is free; the server gives one otherwise.
        meta: Anything that the other peers should know; must be JSON.
    """

    def __init__(
        self,
        url: str,
        *,
        room: str,
        peer: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._url = url
        self._hello = Hello(room=room, peer=peer, meta=meta or {})
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._seqs = itertools.count(1)
        self._last_seq = 0
        self._peer: str | None = None
        self._peers: dict[str, PeerInfo] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(EVENT_LIMIT)
        self._changed = asyncio.Condition()
        self._closed: SignalingClosed | None = None

    @property
    def peer(self) -> str | None:
        """Our own id in the room, or None before connect()."""
        return self._peer

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers of the room by their ids."""
        return dict(self._peers)

    @property
    def polite(self) -> bool | None:
        """Whether we are the polite one towards the other peer; None if there isn't exactly one.

        Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
        """
        infos = list(self._peers.values())
        return infos[0].polite if len(infos) == 1 else None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Go to the server and into the room, after which `peer` and `peers` are known.

        Raises:
            ServerError: The server doesn't let us in.
            SignalingClosed: The server can't be reached, or doesn't speak the protocol.
            SignalingError: connect() was called before.
        """
        if self._socket is not None or self._closed is not None:
            raise SignalingError("connect() was called before")
        try:
            self._socket = await connect(
                self._url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None
            )
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            raise SignalingClosed(f"can't reach the signaling server: {error}") from error
        try:
            async with asyncio.timeout(WELCOME_TIMEOUT):
                await self._transmit(self._hello)
                welcome = await self._receive_welcome()
        except BaseException as error:
            await self._socket.close()
            self._closed = SignalingClosed("the server didn't let us in")
            if isinstance(error, TimeoutError | BadMessage | ConnectionClosed):
                raise SignalingClosed(f"the server didn't answer as it should: {error}") from error
            raise
        self._peer = welcome.peer
        for info in welcome.peers:
            self._peers[info.peer] = info
            self._events.put_nowait(PeerJoined(info.peer, info))
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Leave the room. Who waits for anything gets SignalingClosed. May be called twice."""
        if self._socket is None:
            self._closed = self._closed or SignalingClosed("the signaling is closed")
            return
        if self._closed is None:
            # First of all, so that the server's closing isn't taken for a loss.
            await self._end(SignalingClosed("the signaling is closed"))
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(encode(Bye()))
        await self._socket.close()
        if self._reader is not None:
            # The reader may wait for the application to take an event.
            self._reader.cancel()
            await asyncio.wait([self._reader])

    # aiortc's interface.

    async def send(self, obj: object, to: str | None = None) -> None:
        """Send a session description, a candidate or BYE; waits until another peer is there.

        Args:
            obj: `RTCSessionDescription`, `RTCIceCandidate`, None for the end of candidates, or
                aiortc's `BYE`, which closes the signaling.
            to: Whom it is for; needed where there are several others.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: There are several others and `to` isn't given, or there is no such peer.
            TypeError: It is something else.
        """
        if obj is BYE:
            await self.close()
        elif isinstance(obj, aiortc.RTCSessionDescription):
            await self.send_description(obj, to)
        elif obj is None or isinstance(obj, aiortc.RTCIceCandidate):
            await self.send_candidate(obj, to)
        else:
            raise TypeError(f"can't send a {type(obj).__name__}")

    async def receive(self) -> Any:
        """Return the next description, candidate or None (end of candidates), or BYE.

        BYE says that the other peer has left, or that the signaling is closed. What else happens
        is passed over.
        """
        async for event in self.events():
            if isinstance(event, DescriptionReceived):
                return event.description
            if isinstance(event, CandidateReceived):
                return event.candidate
            if isinstance(event, PeerLeft):
                return BYE
        return BYE

    # More than aiortc's.

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, until the signaling is closed by ourselves.

        Raises:
            SignalingClosed: The connection to the server was lost, or never opened.
        """
        if self._socket is None:
            raise SignalingClosed("connect() comes first")
        while True:
            event = await self._events.get()
            if event is None:
                # There may be other readers.
                self._events.put_nowait(None)
                if isinstance(self._closed, _Lost):
                    raise SignalingClosed(str(self._closed))
                return
            yield event

    async def send_description(
        self, description: aiortc.RTCSessionDescription, to: str | None = None
    ) -> None:
        """Send a session description; see send()."""
        await self._signal(Description(description.type, description.sdp), to)

    async def send_candidate(
        self, candidate: aiortc.RTCIceCandidate | None, to: str | None = None
    ) -> None:
        """Send a candidate, or None for the end of candidates; see send()."""
        if candidate is None:
            await self._signal(Candidate(None), to)
        else:
            await self._signal(Candidate(RTCIceCandidate.extend(candidate, None).toJSON()), to)

    async def send_custom(self, value: Any, to: str | None = None) -> None:
        """Send anything that is JSON; see send().

        Raises:
            ValueError: It isn't JSON.
            TypeError: It isn't JSON.
        """
        await self._signal(Custom(value), to)

    async def wait_for_peer(self, peer: str | None = None) -> PeerInfo:
        """Return the other peer, or the one with that id; waits until it is there.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: There are several others and none is named.
        """
        if self._socket is None:
            raise SignalingClosed("connect() comes first")
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._closed is not None or (peer in self._peers if peer else self._peers)
            )
        if self._closed is not None:
            raise SignalingClosed(str(self._closed))
        if peer is None and len(self._peers) > 1:
            raise NoPeer("several peers are in the room: say which one")
        return self._peers[peer] if peer else next(iter(self._peers.values()))

    async def _signal(self, data: Data, to: str | None) -> None:
        info = await self.wait_for_peer(to)
        # The instance keeps an answer from reaching a peer that was born again meanwhile.
        signal = Signal(next(self._seqs), data, to=info.peer, instance=info.instance)
        await self._transmit(signal)

    async def _transmit(self, message: Message) -> None:
        assert self._socket is not None
        frame = encode(message)
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise SignalingClosed(f"the connection to the server is lost: {error}") from error

    async def _receive_welcome(self) -> Welcome:
        assert self._socket is not None
        message = decode(await self._socket.recv())
        if isinstance(message, Error):
            raise ServerError(message.code, message.message, message.ref)
        if not isinstance(message, Welcome):
            raise BadMessage("the first message must be a welcome")
        return message

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for frame in self._socket:
                await self._handle(frame)
            await self._end(_Lost("the server has closed the connection"))
        except ConnectionClosed as error:
            await self._end(_Lost(f"the connection to the server is lost: {error}"))

    async def _handle(self, frame: str | bytes) -> None:
        try:
            message = decode(frame)
            if isinstance(message, Signal | PeerEvent):
                await self._take_in_order(message)
        except (BadMessage, ValueError) as error:
            await self._events.put(Refused(BadMessage(str(error))))
            return
        if isinstance(message, Ping):
            await self._transmit(Pong(message.t))
        elif isinstance(message, Error):
            refused = ServerError(message.code, message.message, message.ref)
            await self._events.put(Refused(refused))

    async def _take_in_order(self, message: Signal | PeerEvent) -> None:
        if message.seq <= self._last_seq:
            return
        self._last_seq = message.seq
        if isinstance(message, Signal):
            await self._events.put(_received(message))
        else:
            await self._note_peer(message)

    async def _note_peer(self, event: PeerEvent) -> None:
        info = PeerInfo(event.peer, event.instance, event.polite, event.meta, event.event)
        async with self._changed:
            if event.event == "left":
                self._peers.pop(event.peer, None)
            else:
                self._peers[event.peer] = info
            self._changed.notify_all()
        if event.event == "left":
            await self._events.put(PeerLeft(event.peer, event.reason))
        elif event.event == "joined":
            await self._events.put(PeerJoined(event.peer, info))

    async def _end(self, reason: SignalingClosed) -> None:
        if self._closed is not None:
            return
        async with self._changed:
            self._closed = reason
            self._changed.notify_all()
        if self._events.full():
            # Whoever reads must see the end, and there is nothing to answer any more.
            self._events.get_nowait()
        self._events.put_nowait(None)


class _Lost(SignalingClosed):
    """It wasn't us who closed the connection."""


def _received(signal: Signal) -> Event:
    peer, data = signal.sender or "", signal.data
    if isinstance(data, Description):
        return DescriptionReceived(peer, aiortc.RTCSessionDescription(data.sdp, data.type))
    if isinstance(data, Candidate):
        candidate = None if data.init is None else RTCIceCandidate.fromJSON(data.init)
        return CandidateReceived(peer, candidate)
    return CustomReceived(peer, data.value)
