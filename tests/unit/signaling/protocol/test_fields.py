"""Reading the fields of JSON objects that somebody else made."""

import json
from typing import Any

import pytest

from restartice_signaling import BadMessage
from restartice_signaling.protocol.decoding import decode
from restartice_signaling.protocol.fields import MAX_DEPTH, is_identifier, load
from restartice_signaling.protocol.messages import Ack, Error, Hello, Message, Ping

HELLO = {"type": "hello", "room": "room", "protocol": 1}
ERROR = {"type": "error", "code": "auth", "message": ""}


def read(fields: dict[str, Any], **changes: object) -> Message:
    return decode(json.dumps({**fields, **changes}))


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 500])
@pytest.mark.parametrize("ends", ["[]", "{}"])
def test_depth_is_bounded(depth: int, ends: str) -> None:
    opening = "[" if ends == "[]" else '{"a":'
    text = '{"a":' + opening * (depth - 2) + ends + ends[1] * (depth - 2) + "}"
    if depth < 2:
        text = "{}"
    bye = '{"type":"bye",' + text[1:] if depth > 1 else '{"type":"bye"}'
    if depth <= MAX_DEPTH:
        assert isinstance(load(text), dict)
        decode(bye)
    else:
        with pytest.raises(BadMessage, match="deeper"):
            load(text)
        with pytest.raises(BadMessage, match="deeper"):
            decode(bye)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    text = '"a":[' + "[]," * 1000 + "[]]}"
    assert load("{" + text) == {"a": [[]] * 1001}
    assert decode('{"type":"ping","t":1,' + text) == Ping(1)


@pytest.mark.parametrize("value", ["", "a b", "ä", "a" * 65, "a\n", "*"])
def test_identifiers_are_short_and_plain(value: str) -> None:
    good = "A.b_c~1-" + "x" * 50
    assert read(HELLO, room=good) == Hello(good)
    assert is_identifier(good)
    assert not is_identifier(value)
    with pytest.raises(BadMessage, match="room must be 1 to 64"):
        read(HELLO, room=value)


@pytest.mark.parametrize("value", [1, [], {}, True, None])
def test_identifiers_are_strings(value: Any) -> None:
    with pytest.raises(BadMessage, match="room must be of type string"):
        read(HELLO, room=value)
    assert read(HELLO, peer=None) == Hello("room")


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("ref", "integer", True),
        ("ref", "integer", 1.0),
        ("code", "string", 1),
        ("fatal", "boolean", 1),
        ("retryAfter", "number", "1"),
        ("retryAfter", "number", []),
    ],
)
def test_a_wrong_type_is_refused(name: str, kind: str, value: Any) -> None:
    with pytest.raises(BadMessage, match=f"{name} must be of type {kind}, not "):
        read(ERROR, **{name: value})
    assert read(ERROR, ref=None, fatal=None, retryAfter=None) == Error("auth", "")


@pytest.mark.parametrize(("name", "kind"), [("code", "string"), ("message", "string")])
def test_a_missing_field_is_named_with_its_type(name: str, kind: str) -> None:
    fields = {key: value for key, value in ERROR.items() if key != name}
    for changes in ({}, {name: None}):
        with pytest.raises(BadMessage, match=f"{name} must be of type {kind}, and is missing"):
            read(fields, **changes)


def test_numbers_are_within_what_browsers_hold() -> None:
    assert read({"type": "ack"}, seq=2**53 - 1) == Ack(2**53 - 1)
    assert read(HELLO, resume={"session": "s", "key": "k", "last": 0})
    assert read({"type": "ping"}, t=1.5) == Ping(1.5)
    for bad in (0, -1, 2**53):
        with pytest.raises(BadMessage, match="seq must count from 1"):
            read({"type": "ack"}, seq=bad)
    for bad in (-1, 2**53):
        with pytest.raises(BadMessage, match="last must not be"):
            read(HELLO, resume={"session": "s", "key": "k", "last": bad})
    for value in (True, "1", None):
        with pytest.raises(BadMessage, match="t must be of type number"):
            read({"type": "ping"}, t=value)


@pytest.mark.parametrize("value", [1, 1.0, 0, -5, 2**40])
def test_numbers_stay_whole_or_not(value: float) -> None:
    message = read({"type": "ping"}, t=value)
    assert isinstance(message, Ping)
    assert repr(message.t) == repr(value)


def test_words_are_those_allowed() -> None:
    event = {"type": "peer", "seq": 1, "peer": "b", "instance": "1", "polite": True}
    assert read(event, event="away")
    with pytest.raises(BadMessage, match=r"event must be one of away, back, joined, left$"):
        read(event, event="z")


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**400])
def test_numbers_that_no_browser_has_are_refused(value: int) -> None:
    with pytest.raises(BadMessage, match="t must not be"):
        read({"type": "ping"}, t=value)
    with pytest.raises(BadMessage, match="ack must not be"):
        read(ERROR, ack=value)


@pytest.mark.parametrize("name", ["key", "token"])
def test_no_complaint_and_no_repr_has_a_secret(name: str) -> None:
    resume = {"session": "s", "key": "SECRET", "last": 0}
    message = read({**HELLO, "token": "SECRET"}, resume=resume)
    assert "SECRET" not in repr(message)
    for wrong in (["SECRET"], {"a": "SECRET"}):
        changes = {"resume": {**resume, "key": wrong}} if name == "key" else {"token": wrong}
        with pytest.raises(BadMessage) as caught:
            read(HELLO, **changes)
        assert name in str(caught.value)
        assert "SECRET" not in str(caught.value)
    with pytest.raises(BadMessage, match=r"token must not be longer than 8192$"):
        read(HELLO, token="SECRET" * 2000)
