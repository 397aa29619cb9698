"""Reading the fields of JSON objects that somebody else made."""

from typing import Any

import pytest

from restartice_signaling import BadMessage
from restartice_signaling.protocol.fields import (
    MAX_DEPTH,
    identifier,
    load,
    non_negative,
    number,
    one_of,
    sequence_number,
    take,
)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 500])
@pytest.mark.parametrize("ends", ["[]", "{}"])
def test_depth_is_bounded(depth: int, ends: str) -> None:
    opening = "[" if ends == "[]" else '{"a":'
    text = '{"a":' + opening * (depth - 2) + ends + ends[1] * (depth - 2) + "}"
    if depth < 2:
        text = "{}"
    if depth <= MAX_DEPTH:
        assert isinstance(load(text), dict)
    else:
        with pytest.raises(BadMessage, match="deeper"):
            load(text)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert load('{"a":[' + "[]," * 1000 + "[]]}") == {"a": [[]] * 1001}


@pytest.mark.parametrize("value", ["", "a b", "ä", "a" * 65, "a\n", "*"])
def test_identifiers_are_short_and_plain(value: str) -> None:
    assert identifier({"a": "A.b_c~1-" + "x" * 50}, "a") == "A.b_c~1-" + "x" * 50
    with pytest.raises(BadMessage, match="a must be 1 to 64"):
        identifier({"a": value}, "a")


@pytest.mark.parametrize("value", [1, [], {}, True, None])
def test_identifiers_are_strings(value: Any) -> None:
    with pytest.raises(BadMessage, match="a must be of type string"):
        identifier({"a": value}, "a")
    assert identifier({"a": None}, "a", None) is None


@pytest.mark.parametrize(
    ("kind", "value"), [(int, True), (int, 1.0), (str, 1), (bool, 1), (dict, []), (list, {})]
)
def test_a_wrong_type_is_refused(kind: type, value: Any) -> None:
    with pytest.raises(BadMessage, match="a must be of type"):
        take({"a": value}, "a", kind)
    with pytest.raises(BadMessage, match="a must be of type"):
        take({}, "a", kind)
    assert take({}, "a", kind, "default") == "default"


def test_numbers_are_within_what_browsers_hold() -> None:
    assert sequence_number({"seq": 2**53 - 1}) == 2**53 - 1
    assert non_negative({"a": 0}, "a") == 0
    assert number({"a": 1.5}, "a") == 1.5
    for bad in (0, -1, 2**53):
        with pytest.raises(BadMessage, match="seq must count from 1"):
            sequence_number({"seq": bad})
    for bad in (-1, 2**53):
        with pytest.raises(BadMessage, match="negative or too large"):
            non_negative({"a": bad}, "a")
    for value in (True, "1", None):
        with pytest.raises(BadMessage, match="of type number"):
            number({"a": value}, "a")


def test_words_are_those_allowed() -> None:
    assert one_of({"a": "x"}, "a", frozenset("xy")) == "x"
    with pytest.raises(BadMessage, match="a must be one of x, y"):
        one_of({"a": "z"}, "a", frozenset("xy"))


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**400])
def test_numbers_that_no_browser_has_are_refused(value: int) -> None:
    for read in (number, non_negative):
        with pytest.raises(BadMessage, match="n must not be"):
            read({"n": value}, "n")
