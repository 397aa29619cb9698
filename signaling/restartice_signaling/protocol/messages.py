"""The messages of rtc-signal v1, each a JSON object in a text frame; decoding.py parses them.

The types of the fields are their rules: msgspec checks them, and writes the names in camel case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import UNSET, Meta

from .setting import check_numbers

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
]

SUBPROTOCOL: Final = "rtc-signal.v1"
PROTOCOL_VERSION: Final = 1
# The address of a custom message to all other peers of the room.
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
# The largest integer that a number in JavaScript holds exactly, plus one.
MAX_INTEGER: Final = 2**53
MAX_NAME: Final = 64
# Fields that must not be in a log.
SECRETS: Final = frozenset({"key", "token"})

JsonObject: TypeAlias = Mapping[str, Any]
# decoding.py checks its characters, which is faster than a pattern here.
Identifier: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME)]
SequenceNumber: TypeAlias = Annotated[int, Meta(ge=1, lt=MAX_INTEGER)]
Count: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_INTEGER)]
Number: TypeAlias = Annotated[int, Meta(gt=-MAX_INTEGER, lt=MAX_INTEGER)] | float
Positive: TypeAlias = Annotated[int, Meta(gt=0, lt=MAX_INTEGER)] | Annotated[float, Meta(gt=0)]
DescriptionType: TypeAlias = Annotated[str, Meta(pattern=r"\A(answer|offer|pranswer|rollback)\Z")]
PeerEventName: TypeAlias = Annotated[str, Meta(pattern=r"\A(away|back|joined|left)\Z")]
Token: TypeAlias = Annotated[str, Meta(max_length=8192)]


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """A message, or a part of one."""

    def to_json(self) -> JsonObject:
        """Return the JSON object, without the fields that are None."""
        tag = self.__struct_config__.tag
        found: dict[str, Any] = {} if tag is None else {"type": tag}
        for name, written in zip(
            self.__struct_fields__, self.__struct_encode_fields__, strict=True
        ):
            value = getattr(self, name)
            # A seq of 0 means that there is no number yet.
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


# The parts of messages.


class Description(_Part, frozen=True):
    """A session description as browsers have it; a rollback may lack its `sdp`."""

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
    """An ICE candidate as browsers have it; None means the end of candidates."""

    init: JsonObject | None

    def to_json(self) -> JsonObject:
        """Return `{candidate: {candidate, sdpMid, sdpMLineIndex, usernameFragment}}`."""
        return {"candidate": self.init}


class Custom(_Part, frozen=True):
    """A message of the application, any JSON value."""

    value: Any

    def to_json(self) -> JsonObject:
        """Return `{custom: …}`."""
        return {"custom": self.value}


Data: TypeAlias = Description | Candidate | Custom


class Resume(_Part, frozen=True):
    """The session that a client resumes.

    Attributes:
        session: The session.
        key: Its key.
        last: The last `seq` that the client has seen.
        acknowledged: The last `seq` of the client that was acknowledged. A server that doesn't know
            of it has lost messages.
    """

    session: Identifier
    key: str
    last: Count
    acknowledged: Count = 0


@dataclass(frozen=True)
class PeerInfo:
    """Another peer of the room.

    Attributes:
        peer: Its id in the room.
        instance: The id of its stay in the room; a program that is restarted gets another one.
        polite: Whether the receiver of this is the polite one of the two peers.
        meta: Its `meta`, a JSON object.
        state: `"joined"`, or `"away"` while its connection to the server is lost.
    """

    peer: Identifier
    instance: Identifier
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    state: str = "joined"


@dataclass(frozen=True)
class Heartbeat:
    """When each side considers the connection lost. Times are in seconds.

    Attributes:
        interval: The time from one `ping` to the next.
        timeout: The silence after which the connection is lost.

    Raises:
        ValueError: A value isn't a positive number.
    """

    interval: Annotated[Positive, "s"] = 10.0
    timeout: Annotated[Positive, "s"] = 25.0

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class Limits:
    """The limits of each client, which the welcome tells to it.

    `max_message_size` is in bytes, `max_buffered` in characters.

    Attributes:
        max_message_size: The size of the largest message.
        max_unacknowledged: The most messages that wait for a peer.
        max_buffered: The size of the messages that wait for a peer.
        rate: The messages that a client may send per second in the long run. The server enforces
            twice the rate, so that a client can catch up after the network has held it up.
        burst: The messages that a client may send at once. The server accepts twice as many.

    Raises:
        ValueError: A value isn't a positive number of its type.
    """

    max_message_size: Annotated[int, "bytes"] = 65536
    max_unacknowledged: Annotated[int, "messages"] = 1024
    max_buffered: Annotated[int, "characters"] = 1_048_576
    rate: Annotated[float, "messages/s"] = 200.0
    burst: Annotated[int, "messages"] = 400

    def __post_init__(self) -> None:
        check_numbers(self)


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
    """STUN and TURN servers as browsers have them, and when they expire (Unix time)."""

    servers: tuple[JsonObject, ...] = msgspec.field(name="iceServers")
    expire: Number | None = None


class IceRequest(_Message, frozen=True, tag="ice"):
    """A client's request for fresh TURN credentials."""

    request: bool = True


class Welcome(_Message, frozen=True, tag="welcome"):
    """The server's answer to a hello. `last` is the last `seq` of the client that it processed."""

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
    """A message from one peer to another. A client sets `to`, the server sets `from`.

    `instance` is that of the receiver if a client sends it, and that of the sender if the server
    does. A `seq` of 0 means that there is no number yet.
    """

    seq: int
    data: Data
    to: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    instance: str | None = None


class PeerEvent(_Message, frozen=True, tag="peer"):
    """Another peer has joined, left, lost its connection to the server, or reconnected.

    `polite` is whether the receiver is the polite peer. A `seq` of 0 means no number yet.
    """

    seq: SequenceNumber
    event: PeerEventName
    peer: Identifier
    instance: Identifier
    polite: bool
    meta: JsonObject = msgspec.field(default_factory=dict)
    reason: str = ""


class Ack(_Message, frozen=True, tag="ack"):
    """Acknowledges all reliable messages up to and including `seq`."""

    seq: SequenceNumber


class GoAway(_Message, frozen=True, tag="goaway"):
    """The server ends soon. Clients reconnect after a random time in this range, in seconds."""

    reconnect_in: tuple[Number, Number]
    reason: str = ""

    def __post_init__(self) -> None:
        low, high = self.reconnect_in
        if not 0 <= low <= high:
            raise ValueError(
                f"reconnectIn must be two ascending numbers from 0 on, not {low} and {high}"
            )


class Bye(_Message, frozen=True, tag="bye"):
    """The client leaves the room."""

    reason: str = ""


class Error(_Message, frozen=True, tag="error"):
    """The server refuses something. After a fatal error it closes the connection."""

    code: str
    message: str
    ref: int | None = None
    fatal: bool = False
    retry_after: Number | None = None


class Ping(_Message, frozen=True, tag="ping"):
    """A request for a pong with the same `t`."""

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
