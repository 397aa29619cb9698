"""What the Negotiator needs of a signaling."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import aiortc

from ..client.events import Event
from ..protocol.messages import PeerInfo

__all__ = ["RoomChannel", "SignalingChannel", "TrickleChannel"]


@runtime_checkable
class SignalingChannel(Protocol):
    """What a `Negotiator` needs of a signaling; a class with these methods is one.

    Messages must arrive in the order in which they were sent. One that is lost is sent again.

    A channel that has `send_candidate(candidate)` as well carries candidates as they are found.
    Without that method, each description waits until all of its candidates are gathered.
    """

    @property
    def polite(self) -> bool | None:
        """Whether this side takes its offer back when both make one; None if it can't be told.

        Where it is None, the side whose offer was answered first is impolite.
        """
        ...

    async def send_description(self, description: aiortc.RTCSessionDescription) -> None:
        """Send a description to the other side.

        Raises:
            SignalingClosed: The channel is closed for good.
        """
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield `DescriptionReceived`, `CandidateReceived` and so on, until the channel is closed.

        Raises:
            SignalingClosed: The channel is lost for good.
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
    """A channel that tells who is on the other side, and which ICE servers to use."""

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The other peers by their ids."""
        ...

    @property
    def ice_servers(self) -> Sequence[aiortc.RTCIceServer]:
        """The STUN and TURN servers to use."""
        ...

    async def wait_for_peer(self) -> PeerInfo:
        """Return the other peer as soon as there is exactly one."""
        ...
