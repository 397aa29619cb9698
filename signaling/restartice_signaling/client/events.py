"""The events of a client, and which message of the server becomes which event."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import aiortc

from restartice import RTCIceCandidate

from ..errors import BadMessage, ServerError, SignalingError
from ..protocol.messages import Candidate, Description, Error, Message, PeerInfo, Signal

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
    "event_of",
    "server_error",
]


@dataclass(frozen=True)
class DescriptionReceived:
    """A peer sent a session description.

    Attributes:
        peer: The id of the sender.
        description: The description.
    """

    peer: str
    description: aiortc.RTCSessionDescription


@dataclass(frozen=True)
class CandidateReceived:
    """A peer sent a candidate.

    Attributes:
        peer: The id of the sender.
        candidate: The candidate, or None for the end of candidates.
    """

    peer: str
    candidate: RTCIceCandidate | None


@dataclass(frozen=True)
class CustomReceived:
    """A peer sent a message of the application.

    Attributes:
        peer: The id of the sender.
        value: Any JSON value.
    """

    peer: str
    value: Any


@dataclass(frozen=True)
class PeerJoined:
    """A peer has joined the room, or was there before this client.

    Attributes:
        peer: The id of the peer.
        info: Its `instance`, `meta`, `polite` and `state`.
    """

    peer: str
    info: PeerInfo


@dataclass(frozen=True)
class PeerAway:
    """A peer has lost its connection to the server. Messages to it wait.

    Attributes:
        peer: The id of the peer.
    """

    peer: str


@dataclass(frozen=True)
class PeerBack:
    """A peer that was away has reconnected, and has missed no message.

    Attributes:
        peer: The id of the peer.
    """

    peer: str


@dataclass(frozen=True)
class PeerLeft:
    """A peer has left the room.

    Attributes:
        peer: The id of the peer.
        reason: The reason it gave, or `"lost"` if it didn't reconnect in time.
    """

    peer: str
    reason: str


@dataclass(frozen=True)
class Disconnected:
    """The client has lost its connection to the server, and reconnects.

    Attributes:
        reason: A sentence.
    """

    reason: str


@dataclass(frozen=True)
class Reconnected:
    """The client has reconnected to the server.

    Attributes:
        resumed: Whether the session continues and no message is lost. Otherwise the client has
            joined again, and messages that were on their way, in either direction, may be lost.
        unacknowledged: How many messages of this client may be lost.
    """

    resumed: bool
    unacknowledged: int = 0


@dataclass(frozen=True)
class IceServersReceived:
    """The server has sent the STUN and TURN servers to use from now on.

    Attributes:
        servers: A value for `RTCConfiguration.iceServers`.
    """

    servers: tuple[aiortc.RTCIceServer, ...]


@dataclass(frozen=True)
class Refused:
    """The server refused a message of this client, or a malformed message came in.

    Attributes:
        error: A `ServerError`, `NoPeer` or `BadMessage`.
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


def event_of(message: Message) -> Event | None:
    """Return the event for a message, or None if the message changes only the session's state.

    Raises:
        BadMessage: A peer sent a candidate that can't be parsed.
    """
    if isinstance(message, Signal):
        return _received(message)
    if isinstance(message, Error) and message.code != "resume-expired":
        return Refused(server_error(message))
    return None


def _received(signal: Signal) -> Event:
    peer, data = signal.sender or "", signal.data
    if isinstance(data, Description):
        return DescriptionReceived(peer, aiortc.RTCSessionDescription(data.sdp, data.type))
    if not isinstance(data, Candidate):
        return CustomReceived(peer, data.value)
    try:
        candidate = None if data.init is None else RTCIceCandidate.fromJSON(data.init)
    except ValueError as error:
        raise BadMessage(str(error), signal.seq) from None
    return CandidateReceived(peer, candidate)


def server_error(error: Error) -> ServerError:
    """Return the exception for an error message of the server."""
    return ServerError(error.code, error.message, error.ref, error.retry_after)
