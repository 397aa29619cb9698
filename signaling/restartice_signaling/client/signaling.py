"""The signaling client: aiortc's interface, and events that name their sender."""

import asyncio
import ipaddress
import logging
import ssl as tls
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import aiortc
from aiortc.contrib.signaling import BYE, BaseSignaling

from restartice import NetworkChange, NetworkMonitor, RTCIceCandidate

from ..cancellation import end
from ..errors import NoPeer, ServerError, SignalingClosed, SignalingError
from ..protocol.messages import EVERYONE, Candidate, Custom, Data, Description, PeerInfo
from .connection import Connection
from .event_queue import EventQueue
from .events import CandidateReceived, DescriptionReceived, Event, PeerLeft
from .reconnecting import Dialer, TokenSource, failure
from .session import ClientSession

__all__ = ["WebSocketSignaling"]

logger = logging.getLogger(__name__)


class WebSocketSignaling(BaseSignaling):
    """A client of a signaling server, in one of its rooms.

    It has the methods of aiortc's signalings, `connect`, `send`, `receive` and `close`, so aiortc's
    example programs run on it. Iterate over it instead of calling `receive()` to get all events,
    each with its sender.

    The client reconnects by itself: at once when this machine gets a new address or loses the one
    in use, and otherwise with growing pauses. Messages sent meanwhile, in either direction, arrive
    then, once and in order. Peer connections are not touched.

    Args:
        url: The URL of the server, `ws://…` or `wss://…`, or the URLs of servers that share rooms.
        room: The name of the room: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
        peer: The id to have in the room, if it is free. Otherwise the server chooses one.
        meta: A JSON object that the other peers see.
        token: The room token, if the server needs one, or a coroutine function that returns it.
            The function is called for each attempt to connect.
        ssl: The context for `wss`; by default Python's default context.
        give_up_after: How many seconds to try to reconnect; None for ever, 0 for not at all.

    Raises:
        TypeError: The meta isn't JSON, or an argument has the wrong type.
        ValueError: A URL isn't one of a WebSocket, or room, peer or meta break the server's rules.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        room: str,
        peer: str | None = None,
        meta: Mapping[str, Any] | None = None,
        token: TokenSource | None = None,
        ssl: tls.SSLContext | None = None,
        give_up_after: float | None = None,
    ) -> None:
        self._session = ClientSession(room, peer, {} if meta is None else meta)
        dialer = Dialer(
            [url] if isinstance(url, str) else url,
            self._session,
            token=token,
            ssl=ssl,
            give_up_after=give_up_after,
        )
        self._reconnects = give_up_after != 0
        self._events = EventQueue()
        self._connection = Connection(dialer, self._session, self._events, self._notify)
        self._runner: asyncio.Task[None] | None = None
        self._connecting = False
        # Replaced at each change of peers or outbox, for which callers may wait.
        self._changed = asyncio.Event()
        self._closed: SignalingClosed | None = None
        self._lost: SignalingError | None = None

    @property
    def peer(self) -> str | None:
        """The id of this client in the room, or None before connect()."""
        return self._session.peer

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers of the room, by id."""
        return dict(self._session.peers)

    @property
    def polite(self) -> bool | None:
        """Whether this client is the polite peer; None unless there is exactly one other peer.

        Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
        """
        infos = self._candidates()
        return infos[0].polite if len(infos) == 1 else None

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers that the server sent last."""
        return self._session.ice_servers

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    async def connect(self) -> None:
        """Connect to the server and join the room, which sets `peer` and `peers`.

        Raises:
            ServerError: The server refuses the client.
            SignalingClosed: The server can't be reached, or doesn't speak the protocol.
            SignalingError: connect() was called before.
        """
        if self._connecting or self._closed is not None:
            raise SignalingError("connect() was called before")
        self._connecting = True
        try:
            await self._connection.open()
        except BaseException:
            self._end(SignalingClosed("connect() failed"))
            raise
        self._runner = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with NetworkMonitor() as monitor:
                monitor.on("change", self._follow_network)
                await self._connection.run(again=self._reconnects)
        except (SignalingClosed, ServerError) as error:
            self._lost = error
            logger.info("%s: gave up: %s", self._session.label, failure(error))
            self._end(SignalingClosed(str(error)))
        finally:
            self._end(SignalingClosed("the signaling is closed"))

    def _follow_network(self, change: NetworkChange) -> None:
        # A new address may give a better path; a connection from a lost address is dead.
        mine = self._connection.local_address
        if mine is not None and ipaddress.ip_address(mine.partition("%")[0]).is_loopback:
            return
        if change.added or mine in change.removed:
            self.reconnect_now()

    async def close(self) -> None:
        """Leave the room. Pending calls raise SignalingClosed. It may be called twice."""
        was_open = self._closed is None
        # First, so that the closing by the server doesn't count as a loss.
        self._end(SignalingClosed("the signaling is closed"))
        if self._runner is None:
            return
        try:
            if was_open:
                await self._connection.leave()
        finally:
            # A second call waits for the first.
            await (end([self._runner]) if was_open else asyncio.wait([self._runner]))

    def reconnect_now(self) -> None:
        """Reconnect to the server at once, for example when the network has changed.

        The session continues. The call has no effect before connect() and after close().
        """
        if self._runner is not None and self._closed is None:
            self._connection.hurry()

    # aiortc's interface.

    async def send(self, obj: object, to: str | None = None) -> None:
        """Send a session description, a candidate or BYE.

        Waits until another peer is in the room and the queue of unsent messages has room. After
        that the message is in the queue, and is sent even if the client must reconnect first.

        Args:
            obj: `RTCSessionDescription`, `RTCIceCandidate`, None for the end of candidates, or
                aiortc's `BYE`, which closes the signaling.
            to: The id of the receiver; needed if several other peers are in the room.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: Several other peers are in the room and `to` isn't given.
            TypeError: The object is none of these.
            ValueError: The message is larger than the limit of the server.
        """
        if obj is BYE:
            await self.close()
        elif isinstance(obj, aiortc.RTCSessionDescription):
            await self.send_description(obj, to)
        elif obj is None or isinstance(obj, aiortc.RTCIceCandidate):
            await self.send_candidate(obj, to)
        else:
            expected = "an RTCSessionDescription, an RTCIceCandidate, None or BYE"
            raise TypeError(f"expected {expected}, got {type(obj).__name__}")

    async def receive(self) -> Any:
        """Return the next description, candidate, None (the end of candidates) or BYE.

        BYE means that the other peer has left, or that the signaling is closed. All other events
        are dropped.
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
        """Yield events until close() is called.

        Keep reading: a message is acknowledged when its event is taken. If the program stops, the
        server keeps messages up to its limits, and then removes this peer. Sending doesn't depend
        on reading.

        Raises:
            SignalingClosed: The server has closed the connection, or can't be reached any more, or
                connect() wasn't called.
        """
        if not self._connecting:
            raise SignalingClosed("connect() comes first")
        while (event := await self._events.take()) is not None:
            yield event
        if self._lost is not None:
            raise SignalingClosed(str(self._lost)) from self._lost

    async def send_description(
        self, description: aiortc.RTCSessionDescription, to: str | None = None
    ) -> None:
        """Send a session description, as send() does.

        Args:
            description: The description.
            to: The id of the receiver; needed if several other peers are in the room.
        """
        await self._signal(Description(description.type, description.sdp), to)

    async def send_candidate(
        self, candidate: aiortc.RTCIceCandidate | None, to: str | None = None
    ) -> None:
        """Send a candidate, as send() does.

        Args:
            candidate: The candidate, or None for the end of candidates.
            to: The id of the receiver; needed if several other peers are in the room.
        """
        if candidate is None:
            await self._signal(Candidate(None), to)
        else:
            await self._signal(Candidate(RTCIceCandidate(**vars(candidate)).toJSON()), to)

    async def send_custom(self, value: Any, to: str | None = None) -> None:
        """Send a message of the application, as send() does.

        Args:
            value: Any JSON value.
            to: The id of the receiver; needed if several other peers are in the room.

        Raises:
            ValueError: The value isn't JSON, such as NaN.
            TypeError: The value has a type that JSON doesn't have.
        """
        await self._signal(Custom(value), to)

    async def broadcast(self, value: Any) -> None:
        """Send a message of the application to all other peers of the room, if there are any.

        Args:
            value: Any JSON value.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            ValueError: The value isn't JSON, such as NaN.
            TypeError: The value has a type that JSON doesn't have.
        """
        self._check_open()
        text = self._session.prepare(Custom(value))
        await self._enqueue(self._session.address(text, EVERYONE))

    async def wait_for_peer(self, peer: str | None = None) -> PeerInfo:
        """Return the other peer as soon as it is in the room.

        A peer that is away counts only if no other peer is in the room.

        Args:
            peer: The id of the peer; None if there is only one.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: Several other peers are in the room and no id is given.
        """
        while True:
            self._check_open()
            infos = self._candidates(peer)
            if len(infos) == 1:
                return infos[0]
            if infos:
                ids = ", ".join(info.peer for info in infos)
                raise NoPeer(f"expected one other peer, or the id of one, got {ids}")
            await self._changed.wait()

    def _candidates(self, peer: str | None = None) -> list[PeerInfo]:
        infos = [info for info in self._session.peers.values() if peer in {None, info.peer}]
        return [info for info in infos if info.state == "joined"] or infos

    def _check_open(self) -> None:
        if not self._connecting:
            raise SignalingClosed("connect() comes first")
        if self._closed is not None:
            raise SignalingClosed(str(self._closed))

    async def _signal(self, data: Data, to: str | None) -> None:
        # Raises before it waits.
        text = self._session.prepare(data)
        info = await self.wait_for_peer(to)
        # The instance keeps an answer from reaching a program that has been restarted.
        await self._enqueue(self._session.address(text, info.peer, info.instance))

    async def _enqueue(self, text: str) -> None:
        """Append a message to the outbox when it has room; a cancelled call appends nothing."""
        while not self._session.outbox.has_room(text):
            await self._changed.wait()
            self._check_open()
        self._session.outbox.append(text)
        self._connection.wake()

    # What the connection calls.

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _end(self, reason: SignalingClosed) -> None:
        if self._closed is not None:
            return
        self._closed = reason
        self._notify()
        self._events.end()
