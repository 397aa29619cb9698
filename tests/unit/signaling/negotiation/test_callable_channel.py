"""What messages of a CallableChannel mean, also malformed ones."""

from typing import Any

import pytest

from restartice_signaling import (
    BadMessage,
    CandidateReceived,
    CustomReceived,
    DescriptionReceived,
    Refused,
)
from restartice_signaling.negotiation.callable_channel import read_message

DEEP = 100_000
WRONG: list[Any] = [
    "hello",
    b"\xff",
    "[" * DEEP,
    '{"description":' * DEEP,
    {"description": {"type": "offer", "sdp": 1}},
    {"type": ["offer"], "sdp": ""},
    {"type": "hello", "sdp": ""},
    {"candidate": 1},
    {"candidate": [1]},
    {"candidate": {"candidate": [1]}},
    {"candidate": "hello"},
]


@pytest.mark.parametrize("message", WRONG, ids=lambda message: repr(message)[:40])
def test_what_is_malformed_is_refused(message: Any) -> None:
    event = read_message(message)
    assert isinstance(event, Refused)
    assert isinstance(event.error, BadMessage)


def test_frames_are_taken_off_once() -> None:
    offer = {"type": "offer", "sdp": "v=0\r\n"}
    for message in (offer, {"description": offer}):
        assert isinstance(read_message(message), DescriptionReceived)
    assert isinstance(read_message({"description": {"description": offer}}), CustomReceived)
    endless: dict[str, Any] = {}
    endless["description"] = endless
    assert isinstance(read_message(endless), CustomReceived)
    assert read_message({"candidate": None}) == CandidateReceived("", None)
