"""The messages of rtc-signal v1: one JSON object per text frame. What reads them is decoding.py."""

import json
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .fields import JsonObject
from .parts import Candidate, Custom, Data, Description, Heartbeat, Limits, PeerInfo, Resume

__all__ = [
    "ERROR_CODES",
    "EVERYONE",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL",
    "Ack",
    "Bye",
    "Candidate",
    "Custom",
    "Data",
    "Description",
    "Error",
    "GoAway",
    "Heartbeat",
    "Hello",
    "IceRequest",
    "IceServers",
    "JsonObject",
    "Limits",
    "Message",
    "PeerEvent",
    "PeerInfo",
    "Ping",
    "Pong",
    "Resume",
    "Signal",
    "Welcome",
    "encode",
    "encode_object",
    "numbered",
    "told",
]

SUBPROTOCOL: Final = "rtc-signal.v1"
PROTOCOL_VERSION: Final = 1
# The address of a custom message for all others of the room.
EVERYONE: Final = "*"
ERROR_CODES: Final = frozenset(
    {
        "auth",
        "bad-message",
        "no-peer",
        "protocol",
        "rate-limited",
        "resume-expired",
        "room-full",
        "too-large",
    }
)


def _present(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Hello:
    """A client's first message."""

    room: str
    protocol: int = PROTOCOL_VERSION
    peer: str | None = None
    meta: JsonObject = field(default_factory=dict)
    token: str | None = field(default=None, repr=False)
    resume: Resume | None = None

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {
            "type": "hello",
            "protocol": self.protocol,
            "room": self.room,
            "peer": self.peer,
            "meta": self.meta,
            "token": self.token,
            "resume": None if self.resume is None else self.resume.to_json(),
        }
        return _present(fields)


@dataclass(frozen=True)
class IceServers:
    """STUN and TURN servers in the browser's form, and when (Unix time) they stop working."""

    servers: tuple[JsonObject, ...]
    expire: float | None = None

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {"type": "ice", "iceServers": list(self.servers), "expire": self.expire}
        return _present(fields)


@dataclass(frozen=True)
class IceRequest:
    """A client asks for fresh TURN credentials."""

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "ice", "request": True}


@dataclass(frozen=True)
class Welcome:
    """The server's answer to a hello. `last` is the last `seq` of the client that it has seen."""

    session: str
    key: str = field(repr=False)
    peer: str
    room: str
    instance: str = ""
    resumed: bool = False
    last: int = 0
    peers: tuple[PeerInfo, ...] = ()
    ice: IceServers | None = None
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    resume_window: float = 0.0
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {
            "type": "welcome",
            "session": self.session,
            "key": self.key,
            "peer": self.peer,
            "room": self.room,
            "instance": self.instance or None,
            "resumed": self.resumed,
            "last": self.last,
            "peers": [peer.to_json() for peer in self.peers],
            "iceServers": None if self.ice is None else list(self.ice.servers),
            "iceServersExpire": None if self.ice is None else self.ice.expire,
            "heartbeat": self.heartbeat.to_json(),
            "resumeWindow": self.resume_window,
            "limits": self.limits.to_json(),
        }
        return _present(fields)


@dataclass(frozen=True)
class Signal:
    """What one peer has to say to another. A client writes `to`, the server writes `from`.

    `instance` is that of the peer it is for, or, when it comes from the server, that it is from.
    A `seq` of 0 stands for none yet.
    """

    seq: int
    data: Data
    to: str | None = None
    sender: str | None = None
    instance: str | None = None

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {
            "type": "signal",
            "seq": self.seq or None,
            "to": self.to,
            "from": self.sender,
            "instance": self.instance,
            "data": self.data.to_json(),
        }
        return _present(fields)


@dataclass(frozen=True)
class PeerEvent:
    """Another peer joined, left, or its connection to the server was lost or came back.

    `polite` says whether the receiver is the polite one. A `seq` of 0 stands for none yet.
    """

    seq: int
    event: str
    peer: str
    instance: str
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {
            "type": "peer",
            "seq": self.seq or None,
            "event": self.event,
            "peer": self.peer,
            "instance": self.instance,
            "polite": self.polite,
            "meta": self.meta,
            "reason": self.reason,
        }
        return _present(fields)


@dataclass(frozen=True)
class Ack:
    """All reliable messages up to and including `seq` have been seen."""

    seq: int

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "ack", "seq": self.seq}


@dataclass(frozen=True)
class GoAway:
    """The server ends soon; come back after so many seconds, at random within these."""

    reconnect_in: tuple[float, float]
    reason: str = "draining"

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "goaway", "reconnectIn": list(self.reconnect_in), "reason": self.reason}


@dataclass(frozen=True)
class Bye:
    """A clean leave."""

    reason: str = ""

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "bye", "reason": self.reason}


@dataclass(frozen=True)
class Error:
    """The server refused something. A fatal one is followed by the end of the connection."""

    code: str
    message: str
    ref: int | None = None
    fatal: bool = False
    retry_after: float | None = None

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        fields = {
            "type": "error",
            "code": self.code,
            "message": self.message,
            "fatal": self.fatal,
            "ref": self.ref,
            "retryAfter": self.retry_after,
        }
        return _present(fields)


@dataclass(frozen=True)
class Ping:
    """Are you there? `t` comes back in the pong."""

    t: float

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "ping", "t": self.t}


@dataclass(frozen=True)
class Pong:
    """The answer to a ping."""

    t: float

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {"type": "pong", "t": self.t}


Message: TypeAlias = (
    Hello
    | Welcome
    | Signal
    | PeerEvent
    | Ack
    | IceServers
    | IceRequest
    | GoAway
    | Bye
    | Error
    | Ping
    | Pong
)

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(message: Message) -> str:
    """Return the text of a frame.

    Raises:
        ValueError: It contains what isn't JSON.
        TypeError: It contains what isn't JSON.
    """
    return _encoder.encode(message.to_json())


def encode_object(fields: JsonObject) -> str:
    """Return a JSON object without white space."""
    return _encoder.encode(fields)


def told(data: Data, sender: str, instance: str) -> str:
    """Return the text of the Signal that somebody is told, without its number."""
    # As encode() would, which takes longer.
    fields = {"type": "signal", "from": sender, "instance": instance, "data": data.to_json()}
    return _encoder.encode(fields)


def numbered(text: str, seq: int, ack: int | None = None) -> str:
    """Return the text of a reliable message that has been encoded without its `seq`."""
    numbers = {"seq": seq} if ack is None else {"seq": seq, "ack": ack}
    # Two objects in one: neither is empty, and there is no white space.
    return f"{_encoder.encode(numbers)[:-1]},{text[1:]}"
