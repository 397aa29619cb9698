"""IceSettings refuses what makes no sense."""

from dataclasses import fields
from typing import Any

import pytest

from restartice import IceSettings
from restartice.settings import CHECKS


def settings_of(kind: Any) -> list[str]:
    """Return the names of the settings of a type, of which there is at least one."""
    names = [field.name for field in fields(IceSettings) if field.type == kind]
    assert names
    return names


@pytest.mark.parametrize("field", fields(IceSettings), ids=lambda field: field.name)
def test_each_setting_is_checked(field: Any) -> None:
    assert field.type in CHECKS
    wrong: Any = object()
    with pytest.raises((TypeError, ValueError), match=f"^{field.name} must be "):
        IceSettings(**{field.name: wrong})


@pytest.mark.parametrize("name", settings_of(float))
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", None, True])
def test_times_are_positive_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        IceSettings(**{name: value})


@pytest.mark.parametrize("name", settings_of(float | None))
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True])
def test_optional_times_may_be_none(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        IceSettings(**{name: value})
    nothing: Any = None
    assert getattr(IceSettings(**{name: nothing}), name) is None


@pytest.mark.parametrize("name", sorted({*settings_of(int)} - {"spares"}))
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, True])
def test_counts_are_positive_integers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        IceSettings(**{name: value})


@pytest.mark.parametrize("value", [-1, 1.5, "2", None, True])
def test_spares_may_be_none(value: Any) -> None:
    assert IceSettings(spares=0).spares == 0
    with pytest.raises(ValueError, match="spares"):
        IceSettings(spares=value)


@pytest.mark.parametrize("name", settings_of(bool))
def test_switches_are_bools(name: str) -> None:
    one: Any = 1
    with pytest.raises(TypeError, match=name):
        IceSettings(**{name: one})


@pytest.mark.parametrize("value", [(0, 5), (6, 5), (1, 65536), (-1, 1)])
def test_ports_are_in_order_and_in_range(value: Any) -> None:
    with pytest.raises(ValueError, match="port_range"):
        IceSettings(port_range=value)


@pytest.mark.parametrize("value", [5, (1,), (1, 2, 3), [1, 2], ("1", "2"), (1.0, 2.0), (True, 2)])
def test_ports_are_two_integers(value: Any) -> None:
    with pytest.raises(TypeError, match="port_range"):
        IceSettings(port_range=value)


@pytest.mark.parametrize("value", ["eth0", 5, [5], {"eth0": 1, 2: 3}])
def test_interfaces_are_names_or_a_function(value: Any) -> None:
    with pytest.raises(TypeError, match="interfaces"):
        IceSettings(interfaces=value)


@pytest.mark.parametrize("value", ["eth*", b"eth", 5, [5], {"eth*"}, {"eth*": 1}])
def test_a_preference_is_patterns_in_order_or_a_function(value: Any) -> None:
    with pytest.raises(TypeError, match="prefer must be a sequence of patterns, a function or"):
        IceSettings(prefer=value)


def test_defaults_are_fine() -> None:
    assert IceSettings() == IceSettings(check_timeout=15)
