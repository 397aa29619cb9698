"""Two connections, and a signaling between them that delivers when it is told to."""

import asyncio
import functools
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import aiortc
from aiortc.exceptions import OperationError

from connecting import DEADLINE, wait_until
from restartice import (
    IceSettings,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)

REVERSED = {"sendonly": "recvonly", "recvonly": "sendonly"}
ROUNDS = 60


class SilentTrack(aiortc.MediaStreamTrack):
    """A track that never has anything to send, which costs nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> Any:
        await asyncio.get_running_loop().create_future()


class Peer:
    """A connection with the specification's program for perfect negotiation around it."""

    def __init__(self, *, polite: bool, trickle: bool) -> None:
        settings = IceSettings(loopback_candidates=True)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]), iceSettings=settings)
        self.other: Peer
        self.polite = polite
        self.inbox: deque[RTCSessionDescription | RTCIceCandidate] = deque()
        self.needed = False
        self.making_offer = False
        self.ignore_offer = False
        self.is_setting_remote_answer_pending = False
        self.channel: aiortc.RTCDataChannel | None = None
        self.sent: list[str] = []
        self.received: list[str] = []
        self.arrived = asyncio.Event()
        # The username fragments that restartIce() was to replace, and all that were negotiated.
        self.replaced: set[tuple[str, ...]] = set()
        self.negotiated: set[tuple[str, ...]] = set()
        self.violations: list[str] = []
        self.delayed = False
        self.pc.on("negotiationneeded", self._note_need)
        self.pc.on("datachannel", self._listen)
        if trickle:
            self.pc.on("icecandidate", self._send_candidate)

    def _note_need(self) -> None:
        if self.pc.signalingState != "stable":
            self.violations.append(f"negotiationneeded in {self.pc.signalingState}")
        self.needed = True

    def _listen(self, channel: aiortc.RTCDataChannel) -> None:
        channel.on("message", self._note_message)

    def _note_message(self, message: str) -> None:
        self.received.append(message)
        self.arrived.set()

    def _send_candidate(self, candidate: RTCIceCandidate | None) -> None:
        if candidate is not None:
            self.other.inbox.append(candidate)

    # The specification's program.

    async def make_offer(self) -> None:
        self.needed = False
        try:
            self.making_offer = True
            await self.pc.setLocalDescription()
            self.other.inbox.append(self.pc.localDescription)
        finally:
            self.making_offer = False

    async def receive(self) -> None:
        message = self.inbox.popleft()
        if isinstance(message, RTCIceCandidate):
            await self._receive_candidate(message)
        else:
            await self._receive_description(message)

    def delay_candidates(self) -> None:
        """Let descriptions overtake the candidates that were sent before them."""
        self.delayed = True
        descriptions = [m for m in self.inbox if isinstance(m, RTCSessionDescription)]
        candidates = [m for m in self.inbox if isinstance(m, RTCIceCandidate)]
        self.inbox = deque([*descriptions, *candidates])

    async def _receive_description(self, description: RTCSessionDescription) -> None:
        pc = self.pc
        ready_for_offer = not self.making_offer and (
            pc.signalingState == "stable" or self.is_setting_remote_answer_pending
        )
        offer_collision = description.type == "offer" and not ready_for_offer
        self.ignore_offer = not self.polite and offer_collision
        if self.ignore_offer:
            return
        self.is_setting_remote_answer_pending = description.type == "answer"
        await pc.setRemoteDescription(description)
        self.is_setting_remote_answer_pending = False
        if description.type == "offer":
            await pc.setLocalDescription()
            self.other.inbox.append(pc.localDescription)
        self._note_conclusion()

    def _note_conclusion(self) -> None:
        # What was only offered, and is replaced by what was negotiated instead, may come back.
        current = _ufrags(self.pc.currentLocalDescription)
        self.negotiated |= current
        if not self.replaced & current:
            self.replaced &= self.negotiated

    async def _receive_candidate(self, candidate: RTCIceCandidate) -> None:
        try:
            await self.pc.addIceCandidate(candidate)
        except Exception as error:
            # Those of a description that was replaced meanwhile fit nothing either.
            late = self.delayed and isinstance(error, OperationError)
            if not (self.ignore_offer or late):
                raise

    # What an application does.

    def restart(self) -> None:
        self.pc.restartIce()
        for description in (self.pc.currentLocalDescription, self.pc.pendingLocalDescription):
            self.replaced |= _ufrags(description)

    def ufrags(self) -> set[tuple[str, ...]]:
        """Return the username fragments of the local description."""
        return _ufrags(self.pc.localDescription)

    def open_channel(self) -> None:
        self.channel = self.channel or self.pc.createDataChannel("chat")

    def send(self) -> None:
        if self.channel is not None and self.channel.readyState == "open":
            self.sent.append(f"{len(self.sent)}")
            self.channel.send(self.sent[-1])

    def has_delivered(self) -> bool:
        """Say if the other peer has got everything, and got it in order."""
        assert self.other.received == self.sent[: len(self.other.received)]
        return self.other.received == self.sent

    async def offer_and_take_back(self) -> None:
        """Make an offer that nobody hears of."""
        if self.pc.signalingState == "stable":
            await self.pc.setLocalDescription()
            if self.pc.signalingState == "have-local-offer":
                await self.pc.setLocalDescription(RTCSessionDescription("", "rollback"))
        # That the need is told again is for the connection to see to.


class World:
    """Both peers, until everything is settled."""

    def __init__(self, *, trickle: bool) -> None:
        self.near = Peer(polite=True, trickle=trickle)
        self.far = Peer(polite=False, trickle=trickle)
        self.near.other, self.far.other = self.far, self.near
        self.peers = (self.near, self.far)

    async def breathe(self) -> None:
        """Let what is due happen."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Deliver everything, and negotiate what is needed, until there is nothing left."""
        for _ in range(ROUNDS):
            await self.breathe()
            busy = False
            for peer in self.peers:
                if peer.needed and peer.pc.signalingState == "stable":
                    busy = True
                    await peer.make_offer()
                while peer.inbox:
                    busy = True
                    await peer.receive()
            if not busy:
                return
        raise AssertionError("the peers negotiate without end")

    async def check(self) -> None:
        """Check that both sides agree, and that nothing is left to be done."""
        for peer in self.peers:
            assert peer.violations == []
            assert peer.pc.signalingState == "stable"
            assert peer.pc.pendingLocalDescription is None
            assert peer.pc.pendingRemoteDescription is None
            assert not peer.ufrags() & peer.replaced, "a restart wasn't carried out"
        near, far = (_negotiated(peer.pc) for peer in self.peers)
        assert near == {mid: REVERSED.get(way, way) for mid, way in far.items()}
        for peer in self.peers:
            assert _credentials(peer.pc.localDescription) == _credentials(
                peer.other.pc.remoteDescription
            )
        await self._check_channels()

    async def _check_channels(self) -> None:
        """Check that open channels carry all that was sent, and in its order."""
        for peer in self.peers:
            if (channel := peer.channel) is not None:
                await wait_until(channel, "open", functools.partial(_is_open, channel))
                peer.send()
                await wait_for(peer.other.arrived, peer.has_delivered)

    async def close(self) -> None:
        await asyncio.gather(*(peer.pc.close() for peer in self.peers))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=DEADLINE)
        assert not [task for task in others if not task.done()]


async def wait_for(event: asyncio.Event, condition: Callable[[], bool]) -> None:
    """Return when the condition holds, which is looked at whenever the event is set."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            event.clear()
            await event.wait()


def _is_open(channel: aiortc.RTCDataChannel) -> bool:
    return channel.readyState == "open"


def _negotiated(pc: RTCPeerConnection) -> dict[str, str]:
    return {str(t.mid): str(t.currentDirection) for t in pc.getTransceivers()}


def _ufrags(description: RTCSessionDescription | None) -> set[tuple[str, ...]]:
    """Return the username fragments with the mids of their sections."""
    lines = _credentials(description)
    return {tuple(sorted(lines[n : n + 3])[1:]) for n in range(0, len(lines), 3)}


def _credentials(description: RTCSessionDescription | None) -> list[str]:
    """Return the credentials of all sections that aren't rejected."""
    sections = [] if description is None else description.sdp.split("\r\nm=")[1:]
    lines = itertools.chain.from_iterable(
        section.splitlines() for section in sections if section.split()[1] != "0"
    )
    return [line for line in lines if line.startswith(("a=ice-ufrag:", "a=ice-pwd:", "a=mid:"))]
