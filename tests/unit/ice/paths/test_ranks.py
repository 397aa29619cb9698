"""How networks are ranked, by patterns or by a function."""

from typing import Any

import pytest

from restartice.ice.paths.ranks import rank

PATTERNS = ["eth*", "wlan[01]", "wwan*"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("eth0", 0), ("eth12", 0), ("wlan1", 1), ("wwan0", 2), ("wlan2", 3), ("", 3), ("Eth0", 3)],
)
def test_the_first_pattern_that_fits(name: str, expected: int) -> None:
    assert rank(PATTERNS, name, "192.0.2.1") == expected


def test_a_function_is_given_name_and_address() -> None:
    ranks = {("tun0", "192.0.2.1"): 7.5}
    assert rank(lambda name, address: ranks[name, address], "tun0", "192.0.2.1") == 7.5


@pytest.mark.parametrize("value", [None, "1", float("nan"), [1]])
def test_a_function_must_return_a_number(value: Any) -> None:
    with pytest.raises(TypeError, match="prefer must return a number"):
        rank(lambda _name, _address: value, "eth0", "192.0.2.1")
