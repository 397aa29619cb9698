"""IceSettings refuses what makes no sense."""

from typing import Any

import pytest

from restartice import IceSettings


@pytest.mark.parametrize("name", ["check_timeout", "drain_time", "drain_silence"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", None, True])
def test_times_are_positive_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        IceSettings(**{name: value})


def test_loopback_candidates_is_a_bool() -> None:
    with pytest.raises(TypeError, match="loopback_candidates"):
        IceSettings(loopback_candidates=1)  # type: ignore[arg-type]


def test_defaults_are_fine() -> None:
    assert IceSettings() == IceSettings(check_timeout=15)
