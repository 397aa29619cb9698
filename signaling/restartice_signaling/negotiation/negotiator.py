"""Perfect negotiation: the specification's program between a peer connection and a signaling."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Self

import aiortc
from aiortc.contrib.signaling import BaseSignaling

from restartice import (
    AutomaticRestart,
    RecoverySettings,
    RestartEvent,
    RTCPeerConnection,
)

from ..cancellation import end
from ..client.events import (
    CandidateReceived,
    CustomReceived,
    DescriptionReceived,
    Disconnected,
    IceServersReceived,
    PeerAway,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Refused,
)
from ..errors import NoPeer
from .aiortc_channel import as_channel
from .callbacks import Callbacks
from .channel import RoomChannel, SignalingChannel, TrickleChannel
from .collisions import Politeness
from .first_offer import FirstOffer
from .in_band import InBandChannel
from .late import Described
from .matching import with_offer_named
from .open_offer import OpenOffer
from .outgoing import Outgoing
from .pace import Pace

__all__ = ["Negotiator"]

logger = logging.getLogger(__name__)

OFFER_REPEATED: Final = "%s: no answer to our offer for %g s: sending it again"


class Negotiator:
    """Negotiates whenever needed, and answers the other peer, even if both make offers at once.

    Use it as an async context manager around a connected signaling, for two peers. Tracks and
    channels may be added before or after:

        async with WebSocketSignaling(url, room="robot") as signaling:
            async with Negotiator(pc, signaling):
                ...

    In a room, the peer that came first waits 0.3 s for an offer of the newcomer, so that they don't
    both make one at once. An offer that has no answer after 10 s is sent again, and then at growing
    intervals. If offers of the other side were ignored meanwhile, ours is then rolled back. An
    endless negotiation is slowed down to one round a second, with a warning in the log.

    Attributes:
        collisions: How many offers of the other side have come while ours was open.

    Args:
        pc: The connection.
        signaling: The way to the other peer: a `WebSocketSignaling`, one of aiortc's
            signalings, a `CallableChannel`, or any other `SignalingChannel`. Only the Negotiator
            reads its events.
        polite: Whether we give way when both make an offer; None for what the signaling says. If
            it says nothing, the side whose offer was answered first is impolite; before that, the
            side whose certificate has the lower fingerprint. Give it if the other side makes
            offers, but isn't a Negotiator.
        on_custom: Called with each message of the other peer's application. An error that it
            raises goes to `on_error`.
        on_error: Called with each error, such as that of a description that can't be applied. It
            ends neither the negotiation nor the connection. Without it, a warning is logged.
        recovery: Whether to restart ICE when the path is lost or the network changes; or the
            timings of that. Nothing is restarted while nobody else is in the room, nor when the
            signaling has ended, so that a connection that has failed closes itself in time.
        on_restart: Called when a restart of ICE starts, succeeds or fails, and when the connection
            switches to another path without one. An error that it raises goes to `on_error`.
        in_band: Whether to negotiate in a data channel of the connection, once it is connected, if
            the other side does, too. The signaling is used until then, and for what isn't
            acknowledged within a second. The channel has the id 1023 and no `datachannel` event.

    Raises:
        TypeError: An argument has the wrong type, such as a connection of aiortc's.

    Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        signaling: SignalingChannel | BaseSignaling,
        *,
        polite: bool | None = None,
        on_custom: Callable[[object], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
        recovery: RecoverySettings | bool = True,
        on_restart: Callable[[RestartEvent], None] | None = None,
        in_band: bool = False,
    ) -> None:
        _check_types(pc, recovery)
        self._callbacks = Callbacks(pc, on_custom, on_error, on_restart)
        self._pc = pc
        server = as_channel(signaling, polite)
        self._room = server if isinstance(server, RoomChannel) else None
        self._politeness = Politeness(pc, server, polite)
        self._in_band = InBandChannel(pc, server, self._politeness.settle) if in_band else None
        self._signaling = self._in_band or server
        self._recovery = RecoverySettings() if recovery is True else recovery
        self._needed = asyncio.Event()
        # Set when somebody goes, after which it may be clear whom to make offers to.
        self._fewer = asyncio.Event()
        # Whether our offer couldn't be sent, because it wasn't clear to whom.
        self._unsent = False
        self._outgoing = Outgoing(
            pc, self._signaling, self._has_peer, trickles=isinstance(server, TrickleChannel)
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._recoverer: AutomaticRestart | None = None
        self._instances: set[str] = set()
        # Whether no description is being dealt with.
        self._idle = asyncio.Event()
        self._idle.set()
        self._turn = asyncio.Lock()
        self._open_offer = OpenOffer()
        self._first_offer = FirstOffer(pc, self._room)
        self._pace = Pace(repr(pc))
        self.collisions = 0
        # Whether the connection to the signaling server is lost for now.
        self._offline = False
        self._described = Described(pc)
        # The three variables of the specification's program.
        self.making_offer = self.ignore_offer = False
        self.is_setting_remote_answer_pending = False
        pc.on("negotiationneeded", self._needed.set)
        pc.on("signalingstatechange", self._follow_state)

    @property
    def polite(self) -> bool:
        """Whether we give way when both make an offer; False while that is undecided."""
        return bool(self._politeness.known)

    @property
    def in_band(self) -> bool:
        """Whether negotiation needs no signaling at the moment, as the data channel carries it."""
        return self._in_band is not None and self._in_band.works

    async def __aenter__(self) -> Self:
        if self._room is not None:
            self._use_ice_servers(self._room.ice_servers)
        if _is_undescribed(self._pc):
            # The event may have fired before there was a listener.
            self._needed.set()
        self._tasks = [
            asyncio.create_task(self._make_offers()),
            asyncio.create_task(self._handle_events()),
            asyncio.create_task(self._send_candidates()),
            asyncio.create_task(self._mind_open_offer()),
        ]
        if self._recovery:
            self._recoverer = AutomaticRestart(
                self._pc,
                self._recovery,
                polite=lambda: self.polite,
                on_restart=self._callbacks.tell_restart,
                has_peer=self._has_peer,
            )
            self._recoverer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop negotiating. Neither the connection nor the signaling is closed."""
        self._stop_listening("negotiationneeded", self._needed.set)
        self._stop_listening("signalingstatechange", self._follow_state)
        self._outgoing.close()
        if self._in_band is not None:
            self._in_band.close()
        tasks, self._tasks = self._tasks, []
        if self._recoverer is not None:
            await self._recoverer.close()
        await end(tasks)

    def _has_peer(self) -> bool:
        """Return whether there is somebody to negotiate with; a peer that is away may come back."""
        if not self._tasks or self._tasks[1].done():
            return False
        return self._room is None or bool(self._room.peers) or self.in_band

    def _stop_listening(self, event: str, listener: Callable[..., None]) -> None:
        # A closed connection has no listeners any more.
        if listener in self._pc.listeners(event):
            self._pc.remove_listener(event, listener)

    async def wait_closed(self) -> None:
        """Return when the signaling has ended.

        Raises:
            SignalingClosed: The connection to the server was lost.
        """
        if self._tasks:
            await asyncio.shield(self._tasks[1])

    async def _make_offers(self) -> None:
        if self._pc.signalingState in {"have-local-offer", "have-remote-offer"}:
            await self._wait_for_peer()
            await self._callbacks.report(self._continue())
        while True:
            await self._needed.wait()
            # Nobody could answer before.
            await self._wait_for_peer()
            await self._first_offer.wait()
            # In a browser nothing can come between the event and its handler. Here a description
            # may have come in, which is dealt with first.
            while not self._idle.is_set():
                await self._idle.wait()
            needed = self._needed.is_set() and self._pc.signalingState == "stable"
            self._needed.clear()
            if needed:
                await self._callbacks.report(self._make_offer())
                await self._pace.keep()

    async def _continue(self) -> None:
        """Continue a negotiation that was open when this Negotiator was made."""
        if self._pc.signalingState == "have-local-offer":
            await self._send_offer()
        async with self._turn:
            if self._pc.signalingState == "have-remote-offer":
                await self._answer()

    async def _wait_for_peer(self) -> None:
        while True:
            self._fewer.clear()
            try:
                if self._room is not None and not self.in_band:
                    await self._room.wait_for_peer()
            except NoPeer as error:
                self._callbacks.tell_error(error)
                await self._fewer.wait()
            else:
                return

    def _follow_state(self) -> None:
        if self._pc.signalingState != "have-local-offer":
            self._open_offer.settle()
        # On its way back to stable the connection finds out again if negotiation is needed.
        if self._pc.signalingState == "stable":
            self._needed.clear()

    async def _make_offer(self) -> None:
        # pc.onnegotiationneeded
        try:
            self.making_offer = True
            if self._in_band is not None:
                self._in_band.prepare()
            await self._pc.setLocalDescription()
            await self._send_offer()
        finally:
            self.making_offer = False

    async def _handle_events(self) -> None:
        async for event in self._signaling.events():
            if isinstance(event, DescriptionReceived):
                await self._callbacks.report(self._handle_alone(event.description))
            elif isinstance(event, CandidateReceived):
                await self._callbacks.report(self._handle_candidate(event))
            elif isinstance(event, PeerJoined | PeerLeft | PeerAway):
                await self._callbacks.report(self._regroup(event))
            elif isinstance(event, Disconnected | Reconnected):
                await self._callbacks.report(self._follow_server(event))
            elif isinstance(event, IceServersReceived):
                self._callbacks.call(self._use_ice_servers, event.servers)
            elif isinstance(event, CustomReceived):
                self._callbacks.tell_custom(event.value)
            elif isinstance(event, Refused):
                self._callbacks.tell_error(event.error)

    async def _handle_alone(
        self, description: aiortc.RTCSessionDescription, *, give_way: bool = False
    ) -> None:
        async with self._turn:
            self._described.note(description.sdp)
            self._idle.clear()
            try:
                await self._handle_description(description, give_way=give_way)
            finally:
                self._idle.set()

    async def _handle_description(
        self, description: aiortc.RTCSessionDescription, *, give_way: bool
    ) -> None:
        # signaler.onmessage, with a description.
        pc = self._pc
        # An offer may come in while we are busy processing the answer to ours. It is processed
        # after that, so all is well.
        ready_for_offer = not self.making_offer and (
            pc.signalingState == "stable" or self.is_setting_remote_answer_pending
        )
        offer_collision = description.type == "offer" and not ready_for_offer
        self.collisions += offer_collision
        give_way = give_way or not offer_collision or self._politeness.gives_way_to(description)
        self.ignore_offer = not give_way
        if self.ignore_offer:
            logger.info("%s: ignored an offer that collided with ours; ours must be answered", pc)
            self._open_offer.ignored = description
        elif description.type == "offer":
            await self._handle_offer(description, collides=offer_collision)
        else:
            await self._handle_answer(description)

    async def _handle_offer(self, offer: aiortc.RTCSessionDescription, *, collides: bool) -> None:
        if collides:
            logger.info("%s: rolled back our offer, which collided with the other side's", self._pc)
            self._open_offer.withdraw()
        self._first_offer.note_offer()
        await self._pace.keep()
        self.is_setting_remote_answer_pending = False
        # Rolls back our own offer as needed.
        await self._pc.setRemoteDescription(offer)
        if self._in_band is not None and self._pc.sctp is not None:
            self._in_band.prepare()
        await self._answer()

    async def _answer(self) -> None:
        await self._pc.setLocalDescription()
        await self._outgoing.send_description(self._find_answer)
        self._politeness.note_answer(ours=True)

    def _find_answer(self) -> aiortc.RTCSessionDescription | None:
        """Return the answer with its offer's name, by which the other side tells it from others."""
        answer, offer = self._pc.currentLocalDescription, self._pc.currentRemoteDescription
        if answer is None or offer is None:
            return None
        return aiortc.RTCSessionDescription(with_offer_named(answer.sdp, offer.sdp), answer.type)

    async def _handle_answer(self, answer: aiortc.RTCSessionDescription) -> None:
        offer = self._pc.pendingLocalDescription
        text = None if offer is None else offer.sdp
        if not self._open_offer.takes(answer.sdp, self._pc.signalingState, text):
            logger.info("%s: ignored an answer: its offer isn't open any more", self._pc)
            return
        self.is_setting_remote_answer_pending = True
        try:
            await self._pc.setRemoteDescription(answer)
        finally:
            self.is_setting_remote_answer_pending = False
        self._politeness.note_answer(ours=False)

    async def _handle_candidate(self, event: CandidateReceived) -> None:
        # signaler.onmessage, with a candidate.
        try:
            await self._pc.addIceCandidate(event.candidate)
        except Exception:
            # Candidates of an offer that was ignored fit nothing.
            if not (self.ignore_offer or self._described.is_late(event.candidate)):
                raise

    async def _regroup(self, event: PeerJoined | PeerLeft | PeerAway) -> None:
        if self._recoverer is not None:
            self._recoverer.look()
        if isinstance(event, PeerJoined):
            await self._greet(event)
            return
        self._fewer.set()
        if self._unsent:
            await self._send_offer()

    async def _greet(self, event: PeerJoined) -> None:
        # An offer that the peer before it didn't answer is for this one.
        self._first_offer.note_peer(event.info.instance)
        newcomer = event.info.instance not in self._instances
        self._instances.add(event.info.instance)
        unanswered = self._pc.signalingState == "have-local-offer"
        if newcomer and unanswered and not self.making_offer and not self.in_band:
            await self._send_offer()

    async def _follow_server(self, event: Disconnected | Reconnected) -> None:
        self._offline = isinstance(event, Disconnected)
        if isinstance(event, Reconnected) and not event.resumed and not self.in_band:
            await self._begin_anew()

    async def _begin_anew(self) -> None:
        # What was under way may or may not have arrived, in either direction.
        pc = self._pc
        if pc.signalingState == "have-local-offer" and not self.making_offer:
            self._open_offer.expect_another()
            await self._send_offer()
        unwell = pc.connectionState not in {"connected", "new", "closed"}
        if unwell and self._has_peer():
            pc.restartIce()

    def _use_ice_servers(self, servers: Sequence[aiortc.RTCIceServer]) -> None:
        # They are used from the next gathering on, which the next restart makes.
        if servers and self._pc.signalingState != "closed":
            configuration = self._pc.getConfiguration()
            configuration.iceServers = list(servers)
            self._pc.setConfiguration(configuration)

    async def _send_offer(self) -> None:
        self._unsent = True
        try:
            await self._outgoing.send_description(lambda: self._pc.pendingLocalDescription)
            self._unsent = False
        finally:
            self._open_offer.sent()

    async def _mind_open_offer(self) -> None:
        while True:
            await self._open_offer.wait_overdue()
            await self._callbacks.report(self._repeat_offer())

    async def _repeat_offer(self) -> None:
        """Send the offer again, or give way if both sides seem to wait for each other's answer."""
        offer = self._open_offer
        if self._pc.signalingState != "have-local-offer":
            return
        if not self._is_reachable():
            offer.sent()
        elif (theirs := offer.ignored) is not None and offer.repeats >= self._patience(theirs):
            logger.info("%s: both sides ignored the other's offer: answering theirs", self._pc)
            await self._handle_alone(theirs, give_way=True)
        else:
            logger.info(OFFER_REPEATED, self._pc, offer.timeout)
            offer.repeat()
            await self._send_offer()

    def _patience(self, offer: aiortc.RTCSessionDescription) -> int:
        """Return how often to repeat our offer before theirs is answered after all."""
        # Not both sides at the same time, if the other one is a Negotiator, too.
        return 1 if self._politeness.loses_to(offer) else 3

    def _is_reachable(self) -> bool:
        if self.in_band:
            return True
        if self._offline or not self._has_peer():
            return False
        peers = () if self._room is None else self._room.peers.values()
        return self._room is None or any(info.state == "joined" for info in peers)

    async def _send_candidates(self) -> None:
        while True:
            candidate = await self._outgoing.next_candidate()
            await self._callbacks.report(self._outgoing.send_candidate(candidate))


def _check_types(pc: object, recovery: object) -> None:
    if not isinstance(pc, RTCPeerConnection):
        raise TypeError(f"pc must be a restartice.RTCPeerConnection, not {pc!r}")
    if not isinstance(recovery, RecoverySettings | bool):
        raise TypeError(f"recovery must be a bool or RecoverySettings, not {recovery!r}")


def _is_undescribed(pc: RTCPeerConnection) -> bool:
    """Return whether a connection has something that no description has told of."""
    without_data = pc.sctp is not None and pc.sctp.mid is None
    return without_data or any(transceiver.mid is None for transceiver in pc.getTransceivers())
