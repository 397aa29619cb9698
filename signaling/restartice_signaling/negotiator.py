"""Perfect negotiation: the specification's program between a peer connection and a signaling."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import aiortc

from restartice import (
    AutomaticRestart,
    RecoverySettings,
    RestartEvent,
    RTCIceCandidate,
    RTCPeerConnection,
)

from .cancellation import end
from .client.events import (
    CandidateReceived,
    CustomReceived,
    DescriptionReceived,
    IceServersReceived,
    PeerAway,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Refused,
)
from .errors import NoPeer, SignalingClosed

if TYPE_CHECKING:
    from .client.signaling import WebSocketSignaling

__all__ = ["Negotiator"]

logger = logging.getLogger(__name__)

UFRAG: Final = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
# How many of the other peer's generations are remembered, to tell late candidates from wrong ones.
REMEMBERED: Final = 32


class Negotiator:
    """Negotiates whenever that is needed, and answers the other peer, whatever both do at once.

    Use it as an async context manager around a connected signaling, for a room of two. Make it
    before adding tracks and channels, whose `negotiationneeded` it waits for:

        async with WebSocketSignaling(url, room="robot") as signaling:
            async with Negotiator(pc, signaling):
                ...

    Args:
        pc: The connection.
        signaling: Where the other peer is. The Negotiator is the one that reads its events.
        polite: Whether we give way when both make an offer; None for what the server says.
        on_custom: Called with what the other peer's application sent. An error that it raises goes
            to `on_error`.
        on_error: Called with what went wrong, such as a description that can't be applied; what
            went wrong ends neither the negotiation nor the connection. Without it a warning is
            logged.
        recovery: Whether to restart ICE when the path is lost or the network changes; or the
            timings of that. Nothing is restarted while nobody else is in the room, nor when the
            signaling has ended, so that a connection that has failed closes itself in time.
        on_restart: Called when a restart of ICE starts, succeeds or fails. An error that it raises
            goes to `on_error`.

    Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        signaling: "WebSocketSignaling",
        *,
        polite: bool | None = None,
        on_custom: Callable[[object], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
        recovery: RecoverySettings | bool = True,
        on_restart: Callable[[RestartEvent], None] | None = None,
    ) -> None:
        self._pc = pc
        self._signaling = signaling
        self._polite = polite
        self._on_custom = on_custom or _ignore
        self._error_taker = on_error or _log_error
        self._recovery = RecoverySettings() if recovery is True else recovery
        self._on_restart = on_restart or _log_restart
        self._needed = asyncio.Event()
        # Set when somebody goes, after which it may be clear whom to make offers to.
        self._fewer = asyncio.Event()
        # Whether our offer couldn't be sent, because it wasn't clear to whom.
        self._unsent = False
        self._candidates: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
        self._sending = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._recoverer: AutomaticRestart | None = None
        self._instances: set[str] = set()
        # Whether no description is being dealt with.
        self._idle = asyncio.Event()
        self._idle.set()
        self._described: deque[str] = deque(maxlen=REMEMBERED)
        # The three variables of the specification's program.
        self.making_offer = False
        self.ignore_offer = False
        self.is_setting_remote_answer_pending = False
        pc.on("negotiationneeded", self._needed.set)
        pc.on("signalingstatechange", self._forget_need)
        pc.on("icecandidate", self._candidates.put_nowait)

    @property
    def polite(self) -> bool:
        """Whether we give way when both make an offer."""
        polite = self._signaling.polite if self._polite is None else self._polite
        return bool(polite)

    async def __aenter__(self) -> Self:
        self._use_ice_servers(self._signaling.ice_servers)
        self._tasks = [
            asyncio.create_task(self._make_offers()),
            asyncio.create_task(self._handle_events()),
            asyncio.create_task(self._send_candidates()),
        ]
        if self._recovery:
            self._recoverer = AutomaticRestart(
                self._pc,
                self._recovery,
                polite=lambda: self.polite,
                on_restart=self._tell_restart,
                has_peer=self._has_peer,
            )
            self._recoverer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop negotiating. Neither the connection nor the signaling is closed."""
        self._stop_listening("negotiationneeded", self._needed.set)
        self._stop_listening("signalingstatechange", self._forget_need)
        self._stop_listening("icecandidate", self._candidates.put_nowait)
        tasks, self._tasks = self._tasks, []
        if self._recoverer is not None:
            await self._recoverer.close()
        await end(tasks)

    def _has_peer(self) -> bool:
        """Return whether there is somebody to negotiate with; a peer that is away may come back."""
        ended = not self._tasks or self._tasks[1].done()
        return not ended and bool(self._signaling.peers)

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
        while True:
            await self._needed.wait()
            # Nobody could answer before.
            await self._wait_for_peer()
            # In a browser nothing can come between the event and its handler. Here a description
            # may have come in, which is dealt with first.
            while not self._idle.is_set():
                await self._idle.wait()
            needed = self._needed.is_set() and self._pc.signalingState == "stable"
            self._needed.clear()
            if needed:
                await self._report(self._make_offer())

    async def _wait_for_peer(self) -> None:
        while True:
            self._fewer.clear()
            try:
                await self._signaling.wait_for_peer()
            except NoPeer as error:
                self._on_error(error)
                await self._fewer.wait()
            else:
                return

    def _forget_need(self) -> None:
        # On its way back to stable the connection finds out anew if negotiation is needed.
        if self._pc.signalingState == "stable":
            self._needed.clear()

    async def _make_offer(self) -> None:
        # pc.onnegotiationneeded
        try:
            self.making_offer = True
            await self._pc.setLocalDescription()
            await self._send_offer()
        finally:
            self.making_offer = False

    async def _handle_events(self) -> None:
        async for event in self._signaling.events():
            if isinstance(event, DescriptionReceived):
                await self._report(self._handle_alone(event.description))
            elif isinstance(event, CandidateReceived):
                await self._report(self._handle_candidate(event))
            elif isinstance(event, PeerJoined | PeerLeft | PeerAway):
                await self._report(self._regroup(event))
            elif isinstance(event, Reconnected) and not event.resumed:
                await self._report(self._begin_anew())
            elif isinstance(event, IceServersReceived):
                self._tell(self._use_ice_servers, event.servers)
            elif isinstance(event, CustomReceived):
                self._tell(self._on_custom, event.value)
            elif isinstance(event, Refused):
                self._on_error(event.error)

    async def _handle_alone(self, description: aiortc.RTCSessionDescription) -> None:
        self._described.extend(set(UFRAG.findall(description.sdp)))
        self._idle.clear()
        try:
            await self._handle_description(description)
        finally:
            self._idle.set()

    async def _handle_description(self, description: aiortc.RTCSessionDescription) -> None:
        # signaler.onmessage, with a description.
        pc = self._pc
        # An offer may come in while we are busy processing the answer to ours. It is processed
        # after that, so all is well.
        ready_for_offer = not self.making_offer and (
            pc.signalingState == "stable" or self.is_setting_remote_answer_pending
        )
        offer_collision = description.type == "offer" and not ready_for_offer
        self.ignore_offer = not self.polite and offer_collision
        if self.ignore_offer:
            return
        self.is_setting_remote_answer_pending = description.type == "answer"
        try:
            # Rolls back our own offer as needed.
            await pc.setRemoteDescription(description)
        finally:
            self.is_setting_remote_answer_pending = False
        if description.type == "offer":
            await pc.setLocalDescription()
            await self._send(lambda: pc.currentLocalDescription)

    async def _handle_candidate(self, event: CandidateReceived) -> None:
        # signaler.onmessage, with a candidate.
        try:
            await self._pc.addIceCandidate(event.candidate)
        except Exception:
            # Candidates of an offer that was ignored fit nothing.
            if not (self.ignore_offer or self._is_late(event.candidate)):
                raise

    def _is_late(self, candidate: RTCIceCandidate | None) -> bool:
        """Say if a candidate is of a description that was ignored, replaced or refused meanwhile.

        Such candidates are to be discarded. (RFC 8838 section 10, RFC 8840 section 4.4)
        """
        ufrag = None if candidate is None else candidate.usernameFragment
        in_use = (self._pc.remoteDescription, self._pc.currentRemoteDescription)
        ufrags = {found for d in in_use if d is not None for found in UFRAG.findall(d.sdp)}
        return ufrag in self._described and ufrag not in ufrags

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
        newcomer = event.info.instance not in self._instances
        self._instances.add(event.info.instance)
        if newcomer and not self.making_offer and self._pc.signalingState == "have-local-offer":
            await self._send_offer()

    async def _begin_anew(self) -> None:
        # What was under way may or may not have arrived, in either direction.
        pc = self._pc
        if pc.signalingState == "have-local-offer" and not self.making_offer:
            await self._send_offer()
        unwell = pc.connectionState not in {"connected", "new", "closed"}
        if unwell and self._signaling.peers:
            pc.restartIce()

    def _use_ice_servers(self, servers: Sequence[aiortc.RTCIceServer]) -> None:
        # They are used from the next gathering on, which the next restart makes.
        if servers and self._pc.signalingState != "closed":
            configuration = self._pc.getConfiguration()
            configuration.iceServers = list(servers)
            self._pc.setConfiguration(configuration)

    async def _send_offer(self) -> None:
        self._unsent = True
        await self._send(lambda: self._pc.pendingLocalDescription)
        self._unsent = False

    async def _send(self, find: Callable[[], aiortc.RTCSessionDescription | None]) -> None:
        # An operation that came in between may have taken the description back.
        async with self._sending:
            if (description := find()) is not None:
                await self._signaling.send_description(description)

    async def _send_candidates(self) -> None:
        # pc.onicecandidate
        while True:
            candidate = await self._candidates.get()
            if candidate is not None:
                await self._report(self._send_candidate(candidate))

    async def _send_candidate(self, candidate: RTCIceCandidate) -> None:
        # The other side needs the description first, and none of one that was taken back. Whoever
        # comes later gets a description with all candidates.
        async with self._sending:
            description = self._pc.localDescription if self._signaling.peers else None
            if description and f"a=ice-ufrag:{candidate.usernameFragment}\r" in description.sdp:
                await self._signaling.send_candidate(candidate)

    async def _report(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except SignalingClosed:
            raise
        except Exception as error:  # noqa: BLE001  whatever the remote side did
            self._on_error(error)

    # What the program has given must not end the tasks by its errors.

    def _tell(self, callback: Callable[[Any], None], value: object) -> None:
        try:
            callback(value)
        except Exception as error:  # noqa: BLE001  whatever the program did
            self._on_error(error)

    def _tell_restart(self, event: RestartEvent) -> None:
        self._tell(self._on_restart, event)

    def _on_error(self, error: Exception) -> None:
        try:
            self._error_taker(error)
        except Exception:
            logger.exception("What was given as on_error has failed")


def _ignore(_value: object) -> None:
    """Do nothing with what an application sends."""


def _log_restart(event: RestartEvent) -> None:
    logger.info("ICE restart: %s", event)


def _log_error(error: Exception) -> None:
    logger.warning("Negotiation: %s: %s", type(error).__name__, error)
