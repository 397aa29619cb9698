"""Reading the messages of rtc-signal v1.

Every field is checked; BadMessage has a sentence that names the wrong one. Unknown fields are
ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import BadMessage
from .fields import (
    JsonObject,
    identifier,
    is_unicode,
    load,
    non_negative,
    number,
    one_of,
    sequence_number,
    take,
)
from .messages import (
    EVERYONE,
    Ack,
    Bye,
    Candidate,
    Custom,
    Data,
    Description,
    Error,
    GoAway,
    Heartbeat,
    Hello,
    IceRequest,
    IceServers,
    Limits,
    Message,
    PeerEvent,
    PeerInfo,
    Ping,
    Pong,
    Resume,
    Signal,
    Welcome,
)

__all__ = ["decode", "decode_with_ack"]

DATA: Final = frozenset({"description", "candidate", "custom"})
DESCRIPTION_TYPES: Final = frozenset({"offer", "pranswer", "answer", "rollback"})
PEER_EVENTS: Final = frozenset({"joined", "away", "back", "left"})
MAX_TOKEN: Final = 8192


def decode(frame: str | bytes) -> Message:
    """Read a frame.

    Raises:
        BadMessage: It isn't one of the protocol's.
    """
    return _decode(load(frame))[0]


def decode_with_ack(frame: str | bytes) -> tuple[Message, int | None]:
    """Read a frame that somebody else made, and the acknowledgment that any message may carry.

    Raises:
        BadMessage: It isn't one of the protocol's, or has half of a character in it.
    """
    fields = load(frame)
    # Only an escape can have brought that in; the frame itself is Unicode.
    if "\\u" in frame and not is_unicode(fields):
        raise BadMessage("a message must be Unicode, without halves of characters", _ref(fields))
    return _decode(fields)


def _decode(fields: JsonObject) -> tuple[Message, int | None]:
    try:
        return _reader(fields)(fields), non_negative(fields, "ack", None)
    except BadMessage as error:
        raise BadMessage(str(error), _ref(fields)) from None


def _ref(fields: JsonObject) -> int | None:
    ref = fields.get("seq")
    return ref if isinstance(ref, int) and not isinstance(ref, bool) else None


def _reader(fields: JsonObject) -> Callable[[JsonObject], Message]:
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise BadMessage("type must be of type string")
    reader = READERS.get(kind)
    if reader is None:
        raise BadMessage(f"unknown type {kind[:40]!r}")
    return reader


def _read_hello(fields: JsonObject) -> Hello:
    resume = take(fields, "resume", dict, None)
    token = take(fields, "token", str, None)
    if token is not None and len(token) > MAX_TOKEN:
        raise BadMessage(f"token must not be longer than {MAX_TOKEN}")
    return Hello(
        room=identifier(fields, "room"),
        protocol=take(fields, "protocol", int),
        peer=identifier(fields, "peer", None),
        meta=take(fields, "meta", dict, {}),
        token=token,
        resume=None if resume is None else _read_resume(resume),
    )


def _read_resume(fields: JsonObject) -> Resume:
    return Resume(
        session=identifier(fields, "session"),
        key=take(fields, "key", str),
        last=non_negative(fields, "last"),
    )


def _read_welcome(fields: JsonObject) -> Welcome:
    return Welcome(
        session=identifier(fields, "session"),
        key=take(fields, "key", str),
        peer=identifier(fields, "peer"),
        room=identifier(fields, "room"),
        instance=identifier(fields, "instance", None) or "",
        resumed=take(fields, "resumed", bool, False),
        last=non_negative(fields, "last", 0),
        peers=tuple(_read_peer_info(entry) for entry in _objects(fields, "peers")),
        ice=_read_welcome_ice(fields),
        heartbeat=_read_heartbeat(take(fields, "heartbeat", dict, {})),
        resume_window=number(fields, "resumeWindow", 0),
        limits=_read_limits(take(fields, "limits", dict, {})),
    )


def _read_welcome_ice(fields: JsonObject) -> IceServers | None:
    if fields.get("iceServers") is None:
        return None
    servers = tuple(_read_ice_server(entry) for entry in _objects(fields, "iceServers"))
    return IceServers(servers, number(fields, "iceServersExpire", None))


def _read_heartbeat(fields: JsonObject) -> Heartbeat:
    return Heartbeat(
        interval=_positive(fields, "interval", Heartbeat.interval),
        timeout=_positive(fields, "timeout", Heartbeat.timeout),
    )


def _read_limits(fields: JsonObject) -> Limits:
    return Limits(
        max_message_size=_positive(fields, "maxMessageSize", Limits.max_message_size),
        max_unacknowledged=_positive(fields, "maxUnacknowledged", Limits.max_unacknowledged),
        max_buffered=_positive(fields, "maxBuffered", Limits.max_buffered),
        rate=_positive(fields, "rate", Limits.rate),
        burst=_positive(fields, "burst", Limits.burst),
    )


def _positive(fields: JsonObject, name: str, default: float) -> Any:
    value = number(fields, name, default)
    if value <= 0:
        raise BadMessage(f"{name} must be more than 0")
    return value


def _objects(fields: JsonObject, name: str) -> list[JsonObject]:
    entries: list[JsonObject] = take(fields, name, list)
    if not all(isinstance(entry, dict) for entry in entries):
        raise BadMessage(f"{name} must contain objects")
    return entries


def _read_peer_info(entry: JsonObject) -> PeerInfo:
    return PeerInfo(
        peer=identifier(entry, "peer"),
        instance=identifier(entry, "instance"),
        polite=take(entry, "polite", bool),
        meta=take(entry, "meta", dict, {}),
        state=take(entry, "state", str, "joined"),
    )


def _read_signal(fields: JsonObject) -> Signal:
    data = _read_data(take(fields, "data", dict))
    everyone = fields.get("to") == EVERYONE
    if everyone and not isinstance(data, Custom):
        raise BadMessage("only custom data may be sent to everyone")
    return Signal(
        seq=sequence_number(fields),
        data=data,
        to=EVERYONE if everyone else identifier(fields, "to", None),
        sender=identifier(fields, "from", None),
        instance=identifier(fields, "instance", None),
    )


def _read_data(data: JsonObject) -> Data:
    if len(data.keys() & DATA) != 1:
        raise BadMessage("data must have one of description, candidate, custom")
    if "custom" in data:
        return Custom(data["custom"])
    return _read_description(data) if "description" in data else _read_candidate(data)


def _read_description(data: JsonObject) -> Description:
    fields = take(data, "description", dict)
    kind = one_of(fields, "type", DESCRIPTION_TYPES)
    return Description(kind, take(fields, "sdp", str, "" if kind == "rollback" else ...))


def _read_candidate(data: JsonObject) -> Candidate:
    fields = take(data, "candidate", dict, None)
    if fields is None:
        return Candidate(None)
    return Candidate(
        {
            "candidate": take(fields, "candidate", str, ""),
            "sdpMid": take(fields, "sdpMid", str, None),
            "sdpMLineIndex": take(fields, "sdpMLineIndex", int, None),
            "usernameFragment": take(fields, "usernameFragment", str, None),
        }
    )


def _read_peer_event(fields: JsonObject) -> PeerEvent:
    return PeerEvent(
        seq=sequence_number(fields),
        event=one_of(fields, "event", PEER_EVENTS),
        peer=identifier(fields, "peer"),
        instance=identifier(fields, "instance"),
        polite=take(fields, "polite", bool),
        meta=take(fields, "meta", dict, {}),
        reason=take(fields, "reason", str, ""),
    )


def _read_ice(fields: JsonObject) -> IceServers | IceRequest:
    if take(fields, "request", bool, False):
        return IceRequest()
    servers = tuple(_read_ice_server(entry) for entry in _objects(fields, "iceServers"))
    return IceServers(servers, number(fields, "expire", None))


def _read_ice_server(entry: JsonObject) -> JsonObject:
    """Read an RTCIceServer, whose `urls` may be one string or several."""
    urls = entry.get("urls")
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise BadMessage("urls must be a string or strings")
    secrets = {name: take(entry, name, str, None) for name in ("username", "credential")}
    return {"urls": urls, **{name: value for name, value in secrets.items() if value is not None}}


def _read_goaway(fields: JsonObject) -> GoAway:
    ends = take(fields, "reconnectIn", list)
    if len(ends) != 2:
        raise BadMessage("reconnectIn must be two numbers")
    low, high = (number({"reconnectIn": end}, "reconnectIn") for end in ends)
    if not 0 <= low <= high:
        raise BadMessage("reconnectIn must be two numbers, the smaller one first")
    return GoAway((low, high), take(fields, "reason", str, ""))


def _read_bye(fields: JsonObject) -> Bye:
    return Bye(take(fields, "reason", str, ""))


def _read_error(fields: JsonObject) -> Error:
    return Error(
        code=take(fields, "code", str),
        message=take(fields, "message", str),
        ref=take(fields, "ref", int, None),
        fatal=take(fields, "fatal", bool, False),
        retry_after=number(fields, "retryAfter", None),
    )


READERS: Final[Mapping[str, Callable[[JsonObject], Message]]] = {
    "hello": _read_hello,
    "welcome": _read_welcome,
    "signal": _read_signal,
    "peer": _read_peer_event,
    "ack": lambda fields: Ack(sequence_number(fields)),
    "ice": _read_ice,
    "goaway": _read_goaway,
    "bye": _read_bye,
    "error": _read_error,
    "ping": lambda fields: Ping(number(fields, "t")),
    "pong": lambda fields: Pong(number(fields, "t")),
}
