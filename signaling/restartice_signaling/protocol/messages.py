"""The messages of rtc-signal v1: one JSON object per text frame. What reads them is decoding.py.

The classes say what each field may be; msgspec checks that, and names fields as in JavaScript.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import UNSET, Meta

__all__ = [
    "ERROR_CODES",
    "EVERYONE",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL",
    "Ack",
    "Bye",
    "Candidate",
    "Count",
    "Custom",
    "Data",
    "Description",
    "Error",
    "GoAway",
    "Heartbeat",
    "Hello",
    "IceRequest",
    "IceServers",
    "Identifier",
    "JsonObject",
    "Limits",
    "Message",
    "Number",
    "PeerEvent",
    "PeerInfo",
    "Ping",
    "Pong",
    "Positive",
    "Resume",
    "SequenceNumber",
    "Signal",
    "Welcome",
    "addressed",
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
# What a browser's numbers hold.
MAX_INTEGER: Final = 2**53
MAX_NAME: Final = 64
# Fields that no log may show.
SECRETS: Final = frozenset({"key", "token"})

JsonObject: TypeAlias = Mapping[str, Any]
# Of which characters it may be is checked after that, which is faster than a pattern.
Identifier: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME)]
SequenceNumber: TypeAlias = Annotated[int, Meta(ge=1, lt=MAX_INTEGER)]
Count: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_INTEGER)]
Number: TypeAlias = Annotated[int, Meta(gt=-MAX_INTEGER, lt=MAX_INTEGER)] | float
Positive: TypeAlias = Annotated[int, Meta(gt=0, lt=MAX_INTEGER)] | Annotated[float, Meta(gt=0)]
DescriptionType: TypeAlias = Annotated[str, Meta(pattern=r"\A(answer|offer|pranswer|rollback)\Z")]
PeerEventName: TypeAlias = Annotated[str, Meta(pattern=r"\A(away|back|joined|left)\Z")]
Token: TypeAlias = Annotated[str, Meta(max_length=8192)]


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """A message, or what is named in one."""

    def to_json(self) -> JsonObject:
        """Return it as JSON, without the fields that are None."""
        tag = self.__struct_config__.tag
        found: dict[str, Any] = {} if tag is None else {"type": tag}
        for name, written in zip(
            self.__struct_fields__, self.__struct_encode_fields__, strict=True
        ):
            value = getattr(self, name)
            # A number of 0 stands for none yet.
            if value is not None and (name != "seq" or value):
                found[written] = _to_json(value)
        return found

    def __repr__(self) -> str:
        shown = (n for n in self.__struct_fields__ if n not in SECRETS and n != "ack")
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in shown)})"


def _to_json(value: Any) -> Any:
    if isinstance(value, _Part):
        return value.to_json()
    if is_dataclass(value):
        return {_camel(f.name): getattr(value, f.name) for f in fields(value)}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


class _Message(_Part, frozen=True, tag_field="type", kw_only=True):
    """Any message may carry an acknowledgment."""

    ack: Count | None = None


# What messages are made of.


class Description(_Part, frozen=True):
    """A session description in the browser's form. That of a rollback needs no text."""

    type: DescriptionType
    sdp: str = cast("str", UNSET)

    def __post_init__(self) -> None:
        if not isinstance(self.sdp, str):
            if self.type != "rollback":
                raise ValueError("sdp must be of type string, and is missing")
            msgspec.structs.force_setattr(self, "sdp", "")

    def to_json(self) -> JsonObject:
        """Return `{description: {type, sdp}}`."""
        return {"description": {"type": self.type, "sdp": self.sdp}}


class Candidate(_Part, frozen=True):
    """An ICE candidate in the browser's form; None means the end of candidates."""

    init: JsonObject | None

    def to_json(self) -> JsonObject:
        """Return `{candidate: {candidate, sdpMid, sdpMLineIndex, usernameFragment}}`."""
        return {"candidate": self.init}


class Custom(_Part, frozen=True):
    """Anything that the application sends."""

    value: Any

    def to_json(self) -> JsonObject:
        """Return `{custom: …}`."""
        return {"custom": self.value}


Data: TypeAlias = Description | Candidate | Custom


class Resume(_Part, frozen=True):
    """Which session a client goes on with, what proves that it is its own, and what it has seen."""

    session: Identifier
    key: str
    last: Count


@dataclass(frozen=True)
class PeerInfo:
    """Another peer of the room.

    Attributes:
        peer: Its id in the room.
        instance: Names this stay of it, another one when its program is started anew.
        polite: Whether we, who are told this, are the polite one of the two.
        meta: What it wants others to know.
        state: `"joined"`, or `"away"` while its connection to the server is lost.
    """

    peer: Identifier
    instance: Identifier
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    state: str = "joined"


@dataclass(frozen=True)
class Heartbeat:
    """How often something must be heard, and when to give up, in seconds.

    Attributes:
        interval: From one `ping` to the next.
        timeout: After how long a silence the other side is given up.
    """

    interval: Positive = 10.0
    timeout: Positive = 25.0


@dataclass(frozen=True)
class Limits:
    """What a client must keep to.

    Attributes:
        max_message_size: The size of a message, in bytes.
        max_unacknowledged: How many messages may wait for an acknowledgment.
        max_buffered: The size of those, in characters.
        rate: How many messages a second may be sent in the long run.
        burst: How many at once.
    """

    max_message_size: int = 65536
    max_unacknowledged: int = 1024
    max_buffered: int = 1048576
    rate: float = 200.0
    burst: int = 400


# The messages.


class Hello(_Message, frozen=True, tag="hello"):
    """A client's first message."""

    room: Identifier
    protocol: int = PROTOCOL_VERSION
    peer: Identifier | None = None
    meta: JsonObject = msgspec.field(default_factory=dict)
    token: Token | None = None
    resume: Resume | None = None


class IceServers(_Message, frozen=True, tag="ice"):
    """STUN and TURN servers in the browser's form, and when (Unix time) they stop working."""

    servers: tuple[JsonObject, ...] = msgspec.field(name="iceServers")
    expire: Number | None = None


class IceRequest(_Message, frozen=True, tag="ice"):
    """A client asks for fresh TURN credentials."""

    request: bool = True


class Welcome(_Message, frozen=True, tag="welcome"):
    """The server's answer to a hello. `last` is the last `seq` of the client that it has seen."""

    session: Identifier
    key: str
    peer: Identifier
    room: Identifier
    instance: str = ""
    resumed: bool = False
    last: Count = 0
    peers: tuple[PeerInfo, ...] = ()
    ice: IceServers | None = None
    heartbeat: Heartbeat = msgspec.field(default_factory=Heartbeat)
    resume_window: Number = 0.0
    limits: Limits = msgspec.field(default_factory=Limits)

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        found = dict(super().to_json())
        if not self.instance:
            del found["instance"]
        if self.ice is not None:
            ice = found.pop("ice")
            found["iceServers"] = ice["iceServers"]
            if self.ice.expire is not None:
                found["iceServersExpire"] = self.ice.expire
        return found


class Signal(_Message, frozen=True, tag="signal"):
    """What one peer has to say to another. A client writes `to`, the server writes `from`.

    `instance` is that of the peer it is for, or, when it comes from the server, that it is from.
    A `seq` of 0 stands for none yet.
    """

    seq: int
    data: Data
    to: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    instance: str | None = None


class PeerEvent(_Message, frozen=True, tag="peer"):
    """Another peer joined, left, or its connection to the server was lost or came back.

    `polite` says whether the receiver is the polite one. A `seq` of 0 stands for none yet.
    """

    seq: SequenceNumber
    event: PeerEventName
    peer: Identifier
    instance: Identifier
    polite: bool
    meta: JsonObject = msgspec.field(default_factory=dict)
    reason: str = ""


class Ack(_Message, frozen=True, tag="ack"):
    """All reliable messages up to and including `seq` have been seen."""

    seq: SequenceNumber


class GoAway(_Message, frozen=True, tag="goaway"):
    """The server ends soon; come back after so many seconds, at random within these."""

    reconnect_in: tuple[Number, Number]
    reason: str = ""

    def __post_init__(self) -> None:
        low, high = self.reconnect_in
        if not 0 <= low <= high:
            raise ValueError("reconnectIn must be two numbers, the smaller one first")


class Bye(_Message, frozen=True, tag="bye"):
    """A clean leave."""

    reason: str = ""


class Error(_Message, frozen=True, tag="error"):
    """The server refused something. A fatal one is followed by the end of the connection."""

    code: str
    message: str
    ref: int | None = None
    fatal: bool = False
    retry_after: Number | None = None


class Ping(_Message, frozen=True, tag="ping"):
    """Are you there? `t` comes back in the pong."""

    t: Number


class Pong(_Message, frozen=True, tag="pong"):
    """The answer to a ping."""

    t: Number


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
    # Escaped, unlike what msgspec writes, so that a character is a byte, as limits have it.
    return _encoder.encode(message.to_json())


def encode_object(fields: JsonObject) -> str:
    """Return a JSON object without white space."""
    return _encoder.encode(fields)


def told(data: Data, sender: str, instance: str) -> str:
    """Return the text of the Signal that somebody is told, without its number."""
    # As encode() would, which takes longer.
    fields = {"type": "signal", "from": sender, "instance": instance, "data": data.to_json()}
    return _encoder.encode(fields)


def addressed(text: str, to: str, instance: str | None = None) -> str:
    """Return the text of a signal that has been encoded without its address."""
    fields = {"to": to} if instance is None else {"to": to, "instance": instance}
    return f"{_encoder.encode(fields)[:-1]},{text[1:]}"


def numbered(text: str, seq: int, ack: int | None = None) -> str:
    """Return the text of a reliable message that has been encoded without its `seq`."""
    numbers = {"seq": seq} if ack is None else {"seq": seq, "ack": ack}
    # Two objects in one: neither is empty, and there is no white space.
    return f"{_encoder.encode(numbers)[:-1]},{text[1:]}"
