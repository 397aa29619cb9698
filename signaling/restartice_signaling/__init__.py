"""WebSocket signaling for restartice: a server, a client, and perfect negotiation.

Errors:

    SignalingError
    ├── BadMessage          the other side sent something malformed
    ├── SignalingClosed     the connection to the server is closed, or was never opened
    ├── NoPeer              there is no such peer in the room, or not exactly one to send to
    └── ServerError         the server refused something; `code` says what
"""

from .client import (
    CandidateReceived,
    CustomReceived,
    DescriptionReceived,
    Event,
    PeerJoined,
    PeerLeft,
    Refused,
    WebSocketSignaling,
)
from .errors import BadMessage, NoPeer, ServerError, SignalingClosed, SignalingError
from .negotiator import Negotiator
from .recovery import (
    RecoverySettings,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    RestartSucceeded,
)
from .server import SignalingServer, serve

__all__ = [
    "BadMessage",
    "CandidateReceived",
    "CustomReceived",
    "DescriptionReceived",
    "Event",
    "Negotiator",
    "NoPeer",
    "PeerJoined",
    "PeerLeft",
    "RecoverySettings",
    "Refused",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
    "ServerError",
    "SignalingClosed",
    "SignalingError",
    "SignalingServer",
    "WebSocketSignaling",
    "serve",
]
