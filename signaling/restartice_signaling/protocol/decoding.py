"""Parses the messages of rtc-signal v1.

Every field is checked; a BadMessage names the wrong one. Unknown fields are ignored. A null counts
as a missing field.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    TypeAlias,
    cast,
    get_args,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import BadMessage
from .complaints import NAME_RULE, sentence
from .fields import MAX_DEPTH, is_identifier, is_too_deep, is_unicode, load
from .messages import (
    EVERYONE,
    MAX_NAME,
    Candidate,
    Count,
    Custom,
    Data,
    Description,
    Heartbeat,
    Hello,
    IceRequest,
    IceServers,
    Identifier,
    JsonObject,
    Limits,
    Message,
    Number,
    PeerInfo,
    Positive,
    SequenceNumber,
    Signal,
    Welcome,
)

__all__ = ["decode", "decode_with_ack"]

if TYPE_CHECKING:
    _Limits = Limits
else:
    # With camel case, and with the bounds of a message.
    _Limits = msgspec.defstruct(
        "_Limits", [(f.name, Positive, f.default) for f in fields_of(Limits)], rename="camel"
    )


# Messages whose JSON differs from their classes in messages.py: fields that a program may leave out
# but JSON may not, and fields of another form.


# That of a peer, or EVERYONE.
_Address: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME, title="address")]


class _Wire(Struct, tag_field="type", rename="camel", kw_only=True):
    ack: Count | None = None


class _Hello(Hello, frozen=True, tag="hello", kw_only=True):
    protocol: int


class _CandidateInit(Struct):
    candidate: str = ""
    sdp_mid: str | None = msgspec.field(name="sdpMid", default=None)
    sdp_m_line_index: int | None = msgspec.field(name="sdpMLineIndex", default=None)
    username_fragment: str | None = msgspec.field(name="usernameFragment", default=None)


class _Data(Struct):
    description: Description | UnsetType = UNSET
    candidate: _CandidateInit | UnsetType | None = UNSET
    custom: Any = UNSET


class _Signal(_Wire, tag="signal"):
    # First, so that its error is reported if several fields are wrong.
    data: _Data
    seq: SequenceNumber
    to: _Address | None = None
    sender: Identifier | None = msgspec.field(name="from", default=None)
    instance: Identifier | None = None


class _IceServer(Struct):
    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class _Ice(_Wire, tag="ice"):
    request: bool = False
    ice_servers: list[_IceServer] | None = None
    expire: Number | None = None


class _Welcome(_Wire, tag="welcome", kw_only=True):
    session: Identifier
    key: str
    peer: Identifier
    room: Identifier
    instance: Identifier | None = None
    resumed: bool = False
    last: Count = 0
    peers: tuple[PeerInfo, ...]
    ice_servers: list[_IceServer] | None = None
    ice_servers_expire: Number | None = None
    heartbeat: Heartbeat = msgspec.field(default_factory=Heartbeat)
    resume_window: Number = 0
    limits: _Limits | None = None


# The JSON of all other messages is as their classes say.
_WIRE: Final[Mapping[type[Any], type[Any]]] = {
    Hello: _Hello,
    Welcome: _Welcome,
    Signal: _Signal,
    IceServers: _Ice,
    IceRequest: _Ice,
}
TYPES: Final[Mapping[str, type[Any]]] = {
    cls.__struct_config__.tag: _WIRE.get(cls, cls) for cls in get_args(Message)
}
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    functools.reduce(operator.or_, TYPES.values())
)
# Parts of messages in which a null counts as a missing field.
OBJECTS: Final = ("resume", "heartbeat", "limits")
ARRAYS: Final = ("peers", "iceServers")
HALVES: Final = "a message must be Unicode, without lone surrogates"


@functools.lru_cache(maxsize=1024)
def _is_name(name: str | None) -> bool:
    """Return whether a name is an identifier, or None."""
    return name is None or is_identifier(name)


def decode(frame: str | bytes) -> Message:
    """Parse a frame.

    Raises:
        BadMessage: The frame isn't a message of the protocol.
    """
    return (_decode_fast(frame) or _decode_slowly(frame, whole=False))[0]


def decode_with_ack(frame: str | bytes) -> tuple[Message, int | None]:
    """Parse a frame of the other side, and the acknowledgment that any message may carry.

    Raises:
        BadMessage: The frame isn't a message of the protocol, or contains a lone surrogate.
    """
    return _decode_fast(frame) or _decode_slowly(frame, whole=True)


def _decode_fast(frame: str | bytes) -> tuple[Message, int | None] | None:
    """Parse a usual frame; None if it has nulls or lone surrogates, or is wrong."""
    if not isinstance(frame, str):
        return None
    try:
        if _may_be_deep(frame) and is_too_deep(msgspec.json.decode(frame)):
            return None
        return _message(_decoder.decode(frame))
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, BadMessage):
        return None


def _may_be_deep(frame: str) -> bool:
    # The depth is at most the number of brackets.
    return frame.count("{") + ("[" in frame and frame.count("[")) > MAX_DEPTH


def _decode_slowly(frame: str | bytes, *, whole: bool) -> tuple[Message, int | None]:
    """Parse any frame.

    Raises:
        BadMessage: It is wrong; the text names the field.
    """
    fields = load(frame)
    ref = fields.get("seq")
    try:
        return _read(_without_nulls(fields), whole=whole)
    except BadMessage as error:
        raise BadMessage(str(error), ref if type(ref) is int else None) from None


def _read(fields: dict[str, Any], *, whole: bool) -> tuple[Message, int | None]:
    if whole and not is_unicode(fields):
        raise BadMessage(HALVES)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise BadMessage("type must be of type string")
    if kind not in TYPES:
        raise BadMessage(f"unknown type {kind[:40]!r}")
    try:
        return _message(msgspec.convert(fields, TYPES[kind]))
    except UnicodeEncodeError:
        raise BadMessage(HALVES) from None
    except msgspec.ValidationError as error:
        raise BadMessage(sentence(error, fields, TYPES[kind])) from None


def _without_nulls(fields: JsonObject) -> dict[str, Any]:
    """Return an object without nulls, except in the values of the application."""
    found = {name: value for name, value in fields.items() if value is not None}
    for name in OBJECTS:
        if isinstance(found.get(name), dict):
            found[name] = _present(found[name])
    for name in ARRAYS:
        if isinstance(found.get(name), list):
            found[name] = [_present(e) if isinstance(e, dict) else e for e in found[name]]
    data = found.get("data")
    if isinstance(data, dict):
        found["data"] = {
            name: _present(value)
            if isinstance(value, dict) and name in {"description", "candidate"}
            else value
            for name, value in data.items()
        }
    return found


def _present(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _message(wire: Any) -> tuple[Message, int | None]:
    make = _MAKERS.get(type(wire))
    message = wire if make is None else make(wire)
    _check_names(wire)
    return message, wire.ack


def _check_names(part: Any) -> None:
    cls: type = type(part)
    for name, as_json in _names_of(cls):
        if not _is_name(getattr(part, name)):
            raise BadMessage(f"{as_json} {NAME_RULE}")


@functools.cache
def _names_of(cls: type[Any]) -> list[tuple[str, str]]:
    """Return the fields of a class that are identifiers, each with its name in JSON."""
    hints = get_type_hints(cls, include_extras=True)
    as_json: dict[str, str] = {}
    if issubclass(cls, Struct):
        as_json = {field.name: field.encode_name for field in msgspec.structs.fields(cls)}
    found = [name for name, hint in hints.items() if Identifier in {hint, *get_args(hint)}]
    return [(name, as_json.get(name, name)) for name in found]


def _make_hello(wire: _Hello) -> Hello:
    if wire.resume is not None:
        _check_names(wire.resume)
    return Hello(wire.room, wire.protocol, wire.peer, wire.meta, wire.token, wire.resume)


def _make_welcome(wire: _Welcome) -> Welcome:
    for info in wire.peers:
        _check_names(info)
    limits = Limits()
    if wire.limits is not None:
        limits = Limits(**msgspec.structs.asdict(cast("Any", wire.limits)))
    return Welcome(
        wire.session,
        wire.key,
        wire.peer,
        wire.room,
        wire.instance or "",
        wire.resumed,
        wire.last,
        wire.peers,
        None
        if wire.ice_servers is None
        else _make_servers(wire.ice_servers, wire.ice_servers_expire),
        wire.heartbeat,
        wire.resume_window,
        limits,
    )


def _make_servers(servers: list[_IceServer], expire: Number | None) -> IceServers:
    found = []
    for server in servers:
        urls = [server.urls] if isinstance(server.urls, str) else server.urls
        secrets = {"username": server.username, "credential": server.credential}
        found.append({"urls": urls, **_present(secrets)})
    return IceServers(tuple(found), expire)


def _make_ice(wire: _Ice) -> IceServers | IceRequest:
    if wire.request:
        return IceRequest()
    if wire.ice_servers is None:
        raise BadMessage("iceServers must be of type array, and is missing")
    return _make_servers(wire.ice_servers, wire.expire)


def _make_signal(wire: _Signal) -> Signal:
    data = _make_data(wire.data)
    if wire.to == EVERYONE and not isinstance(data, Custom):
        raise BadMessage("only custom data may be sent to everyone")
    if wire.to != EVERYONE and not _is_name(wire.to):
        raise BadMessage(f"to {NAME_RULE}")
    return Signal(wire.seq, data, wire.to, wire.sender, wire.instance)


def _make_data(data: _Data) -> Data:
    absent = (data.description is UNSET) + (data.candidate is UNSET) + (data.custom is UNSET)
    if absent != 2:
        raise BadMessage(f"data must have one of description, candidate, custom, not {3 - absent}")
    if data.custom is not UNSET:
        return Custom(data.custom)
    if isinstance(data.description, Description):
        return data.description
    init = data.candidate
    if not isinstance(init, _CandidateInit):
        return Candidate(None)
    return Candidate(
        {
            "candidate": init.candidate,
            "sdpMid": init.sdp_mid,
            "sdpMLineIndex": init.sdp_m_line_index,
            "usernameFragment": init.username_fragment,
        }
    )


_MAKERS: Final[Mapping[type[Any], Callable[[Any], Message]]] = {
    _Hello: _make_hello,
    _Welcome: _make_welcome,
    _Signal: _make_signal,
    _Ice: _make_ice,
}
