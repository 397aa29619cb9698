"""A connection with each peer of a room, whoever comes and goes."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, Self

import aiortc

from restartice import RTCPeerConnection

from ..cancellation import end
from ..client.events import DescriptionReceived, Event, PeerJoined, PeerLeft, Refused
from ..errors import SignalingClosed
from ..protocol.messages import PeerInfo
from .channel import SignalingChannel
from .negotiator import Negotiator
from .politeness import fingerprints_in

__all__ = ["PeerConnections"]

logger = logging.getLogger(__name__)

# The reason of a peer that hasn't said why: it may have lost the server, and the call goes on.
LOST: Final = "lost"


class Room(Protocol):
    """The methods of a `WebSocketSignaling` that are used."""

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers, by id."""
        ...

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers to use."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield the events of all peers."""
        ...

    async def wait_for_peer(self, peer: str | None = None) -> PeerInfo:
        """Wait until a peer is in the room."""
        ...

    async def send_description(
        self, description: aiortc.RTCSessionDescription, to: str | None = None
    ) -> None:
        """Send a description to a peer."""
        ...

    async def send_candidate(
        self, candidate: aiortc.RTCIceCandidate | None, to: str | None = None
    ) -> None:
        """Send a candidate to a peer."""
        ...


class PeerConnections:
    """Keeps a connection with each peer of a room: a new one for each page or program that joins.

    A page that is reloaded, or a program that is restarted, gets a new connection, and the old
    one is closed. Use it as an async context manager around a connected signaling:

        def prepare(pc, peer):
            pc.addTrack(relay.subscribe(camera))

        async with WebSocketSignaling(url, room="robot-7", peer="robot") as signaling:
            async with PeerConnections(signaling, prepare) as calls:
                await calls.wait_closed()

    A connection is closed when its peer leaves the room, or when it is closed by its peer. A
    connected one stays while its peer has lost the signaling server, and when that is restarted.

    Args:
        signaling: The signaling, whose events only this object reads.
        prepare: A function or coroutine function that is called with each new connection and its
            peer, to add tracks, channels and listeners. If it raises an error, that is logged,
            and the connection closed.
        on_gone: Called with a connection that has been closed, and the peer that it led to.
        wanted: Returns whether to connect to a peer; without it, to all.
        negotiator: Makes the `Negotiator` of a connection, for other options than the default ones:
            `functools.partial(Negotiator, in_band=True)`.
        connection: Makes a connection, for a configuration or settings of its own.
    """

    def __init__(
        self,
        signaling: Room,
        prepare: Callable[[RTCPeerConnection, PeerInfo], Awaitable[None] | None],
        *,
        on_gone: Callable[[RTCPeerConnection, PeerInfo], None] | None = None,
        wanted: Callable[[PeerInfo], bool] = lambda _: True,
        negotiator: Callable[[RTCPeerConnection, SignalingChannel], Negotiator] = Negotiator,
        connection: Callable[[], RTCPeerConnection] = RTCPeerConnection,
    ) -> None:
        self._signaling = signaling
        self._prepare = prepare
        self._on_gone = on_gone
        self._wanted = wanted
        self._make_negotiator = negotiator
        self._make_connection = connection
        self._calls: dict[str, _Call] = {}
        # Also those that are being closed.
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None

    @property
    def connections(self) -> Mapping[str, RTCPeerConnection]:
        """The connections, by the ids of their peers."""
        return MappingProxyType({peer: call.pc for peer, call in self._calls.items()})

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. The signaling stays open."""
        if self._reader is not None:
            await end([self._reader])
        for call in self._calls.values():
            call.end()
        await asyncio.gather(*self._tasks)

    async def wait_closed(self) -> None:
        """Return when the signaling has ended.

        Raises:
            SignalingClosed: The connection to the server was lost.
        """
        if self._reader is not None:
            await asyncio.shield(self._reader)

    async def _read(self) -> None:
        try:
            async for event in self._signaling.events():
                peer: str | None = getattr(event, "peer", None)
                if peer is not None:
                    self._take(peer, event)
                elif isinstance(event, Refused):
                    logger.info("%s: %s", type(self._signaling).__name__, event.error)
                else:
                    for call in self._calls.values():
                        call.channel.incoming.put_nowait(event)
        finally:
            for call in self._calls.values():
                call.channel.incoming.put_nowait(None)

    def _take(self, peer: str, event: Event) -> None:
        if isinstance(event, PeerLeft):
            # The program of a peer that is lost may still be there.
            if event.reason != LOST or not self._is_connected(peer):
                self._end(peer)
        elif isinstance(event, PeerJoined):
            if not self._is_connected(peer):
                self._end(peer)
                self._begin(peer)
        elif isinstance(event, DescriptionReceived):
            self._take_description(peer, event.description)
        if (call := self._calls.get(peer)) is not None:
            call.channel.incoming.put_nowait(event)

    def _take_description(self, peer: str, description: aiortc.RTCSessionDescription) -> None:
        """Make a new connection for a description of a peer that has made one."""
        call = self._calls.get(peer)
        if call is not None and (call.gone.done() or call.is_of_another(description)):
            logger.info("%s: %s has made a new connection: making one for it", call.pc, peer)
            self._end(peer)
        if peer not in self._calls and (call is not None or description.type == "offer"):
            self._begin(peer)

    def _is_connected(self, peer: str) -> bool:
        return peer in self._calls and self._calls[peer].is_connected

    def _begin(self, peer: str) -> None:
        info = self._signaling.peers.get(peer)
        if info is None or not self._wanted(info):
            return
        call = _Call(self._make_connection(), info, PeerChannel(self._signaling, info))
        self._calls[peer] = call
        task = asyncio.create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, peer: str) -> None:
        call = self._calls.pop(peer, None)
        if call is not None:
            call.end()

    async def _run(self, call: "_Call") -> None:
        """Have a connection until its peer is gone."""
        try:
            async with self._make_negotiator(call.pc, call.channel):
                await call.prepare(self._prepare)
                await call.gone
        except Exception:
            logger.exception("%s: the call with %s has failed", call.pc, call.info.peer)
        finally:
            if self._calls.get(call.info.peer) is call:
                del self._calls[call.info.peer]
            await call.pc.close()
        if self._on_gone is not None:
            try:
                self._on_gone(call.pc, call.info)
            except Exception:
                logger.exception("%s: on_gone raised an error", call.pc)


class PeerChannel:
    """The signaling to one peer of the room, for a `Negotiator`.

    Attributes:
        incoming: The events of the peer; None when there are no more.
    """

    def __init__(self, room: Room, info: PeerInfo) -> None:
        self._room = room
        self._info = info
        self.incoming: asyncio.Queue[Event | None] = asyncio.Queue()
        self.closed = False

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The peer, if it is in the room."""
        info = self._room.peers.get(self._info.peer)
        return {} if info is None or self.closed else {info.peer: info}

    @property
    def polite(self) -> bool | None:
        """Whether this side is the polite one."""
        return self._room.peers.get(self._info.peer, self._info).polite

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers to use."""
        return self._room.ice_servers

    async def wait_for_peer(self) -> PeerInfo:
        """Wait until the peer is in the room."""
        return await self._room.wait_for_peer(self._info.peer)

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description to the peer."""
        self._check_open()
        await self._room.send_description(description, self._info.peer)

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Send a candidate to the peer."""
        self._check_open()
        await self._room.send_candidate(candidate, self._info.peer)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of the peer until the signaling has ended."""
        while (event := await self.incoming.get()) is not None:
            yield event

    def _check_open(self) -> None:
        # What the connection before had to say is nothing to the new instance.
        if self.closed:
            raise SignalingClosed("the peer is gone")


class _Call:
    """A connection with a peer."""

    def __init__(self, pc: RTCPeerConnection, info: PeerInfo, channel: PeerChannel) -> None:
        self.pc = pc
        self.info = info
        self.channel = channel
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pc.on("connectionstatechange", self._follow)

    @property
    def is_connected(self) -> bool:
        states = {"connected", "disconnected", "failed"}
        return not self.gone.done() and self.pc.connectionState in states

    def is_of_another(self, description: aiortc.RTCSessionDescription) -> bool:
        """Return whether a description is that of another connection: its certificate tells."""
        known = self.pc.remoteDescription
        if known is None:
            return False
        old, new = fingerprints_in(known.sdp), fingerprints_in(description.sdp)
        return bool(old) and bool(new) and not old & new

    def end(self) -> None:
        self.channel.closed = True
        if not self.gone.done():
            self.gone.set_result(None)

    async def prepare(
        self, prepare: Callable[[RTCPeerConnection, PeerInfo], Awaitable[None] | None]
    ) -> None:
        """Call the program's function, until the peer is gone."""
        result = prepare(self.pc, self.info)
        if not inspect.isawaitable(result):
            return
        task = asyncio.ensure_future(result)
        await asyncio.wait({task, self.gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        else:
            await end([task])

    def _follow(self) -> None:
        if self.pc.connectionState == "closed":
            self.end()
