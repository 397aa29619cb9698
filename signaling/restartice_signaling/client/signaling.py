"""The signaling client, as aiortc knows it, and with events that say who sent what."""

import asyncio
import ipaddress
import logging
import ssl as tls
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
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
    """A place in a room of a signaling server.

    It is one of aiortc's signalings, so aiortc's example programs run on it: `connect`, `send`,
    `receive` and `close`. Iterating over it tells more, and who sent what. Use one or the other.

    A lost connection to the server is made anew, and what was sent meanwhile in either direction
    arrives then, once and in order. That happens at once when this machine gets a new address or
    loses the one in use. It does nothing to any peer connection.

    Args:
        url: The server's, `ws://…` or `wss://…`, or those of several that share their rooms.
        room: The room's name: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
        peer: The id to have in the room, if it is free; the server gives one otherwise.
        meta: Anything that the other peers should know; must be JSON.
        token: The room token, if the server wants one, or a coroutine function that gets it, which
            is called for each connection, and again if it fails.
        ssl: For `wss`, if the default context doesn't do.
        give_up_after: For how many seconds a lost connection is tried to be made anew; None for
            ever, 0 for not at all.
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
        self._session = ClientSession(room, peer, meta or {})
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
        # Replaced whenever something has changed that somebody may wait for.
        self._changed = asyncio.Event()
        self._closed: SignalingClosed | None = None
        self._lost: SignalingError | None = None

    @property
    def peer(self) -> str | None:
        """Our own id in the room, or None before connect()."""
        return self._session.peer

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers of the room by their ids."""
        return dict(self._session.peers)

    @property
    def polite(self) -> bool | None:
        """Whether we are the polite one towards the other peer; None if there isn't exactly one.

        Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
        """
        infos = self._candidates()
        return infos[0].polite if len(infos) == 1 else None

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers of which the server has told last."""
        return self._session.ice_servers

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

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    async def connect(self) -> None:
        """Go to the server and into the room, after which `peer` and `peers` are known.

        Raises:
            ServerError: The server doesn't let us in.
            SignalingClosed: The server can't be reached, or doesn't speak the protocol.
            SignalingError: connect() was called before.
        """
        if self._connecting or self._closed is not None:
            raise SignalingError("connect() was called before")
        self._connecting = True
        try:
            await self._connection.open()
        except BaseException:
            self._end(SignalingClosed("the server didn't let us in"))
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
        # A new address may be a better way, and a connection from one that is gone is dead.
        mine = self._connection.local_address
        if mine is not None and ipaddress.ip_address(mine.partition("%")[0]).is_loopback:
            return
        if change.added or mine in change.removed:
            self.reconnect_now()

    async def close(self) -> None:
        """Leave the room. Who waits for anything gets SignalingClosed. May be called twice."""
        was_open = self._closed is None
        # First of all, so that the server's closing isn't taken for a loss.
        self._end(SignalingClosed("the signaling is closed"))
        if self._runner is None:
            return
        try:
            if was_open:
                await self._connection.leave()
        finally:
            # Who closes a second time waits for the first.
            await (end([self._runner]) if was_open else asyncio.wait([self._runner]))

    def reconnect_now(self) -> None:
        """Make the connection to the server anew, at once: a hint that the network has changed.

        The session goes on. It has no effect before connect() and after close().
        """
        if self._runner is not None and self._closed is None:
            self._connection.hurry()

    # aiortc's interface.

    async def send(self, obj: object, to: str | None = None) -> None:
        """Send a session description, a candidate or BYE; waits until another peer is there.

        It returns when the message is sure to be sent, which is after the next reconnection if the
        server can't be reached; while too much is waiting for that, it waits, too.

        Args:
            obj: `RTCSessionDescription`, `RTCIceCandidate`, None for the end of candidates, or
                aiortc's `BYE`, which closes the signaling.
            to: Whom it is for; needed where there are several others.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: There are several others and `to` isn't given.
            TypeError: It is something else.
            ValueError: It is larger than the server takes.
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

        What is read is acknowledged; who stops reading makes the server wait, and then the other
        peers, who give up this one in the end. It doesn't hold up what is sent from here.

        Raises:
            SignalingClosed: The server has ended it, or can't be reached, or was never.
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
        """Send a session description; as send() does.

        Args:
            description: The description.
            to: Whom it is for; needed where there are several others.
        """
        await self._signal(Description(description.type, description.sdp), to)

    async def send_candidate(
        self, candidate: aiortc.RTCIceCandidate | None, to: str | None = None
    ) -> None:
        """Send a candidate; as send() does.

        Args:
            candidate: The candidate, or None for the end of candidates.
            to: Whom it is for; needed where there are several others.
        """
        if candidate is None:
            await self._signal(Candidate(None), to)
        else:
            await self._signal(Candidate(RTCIceCandidate(**vars(candidate)).toJSON()), to)

    async def send_custom(self, value: Any, to: str | None = None) -> None:
        """Send what the application has to say; as send() does.

        Args:
            value: Anything that JSON can be.
            to: Whom it is for; needed where there are several others.

        Raises:
            ValueError: It isn't JSON.
            TypeError: It isn't JSON.
        """
        await self._signal(Custom(value), to)

    async def broadcast(self, value: Any) -> None:
        """Send anything that is JSON to all others who are in the room, if any.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            ValueError: It isn't JSON.
            TypeError: It isn't JSON.
        """
        self._check_open()
        text = self._session.prepare(Custom(value))
        await self._enqueue(self._session.address(text, EVERYONE))

    async def wait_for_peer(self, peer: str | None = None) -> PeerInfo:
        """Return the other peer, or the one with that id; waits until it is there.

        Peers that are away count only if there is no other.

        Raises:
            SignalingClosed: The signaling is closed, or was never connected.
            NoPeer: There are several others and none is named.
        """
        while True:
            self._check_open()
            infos = self._candidates(peer)
            if len(infos) == 1:
                return infos[0]
            if infos:
                raise NoPeer("several peers are in the room: say which one")
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
        # What can't be sent is refused at once.
        text = self._session.prepare(data)
        info = await self.wait_for_peer(to)
        # The instance keeps an answer from reaching a peer that was born again meanwhile.
        await self._enqueue(self._session.address(text, info.peer, info.instance))

    async def _enqueue(self, text: str) -> None:
        """Give a message to the session, when it has room: at once and for good, or not at all."""
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
