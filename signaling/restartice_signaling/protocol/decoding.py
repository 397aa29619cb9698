"""Reading the messages of rtc-signal v1.

Every field is checked; BadMessage has a sentence that names the wrong one. Unknown fields are
ignored; null stands for a field that isn't there.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ..errors import BadMessage
from .complaints import NAME_RULE, sentence
from .fields import MAX_DEPTH, is_identifier, is_too_deep, is_unicode, load
from .messages import (
    EVERYONE,
    Ack,
    Bye,
    Candidate,
    Count,
    Custom,
    Data,
    Description,
    Error,
    GoAway,
    Heartbeat,
    Hello,
    IceRequest,
    IceServers,
    Identifier,
    JsonObject,
    Limits,
    Message,
    Number,
    PeerEvent,
    PeerInfo,
    Ping,
    Pong,
    Positive,
    SequenceNumber,
    Signal,
    Welcome,
)

__all__ = ["decode", "decode_with_ack"]

if TYPE_CHECKING:
    _Limits = Limits
else:
    # With the names and the bounds that they have in a message.
    _Limits = msgspec.defstruct(
        "_Limits", [(f.name, Positive, f.default) for f in fields_of(Limits)], rename="camel"
    )


# What is written otherwise than the classes of messages.py say: what is required though a program
# may leave it out, and what has another form.


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
    # Whatever else is wrong, this is told first.
    data: _Data
    seq: SequenceNumber
    to: Identifier | None = None
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


TYPES: Final[Mapping[str, type[Any]]] = {
    "hello": _Hello,
    "welcome": _Welcome,
    "signal": _Signal,
    "peer": PeerEvent,
    "ack": Ack,
    "ice": _Ice,
    "goaway": GoAway,
    "bye": Bye,
    "error": Error,
    "ping": Ping,
    "pong": Pong,
}
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _Hello | _Welcome | _Signal | PeerEvent | Ack | _Ice | GoAway | Bye | Error | Ping | Pong
)
# Objects in messages in which null stands for nothing.
OBJECTS: Final = ("resume", "heartbeat", "limits")
ARRAYS: Final = ("peers", "iceServers")
HALVES: Final = "a message must be Unicode, without halves of characters"


@lru_cache(maxsize=1024)
def _is_name(name: str | None) -> bool:
    """Say if an identifier is one, or left out; longer ones are none."""
    return name is None or is_identifier(name)


def decode(frame: str | bytes) -> Message:
    """Read a frame.

    Raises:
        BadMessage: It isn't one of the protocol's.
    """
    return (_decode_fast(frame) or _decode_slowly(frame, whole=False))[0]


def decode_with_ack(frame: str | bytes) -> tuple[Message, int | None]:
    """Read a frame that somebody else made, and the acknowledgment that any message may carry.

    Raises:
        BadMessage: It isn't one of the protocol's, or has half of a character in it.
    """
    return _decode_fast(frame) or _decode_slowly(frame, whole=True)


def _decode_fast(frame: str | bytes) -> tuple[Message, int | None] | None:
    """Read what most frames are; None if it has nulls or halves of characters, or is wrong."""
    if not isinstance(frame, str):
        return None
    try:
        if _may_be_deep(frame) and is_too_deep(msgspec.json.decode(frame)):
            return None
        return _message(_decoder.decode(frame))
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, BadMessage):
        return None


def _may_be_deep(frame: str) -> bool:
    # What has no more brackets can't be nested any deeper.
    return frame.count("{") + ("[" in frame and frame.count("[")) > MAX_DEPTH


def _decode_slowly(frame: str | bytes, *, whole: bool) -> tuple[Message, int | None]:
    """Read any frame, and say what is wrong with it.

    Raises:
        BadMessage: Something is.
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
    """Return an object without nulls, but for those in what an application has put into it."""
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
    return (wire if make is None else make(wire)), wire.ack


def _check_names(names: Mapping[str, str | None]) -> None:
    for field, name in names.items():
        if not _is_name(name):
            raise BadMessage(f"{field} {NAME_RULE}")


def _make_hello(wire: _Hello) -> Hello:
    _check_names({"room": wire.room, "peer": wire.peer})
    if wire.resume is not None:
        _check_names({"session": wire.resume.session})
    return Hello(wire.room, wire.protocol, wire.peer, wire.meta, wire.token, wire.resume)


def _make_welcome(wire: _Welcome) -> Welcome:
    names = {"session": wire.session, "peer": wire.peer, "room": wire.room}
    _check_names({**names, "instance": wire.instance})
    for info in wire.peers:
        if not (_is_name(info.peer) and _is_name(info.instance)):
            _check_names({"peer": info.peer, "instance": info.instance})
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
    to = None if wire.to == EVERYONE else wire.to
    if not (_is_name(to) and _is_name(wire.sender) and _is_name(wire.instance)):
        _check_names({"to": to, "from": wire.sender, "instance": wire.instance})
    return Signal(wire.seq, data, wire.to, wire.sender, wire.instance)


def _make_peer_event(wire: PeerEvent) -> PeerEvent:
    if not (_is_name(wire.peer) and _is_name(wire.instance)):
        _check_names({"peer": wire.peer, "instance": wire.instance})
    return wire


def _make_data(data: _Data) -> Data:
    absent = (data.description is UNSET) + (data.candidate is UNSET) + (data.custom is UNSET)
    if absent != 2:
        raise BadMessage("data must have one of description, candidate, custom")
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
    PeerEvent: _make_peer_event,
    _Ice: _make_ice,
}
