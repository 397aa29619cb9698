"""What the Negotiator sends, and when, over a channel that keeps what it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiortc

from connecting import DEADLINE
from restartice import RTCPeerConnection
from restartice_signaling import Event
from restartice_signaling.negotiation.outgoing import Outgoing

Factory = Callable[..., RTCPeerConnection]


class Kept:
    """A channel that keeps what is sent."""

    polite = None

    def __init__(self) -> None:
        self.descriptions: list[aiortc.RTCSessionDescription] = []
        self.candidates: list[aiortc.RTCIceCandidate | None] = []

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Keep a description."""
        self.descriptions.append(description)

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Keep a candidate."""
        self.candidates.append(candidate)

    def events(self) -> AsyncIterator[Event]:
        """Return nothing, as nothing comes in."""
        raise NotImplementedError


async def test_no_candidate_comes_before_its_description(make_pc: Factory) -> None:
    """The offer may be withdrawn yet, and then the other side has nothing to add it to."""
    pc, kept = make_pc(), Kept()
    outgoing = Outgoing(pc, kept, lambda: True, trickles=True)
    pc.createDataChannel("chat")
    async with asyncio.timeout(DEADLINE):
        await pc.setLocalDescription()
        first = await outgoing.next_candidate()
        await outgoing.send_candidate(first)
        assert kept.candidates == []
        await outgoing.send_description(lambda: pc.pendingLocalDescription)
        await outgoing.send_candidate(first)
    assert kept.candidates == [first]
    (offer,) = kept.descriptions
    assert f" {first.ip} {first.port} typ " in offer.sdp
    outgoing.close()
