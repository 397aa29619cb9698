"""The interfaces of a signaling for the Negotiator."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import aiortc

from ..client.events import Event
from ..protocol.messages import PeerInfo

__all__ = ["RoomChannel", "SignalingChannel", "TrickleChannel"]


@runtime_checkable
class SignalingChannel(Protocol):
    """The interface of a signaling for a `Negotiator`: any class with these methods.

    Messages must arrive in order. The `Negotiator` repeats an offer that gets no answer.

    Add a method `send_candidate(candidate)` to send each candidate when it is found. Without it,
    each description waits until all its candidates are gathered.
    """

    @property
    def polite(self) -> bool | None:
        """Whether this side is the polite peer; None if unknown.

        If it is None, the side whose offer was answered first is impolite.
        """
        ...

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description to the other side.

        Args:
            description: The offer or answer.

        Raises:
            SignalingClosed: The channel is closed.
        """
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield `DescriptionReceived`, `CandidateReceived` and so on, until the channel is closed.

        Raises:
            SignalingClosed: The channel is lost.
        """
        ...


@runtime_checkable
class TrickleChannel(SignalingChannel, Protocol):
    """A channel that also carries candidates."""

    async def send_candidate(self, candidate: aiortc.RTCIceCandidate | None) -> None:
        """Send a candidate to the other side."""
        ...


@runtime_checkable
class RoomChannel(TrickleChannel, Protocol):
    """A channel with a list of peers and of ICE servers."""

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers, by id."""
        ...

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers to use."""
        ...

    async def wait_for_peer(self) -> PeerInfo:
        """Wait until there is exactly one other peer, and return it."""
        ...
