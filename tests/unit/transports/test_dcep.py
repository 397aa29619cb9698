"""Messages that open data channels."""

from struct import pack

import pytest
from hypothesis import given, strategies

from restartice.transports import dcep


def opening(label: int, protocol: int, names: bytes, kind: int = 0) -> bytes:
    return pack("!BBHLHH", dcep.OPEN, kind, 0, 0, label, protocol) + names


@given(strategies.text(max_size=40), strategies.text(max_size=40))
def test_names_are_measured_in_bytes(label: str, protocol: str) -> None:
    names = label.encode(), protocol.encode()
    message = opening(len(names[0]), len(names[1]), b"".join(names))
    assert dcep.write_open(opening(99, 99, b"?"), label, protocol) == message
    assert dcep.read_open(message) == message


def test_characters_are_understood_that_were_counted_instead_of_bytes() -> None:
    text = "über", "naïv"
    names = "".join(text).encode()
    message = dcep.read_open(opening(4, 4, names))
    assert message == opening(5, 5, names)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (opening(0, 0, b"")[:11], "at least 12 bytes, got 11"),
        (opening(9, 0, b"chat"), "names of 9 and 0 bytes, got 4"),
        (opening(1, 1, b"chat"), "names of 1 and 1 bytes, got 4"),
        (opening(4, 0, b"chat", kind=0x77), "expected a channel type of .*, got 119"),
    ],
)
def test_what_is_malformed_is_a_value_error(message: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        dcep.read_open(message)


def test_a_name_that_is_too_long_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="65535"):
        dcep.write_open(bytes(12), "ä" * 40000, "")
