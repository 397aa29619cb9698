"""What a client tells its application."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import aiortc

from restartice import RTCIceCandidate

from ..errors import SignalingError
from ..protocol.messages import PeerInfo

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
    """A session description from a peer.

    Attributes:
        peer: Its id in the room.
        description: What it sent.
    """

    peer: str
    description: aiortc.RTCSessionDescription


@dataclass(frozen=True)
class CandidateReceived:
    """A candidate from a peer; None means the end of candidates.

    Attributes:
        peer: Its id in the room.
        candidate: What it sent.
    """

    peer: str
    candidate: RTCIceCandidate | None


@dataclass(frozen=True)
class CustomReceived:
    """What the application of a peer sent.

    Attributes:
        peer: Its id in the room.
        value: Anything that JSON can be.
    """

    peer: str
    value: Any


@dataclass(frozen=True)
class PeerJoined:
    """A peer is in the room: it was there before us, or has joined.

    Attributes:
        peer: Its id in the room.
        info: What is known of it: `instance`, `meta`, `polite` and `state`.
    """

    peer: str
    info: PeerInfo


@dataclass(frozen=True)
class PeerAway:
    """A peer has lost its connection to the server; what is sent to it waits.

    Attributes:
        peer: Its id in the room.
    """

    peer: str


@dataclass(frozen=True)
class PeerBack:
    """A peer that was away has its connection again, and has missed nothing.

    Attributes:
        peer: Its id in the room.
    """

    peer: str


@dataclass(frozen=True)
class PeerLeft:
    """A peer has left, with the reason it gave, or `"lost"` if it didn't come back in time.

    Attributes:
        peer: Its id in the room.
        reason: Why.
    """

    peer: str
    reason: str


@dataclass(frozen=True)
class Disconnected:
    """The connection to the server is lost, and is being made anew.

    Attributes:
        reason: Why.
    """

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
    """The server has told which STUN and TURN servers to use from now on.

    Attributes:
        servers: As `RTCConfiguration` has them.
    """

    servers: tuple[aiortc.RTCIceServer, ...]


@dataclass(frozen=True)
class Refused:
    """The server refused something that was sent, or a peer sent something malformed.

    Attributes:
        error: What is wrong: a `ServerError`, `NoPeer` or `BadMessage`.
    """

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
