"""What a client tells its application."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import aiortc

from restartice import RTCIceCandidate

from .errors import SignalingError
from .messages import PeerInfo

__all__ = [
    "CandidateReceived",
    "CustomReceived",
    "DescriptionReceived",
    "Disconnected",
    "Event",
    "IceServersReceived",
    "PeerAway",
    "PeerBack",
    "PeerJoined",
    "PeerLeft",
    "Reconnected",
    "Refused",
]


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
class PeerAway:
    """A peer has lost its connection to the server; what is sent to it waits."""

    peer: str


@dataclass(frozen=True)
class PeerBack:
    """A peer that was away has its connection again, and has missed nothing."""

    peer: str


@dataclass(frozen=True)
class PeerLeft:
    """A peer has left, with the reason it gave, or `"lost"` if it didn't come back in time."""

    peer: str
    reason: str


@dataclass(frozen=True)
class Disconnected:
    """The connection to the server is lost, and is being made anew."""

    reason: str


@dataclass(frozen=True)
class Reconnected:
    """The connection to the server is there again.

    Attributes:
        resumed: Whether nothing has been lost. Otherwise this is a new stay in the room: what was
            under way in either direction may or may not have arrived.
        unacknowledged: How many of our own messages that is about.
    """

    resumed: bool
    unacknowledged: int = 0


@dataclass(frozen=True)
class IceServersReceived:
    """The server has told which STUN and TURN servers to use from now on."""

    servers: tuple[aiortc.RTCIceServer, ...]


@dataclass(frozen=True)
class Refused:
    """The server refused something that was sent, or a peer sent something malformed."""

    error: SignalingError


Event: TypeAlias = (
    DescriptionReceived
    | CandidateReceived
    | CustomReceived
    | PeerJoined
    | PeerAway
    | PeerBack
    | PeerLeft
    | Disconnected
    | Reconnected
    | IceServersReceived
    | Refused
)
