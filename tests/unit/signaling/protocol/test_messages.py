import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice_signaling.errors import BadMessage
from restartice_signaling.protocol.decoding import decode, decode_with_ack
from restartice_signaling.protocol.encoding import encode, relayed
from restartice_signaling.protocol.fields import MAX_DEPTH
from restartice_signaling.protocol.messages import (
    Bye,
    Candidate,
    Custom,
    Data,
    Description,
    Error,
    Hello,
    Limits,
    Message,
    PeerEvent,
    PeerInfo,
    Ping,
    Pong,
    Signal,
    Welcome,
)

CANDIDATE = {
    "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host",
    "sdpMid": "0",
    "sdpMLineIndex": 0,
    "usernameFragment": "abcd",
}
PEER = PeerInfo("b", "2", True, {"name": "camera"}, "away")
MESSAGES: list[Message] = [
    Hello("room", peer="a", meta={"name": "robot"}),
    Hello("room"),
    Welcome("session", "key", "a", "room", peers=(PEER,), limits=Limits(max_message_size=1000)),
    Signal(1, Description("offer", "v=0\r\n"), to="b", instance="2"),
    Signal(2, Description("rollback", ""), sender="b", instance="2"),
    Signal(3, Candidate(CANDIDATE), to="b"),
    Signal(4, Candidate(None)),
    Signal(5, Custom({"deep": [1, 2.5, None, True, "ä\ud800"]})),
    Signal(6, Custom(None)),
    PeerEvent(7, "joined", "b", "2", True, {"name": "camera"}),
    PeerEvent(8, "left", "b", "2", False, reason="lost"),
    Bye("done"),
    Bye(),
    Error("no-peer", "no such peer", 3),
    Error("protocol", "no hello", fatal=True),
    Ping(1.5),
    Pong(2),
]
SIGNAL: dict[str, Any] = {"type": "signal", "seq": 1, "data": {"custom": 1}}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def read(fields: object) -> Message:
    return decode(json.dumps(fields))


def changed(message: Message, /, **fields: object) -> dict[str, Any]:
    return {**message.to_json(), **fields}


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_comes_back_as_it_was_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_unknown_fields_are_ignored(message: Message) -> None:
    assert read(changed(message, later={"a": 1})) == message


def test_candidate_without_ufrag_or_empty_is_read() -> None:
    message = read({**SIGNAL, "data": {"candidate": {"candidate": "", "sdpMid": "0"}}})
    assert isinstance(message, Signal)
    expected = {"candidate": "", "sdpMid": "0", "sdpMLineIndex": None, "usernameFragment": None}
    assert message.data == Candidate(expected)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (b"{}", "text frame"),
        ("", "must be JSON$"),
        ("{", "must be JSON$"),
        ("[]", "JSON object"),
        ("3", "JSON object"),
        ("{}", "type must be of type string"),
        ('{"type": "nonsense"}', "unknown type 'nonsense'"),
        ('{"type": ["hello"]}', "type must be of type string"),
        ('{"type": "ping", "t": NaN}', "must be JSON$"),
        ('{"type": "ping", "t": Infinity}', "must be JSON$"),
        ('{"type": "ping", "t": 1e999}', "must be JSON$"),
        ('{"type": "ping", "t": ' + "1" * 5000 + "}", "must be JSON$"),
        ("[" * 100_000, "must be JSON$"),
        ('{"type": "bye", "a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "nested deeper"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_message_is_refused(frame: str | bytes, complaint: str) -> None:
    with pytest.raises(BadMessage, match=complaint):
        decode(frame)


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_each_identifier_is_checked_for_its_characters(message: Message) -> None:
    names = {"room", "peer", "session", "instance", "from"} & message.to_json().keys()
    for name in names:
        with pytest.raises(BadMessage, match=f"^{name} must be 1 to 64 of A-Z a-z 0-9"):
            read(changed(message, **{name: "a/b"}))


def test_nesting_up_to_the_limit_is_read() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH - 2):  # the message and its data are levels, too
        value = [value]
    assert read({**SIGNAL, "data": {"custom": value}}) == Signal(1, Custom(value))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (changed(Hello("room"), room=None), "room must be of type string"),
        (changed(Hello("room"), room=""), "room must be 1 to 64 of"),
        (changed(Hello("room"), room="a/b"), "room must be 1 to 64 of"),
        (changed(Hello("room"), room="a" * 65), "room must be 1 to 64 of"),
        (changed(Hello("room"), room="room\n"), "room must be 1 to 64 of"),
        (changed(Hello("room"), protocol="1"), "protocol must be of type integer"),
        (changed(Hello("room"), protocol=True), "protocol must be of type integer"),
        (changed(Hello("room"), peer=5), "peer must be of type string"),
        (changed(Hello("room"), meta=[]), "meta must be of type object"),
        (changed(MESSAGES[2], session=1), "session must be of type string"),
        (changed(MESSAGES[2], key=None), "key must be of type string"),
        (changed(MESSAGES[2], peers={}), "peers must be of type array"),
        (changed(MESSAGES[2], peers=[1]), "peers must contain objects"),
        (changed(MESSAGES[2], peers=[{}]), "peer must be of type string"),
        (changed(MESSAGES[2], limits=1), "limits must be of type object"),
        ({**SIGNAL, "seq": None}, "seq must be of type integer"),
        ({**SIGNAL, "seq": 1.0}, "seq must be of type integer"),
        ({**SIGNAL, "seq": True}, "seq must be of type integer"),
        ({**SIGNAL, "seq": 0}, "seq must count from 1"),
        ({**SIGNAL, "seq": 2**53}, "seq must count from 1"),
        ({**SIGNAL, "to": 1}, "to must be of type string"),
        ({**SIGNAL, "from": {}}, "from must be of type string"),
        ({**SIGNAL, "instance": 1}, "instance must be of type string"),
        ({**SIGNAL, "data": None}, "data must be of type object"),
        ({**SIGNAL, "data": {}}, "data must have one of"),
        ({**SIGNAL, "data": {"custom": 1, "candidate": None}}, "data must have one of"),
        ({**SIGNAL, "data": {"description": None}}, "description must be of type object"),
        ({**SIGNAL, "data": {"description": {"type": "offer"}}}, "sdp must be of type string"),
        ({**SIGNAL, "data": {"description": {"type": "x", "sdp": ""}}}, "type must be one of"),
        ({**SIGNAL, "data": {"candidate": "candidate:1"}}, "candidate must be of type object"),
        ({**SIGNAL, "data": {"candidate": {"candidate": 1}}}, "candidate must be of type string"),
        ({**SIGNAL, "data": {"candidate": {"sdpMid": 0}}}, "sdpMid must be of type string"),
        (
            {**SIGNAL, "data": {"candidate": {"sdpMLineIndex": "0"}}},
            "sdpMLineIndex must be of type integer",
        ),
        (
            {**SIGNAL, "data": {"candidate": {"usernameFragment": 1}}},
            "usernameFragment must be of type string",
        ),
        (changed(MESSAGES[9], event="born"), "event must be one of away, back, joined, left"),
        (changed(MESSAGES[9], polite=None), "polite must be of type boolean"),
        (changed(MESSAGES[9], polite=1), "polite must be of type boolean"),
        (changed(MESSAGES[9], instance=None), "instance must be of type string"),
        (changed(Bye(), reason=1), "reason must be of type string"),
        (changed(Error("auth", ""), code=1), "code must be of type string"),
        (changed(Error("auth", ""), message=None), "message must be of type string"),
        (changed(Error("auth", ""), ref="1"), "ref must be of type integer"),
        (changed(Error("auth", ""), fatal="no"), "fatal must be of type boolean"),
        (changed(Ping(1), t="1"), "t must be of type number"),
        (changed(Pong(1), t=True), "t must be of type number"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_field_is_named(fields: object, complaint: str) -> None:
    with pytest.raises(BadMessage, match=complaint):
        read(fields)


def test_tells_which_message_was_bad() -> None:
    with pytest.raises(BadMessage) as caught:
        read({"type": "signal", "seq": 7, "data": 3})
    assert caught.value.ref == 7


@given(st.sampled_from(MESSAGES), st.data())
def test_any_value_in_any_field_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    fields = dict(message.to_json())
    name = data.draw(st.sampled_from(sorted(set(fields) | {"seq", "ref", "to"})))
    fields[name] = data.draw(ANYTHING)
    check_read_or_refused(json.dumps(fields))


@given(st.dictionaries(st.text(), ANYTHING), st.sampled_from(MESSAGES))
def test_any_fields_are_read_or_refused(fields: dict[str, Any], message: Message) -> None:
    check_read_or_refused(json.dumps({**fields, "type": message.to_json()["type"]}))


@given(st.text() | st.binary())
def test_anything_is_read_or_refused(frame: str | bytes) -> None:
    check_read_or_refused(frame)


def check_read_or_refused(frame: str | bytes) -> None:
    """Whatever is read can be sent on; whatever is refused is refused with BadMessage."""
    try:
        message = decode(frame)
    except BadMessage:
        return
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "data", [Custom({"a": '\u00e9"'}), Candidate(None), Description("offer", "v=0")]
)
def test_a_signal_is_told_as_it_would_be_encoded(data: Data) -> None:
    signal = Signal(0, data, sender="a.b", instance="0f")
    assert json.loads(relayed(data, "a.b", "0f")) == json.loads(encode(signal))


def test_nothing_that_is_not_json_is_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Signal(1, Custom(math.inf)))


HALVES = [r"\ud800", r"x\uDFFF", r"\udc00\ud800"]


@pytest.mark.parametrize("half", HALVES)
def test_half_of_a_character_is_refused_with_its_number(half: str) -> None:
    texts = [f'"{half}"', f'["{half}"]', f'{{"{half}":1}}']
    for text in texts:
        with pytest.raises(BadMessage, match="Unicode") as caught:
            decode_with_ack(f'{{"type":"signal","seq":7,"data":{{"custom":{text}}}}}')
        assert caught.value.ref == 7


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", "\U0001f600"])
def test_whole_characters_are_taken(text: str) -> None:
    frame = f'{{"type":"signal","seq":7,"data":{{"custom":"{text}"}}}}'
    assert decode_with_ack(frame) == (decode(frame), None)
