"""The messages of rtc-signal v1: one JSON object per text frame.

Reading one checks every field and raises BadMessage with a sentence that names the field. Unknown
fields are ignored.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .errors import BadMessage

__all__ = [
    "ERROR_CODES",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL",
    "Bye",
    "Candidate",
    "Custom",
    "Data",
    "Description",
    "Error",
    "Hello",
    "Message",
    "PeerEvent",
    "PeerInfo",
    "Ping",
    "Pong",
    "Signal",
    "Welcome",
    "decode",
    "encode",
]

SUBPROTOCOL: Final = "rtc-signal.v1"
PROTOCOL_VERSION: Final = 1
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
DESCRIPTION_TYPES: Final = frozenset({"offer", "pranswer", "answer", "rollback"})
PEER_EVENTS: Final = frozenset({"joined", "away", "back", "left"})
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
MAX_DEPTH: Final = 32

JsonObject: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Description:
    """A session description in the browser's form."""

    type: str
    sdp: str

    def to_json(self) -> JsonObject:
        """Return `{description: {type, sdp}}`."""
        return {"description": {"type": self.type, "sdp": self.sdp}}


@dataclass(frozen=True)
class Candidate:
    """An ICE candidate in the browser's form; None means the end of candidates."""

    init: JsonObject | None

    def to_json(self) -> JsonObject:
        """Return `{candidate: {candidate, sdpMid, sdpMLineIndex, usernameFragment}}`."""
        return {"candidate": self.init}


@dataclass(frozen=True)
class Custom:
    """Anything that the application sends."""

    value: Any

    def to_json(self) -> JsonObject:
        """Return `{custom: …}`."""
        return {"custom": self.value}


Data: TypeAlias = Description | Candidate | Custom


@dataclass(frozen=True)
class Hello:
    """A client's first message."""

    room: str
    protocol: int = PROTOCOL_VERSION
    peer: str | None = None
    meta: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {
            "type": "hello",
            "protocol": self.protocol,
            "room": self.room,
            "peer": self.peer,
            "meta": self.meta,
        }


@dataclass(frozen=True)
class PeerInfo:
    """Another peer of the room. `polite` says whether the receiver is the polite one of the two."""

    peer: str
    instance: str
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    state: str = "joined"

    def to_json(self) -> JsonObject:
        """Return the entry as JSON."""
        return {
            "peer": self.peer,
            "instance": self.instance,
            "polite": self.polite,
            "meta": self.meta,
            "state": self.state,
        }


@dataclass(frozen=True)
class Welcome:
    """The server's answer to a hello."""

    session: str
    key: str
    peer: str
    room: str
    peers: tuple[PeerInfo, ...] = ()
    max_message_size: int = 65536

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {
            "type": "welcome",
            "session": self.session,
            "key": self.key,
            "peer": self.peer,
            "room": self.room,
            "resumed": False,
            "last": 0,
            "peers": [peer.to_json() for peer in self.peers],
            "resumeWindow": 0,
            "limits": {"maxMessageSize": self.max_message_size},
        }


@dataclass(frozen=True)
class Signal:
    """What one peer has to say to another. A client writes `to`, the server writes `from`.

    `instance` is that of the peer it is for, or, when it comes from the server, that it is from.
    """

    seq: int
    data: Data
    to: str | None = None
    sender: str | None = None
    instance: str | None = None

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        address = {"to": self.to, "from": self.sender, "instance": self.instance}
        return {
            "type": "signal",
            "seq": self.seq,
            "data": self.data.to_json(),
            **{name: value for name, value in address.items() if value is not None},
        }


@dataclass(frozen=True)
class PeerEvent:
    """Another peer joined or left. `polite` says whether the receiver is the polite one."""

    seq: int
    event: str
    peer: str
    instance: str
    polite: bool
    meta: JsonObject = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        return {
            "type": "peer",
            "seq": self.seq,
            "event": self.event,
            "peer": self.peer,
            "instance": self.instance,
            "polite": self.polite,
            "meta": self.meta,
            "reason": self.reason,
        }


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

    def to_json(self) -> JsonObject:
        """Return the message as JSON."""
        message: dict[str, Any] = {
            "type": "error",
            "code": self.code,
            "message": self.message,
            "fatal": self.fatal,
        }
        return message if self.ref is None else {**message, "ref": self.ref}


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


Message: TypeAlias = Hello | Welcome | Signal | PeerEvent | Bye | Error | Ping | Pong


def encode(message: Message) -> str:
    """Return the text of a frame."""
    return json.dumps(message.to_json(), separators=(",", ":"), allow_nan=False)


def decode(frame: str | bytes) -> Message | None:
    """Read a frame.

    Returns:
        The message, or None for a type which this version has no use for.

    Raises:
        BadMessage: It isn't one of the protocol's.
    """
    fields = _load(frame)
    kind = fields.get("type")
    ref = fields.get("seq")
    ref = ref if _is_int(ref) else None
    if not isinstance(kind, str):
        raise BadMessage("type must be of type string", ref)
    if kind in UNUSED:
        return None
    read = READERS.get(kind)
    if read is None:
        raise BadMessage(f"unknown type {kind[:40]!r}", ref)
    try:
        return read(fields)
    except BadMessage as error:
        raise BadMessage(str(error), ref) from None


def _load(frame: str | bytes) -> JsonObject:
    if not isinstance(frame, str):
        raise BadMessage("a message must be a text frame")
    try:
        fields = json.loads(frame, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadMessage("a message must be JSON") from None
    if not isinstance(fields, dict):
        raise BadMessage("a message must be a JSON object")
    if _depth_exceeds(fields, MAX_DEPTH):
        raise BadMessage(f"a message must not be nested deeper than {MAX_DEPTH}")
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 would be infinite, which can't be sent on.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _take(fields: JsonObject, name: str, kind: type, default: Any = ...) -> Any:
    value = fields.get(name)
    if value is None and default is not ...:
        return default
    good = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not good:
        raise BadMessage(f"{name} must be of type {JSON_NAMES[kind]}")
    return value


JSON_NAMES: Final = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}


def _identifier(fields: JsonObject, name: str, default: Any = ...) -> Any:
    value = _take(fields, name, str, default)
    if isinstance(value, str) and not IDENTIFIER.fullmatch(value):
        raise BadMessage(f"{name} must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    return value


def _one_of(fields: JsonObject, name: str, allowed: frozenset[str]) -> str:
    value: str = _take(fields, name, str)
    if value not in allowed:
        raise BadMessage(f"{name} must be one of {', '.join(sorted(allowed))}")
    return value


def _seq(fields: JsonObject) -> int:
    seq: int = _take(fields, "seq", int)
    if not 1 <= seq < 2**53:
        raise BadMessage("seq must count from 1")
    return seq


def _read_hello(fields: JsonObject) -> Hello:
    return Hello(
        room=_identifier(fields, "room"),
        protocol=_take(fields, "protocol", int),
        peer=_identifier(fields, "peer", None),
        meta=_take(fields, "meta", dict, {}),
    )


def _read_welcome(fields: JsonObject) -> Welcome:
    limits = _take(fields, "limits", dict, {})
    return Welcome(
        session=_take(fields, "session", str),
        key=_take(fields, "key", str),
        peer=_identifier(fields, "peer"),
        room=_identifier(fields, "room"),
        peers=tuple(_read_peer_info(entry) for entry in _take(fields, "peers", list)),
        max_message_size=_take(limits, "maxMessageSize", int, 65536),
    )


def _read_peer_info(entry: object) -> PeerInfo:
    if not isinstance(entry, dict):
        raise BadMessage("peers must contain objects")
    return PeerInfo(
        peer=_identifier(entry, "peer"),
        instance=_identifier(entry, "instance"),
        polite=_take(entry, "polite", bool),
        meta=_take(entry, "meta", dict, {}),
        state=_take(entry, "state", str, "joined"),
    )


def _read_signal(fields: JsonObject) -> Signal:
    return Signal(
        seq=_seq(fields),
        data=_read_data(_take(fields, "data", dict)),
        to=_identifier(fields, "to", None),
        sender=_identifier(fields, "from", None),
        instance=_identifier(fields, "instance", None),
    )


def _read_data(data: JsonObject) -> Data:
    present = [name for name in ("description", "candidate", "custom") if name in data]
    if len(present) != 1:
        raise BadMessage("data must have one of description, candidate, custom")
    if present == ["custom"]:
        return Custom(data["custom"])
    return _read_description(data) if present == ["description"] else _read_candidate(data)


def _read_description(data: JsonObject) -> Description:
    fields = _take(data, "description", dict)
    kind = _one_of(fields, "type", DESCRIPTION_TYPES)
    return Description(kind, _take(fields, "sdp", str, "" if kind == "rollback" else ...))


def _read_candidate(data: JsonObject) -> Candidate:
    fields = _take(data, "candidate", dict, None)
    if fields is None:
        return Candidate(None)
    return Candidate(
        {
            "candidate": _take(fields, "candidate", str, ""),
            "sdpMid": _take(fields, "sdpMid", str, None),
            "sdpMLineIndex": _take(fields, "sdpMLineIndex", int, None),
            "usernameFragment": _take(fields, "usernameFragment", str, None),
        }
    )


def _read_peer_event(fields: JsonObject) -> PeerEvent:
    return PeerEvent(
        seq=_seq(fields),
        event=_one_of(fields, "event", PEER_EVENTS),
        peer=_identifier(fields, "peer"),
        instance=_identifier(fields, "instance"),
        polite=_take(fields, "polite", bool),
        meta=_take(fields, "meta", dict, {}),
        reason=_take(fields, "reason", str, ""),
    )


def _read_bye(fields: JsonObject) -> Bye:
    return Bye(_take(fields, "reason", str, ""))


def _read_error(fields: JsonObject) -> Error:
    return Error(
        code=_take(fields, "code", str),
        message=_take(fields, "message", str),
        ref=_take(fields, "ref", int, None),
        fatal=_take(fields, "fatal", bool, False),
    )


def _read_time(fields: JsonObject) -> float:
    value = fields.get("t")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMessage("t must be of type number")
    return value


READERS: Final[Mapping[str, Callable[[JsonObject], Message]]] = {
    "hello": _read_hello,
    "welcome": _read_welcome,
    "signal": _read_signal,
    "peer": _read_peer_event,
    "bye": _read_bye,
    "error": _read_error,
    "ping": lambda fields: Ping(_read_time(fields)),
    "pong": lambda fields: Pong(_read_time(fields)),
}
# Types of the protocol that this version neither needs nor sends.
UNUSED: Final = frozenset({"ack", "ice", "goaway"})
