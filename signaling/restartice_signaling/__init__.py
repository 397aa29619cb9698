"""Perfect negotiation over any signaling, with a WebSocket server and client.

Errors:

    SignalingError
    ├── BadMessage          the other side sent a malformed message
    ├── SignalingClosed     the connection to the server is closed, or was never opened
    ├── NoPeer              no peer, or more than one, could be the receiver
    └── ServerError         the server refused something; see its `code`
"""

from restartice import (
    PathEnds,
    PathSwitched,
    RecoverySettings,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    RestartSucceeded,
)

from .client.events import (
    CandidateReceived,
    CustomReceived,
    DescriptionReceived,
    Disconnected,
    Event,
    IceServersReceived,
    PeerAway,
    PeerBack,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Refused,
)
from .client.signaling import WebSocketSignaling
from .errors import BadMessage, NoPeer, ServerError, SignalingClosed, SignalingError
from .negotiation.callable_channel import CallableChannel
from .negotiation.channel import SignalingChannel
from .negotiation.negotiator import Negotiator
from .negotiation.peer_connections import PeerConnections
from .protocol.messages import Heartbeat, Limits, PeerInfo
from .server.rooms.interface import BackendDown, BackendLimits
from .server.rooms.memory import MemoryBackend
from .server.server import SignalingServer, serve
from .server.settings import ServerSettings
from .server.tokens import make_token
from .server.turn_credentials import TurnSettings

__all__ = [
    "BackendDown",
    "BackendLimits",
    "BadMessage",
    "CallableChannel",
    "CandidateReceived",
    "CustomReceived",
    "DescriptionReceived",
    "Disconnected",
    "Event",
    "Heartbeat",
    "IceServersReceived",
    "Limits",
    "MemoryBackend",
    "Negotiator",
    "NoPeer",
    "PathEnds",
    "PathSwitched",
    "PeerAway",
    "PeerBack",
    "PeerConnections",
    "PeerInfo",
    "PeerJoined",
    "PeerLeft",
    "Reconnected",
    "RecoverySettings",
    "Refused",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
    "ServerError",
    "ServerSettings",
    "SignalingChannel",
    "SignalingClosed",
    "SignalingError",
    "SignalingServer",
    "TurnSettings",
    "WebSocketSignaling",
    "make_token",
    "serve",
]
