"""Settings that are numbers."""

import math
from typing import Any

import pytest

from restartice_signaling import BackendLimits, Heartbeat, Limits, ServerSettings, TurnSettings
from restartice_signaling.protocol.setting import Setting, meanings, numbers_of


@pytest.mark.parametrize(
    ("cls", "name", "value", "complaint"),
    [
        (Limits, "burst", 0, "burst must be a positive integer (messages), not 0"),
        (Limits, "burst", 1.0, "burst must be a positive integer (messages), not 1.0"),
        (Limits, "burst", True, "burst must be a positive integer (messages), not True"),
        (Limits, "rate", math.inf, "rate must be a positive number (messages/s), not inf"),
        (BackendLimits, "max_peers", "8", "max_peers must be a positive integer (peers), not '8'"),
        (Heartbeat, "timeout", -1, "timeout must be a positive number (s), not -1"),
        (Heartbeat, "interval", math.nan, "interval must be a positive number (s), not nan"),
        (ServerSettings, "newcomers", 0, "newcomers must be a positive number (connections/s)"),
        (ServerSettings, "reconnect_in", (2, 1), "reconnect_in must be two numbers from 0 on"),
        (ServerSettings, "reconnect_in", (-1, 1), "reconnect_in must be two numbers from 0 on"),
        (ServerSettings, "reconnect_in", (1, 2, 3), "reconnect_in must be two numbers from 0 on"),
        (ServerSettings, "reconnect_in", 1, "reconnect_in must be two numbers from 0 on"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    cls: type[Any], name: str, value: object, complaint: str
) -> None:
    with pytest.raises(ValueError, match=r"must be") as caught:
        cls(**{name: value})
    assert str(caught.value).startswith(complaint)


def test_credentials_of_turn_servers_have_a_lifetime() -> None:
    with pytest.raises(ValueError, match=r"lifetime must be a positive number \(s\), not 0$"):
        TurnSettings(("stun:s",), "", lifetime=0)


def test_times_may_be_whole_numbers_and_ranges_empty() -> None:
    made = ServerSettings(hello_timeout=1, reconnect_in=(0, 0), heartbeat=Heartbeat(1, 2))
    assert (made.hello_timeout, made.reconnect_in) == (1, (0, 0))


def test_a_number_is_read_with_its_unit_and_its_meaning() -> None:
    assert list(numbers_of(Heartbeat)) == [
        Setting("interval", float, "s", 10.0),
        Setting("timeout", float, "s", 25.0),
    ]
    assert meanings(Heartbeat)["interval"] == "The time from one `ping` to the next."
    assert {number.name for number in numbers_of(ServerSettings)} <= meanings(ServerSettings).keys()


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1,2", "inf"])
def test_text_that_is_no_number_is_not_read(text: str) -> None:
    for number in numbers_of(Limits):
        with pytest.raises(ValueError, match=rf"must be a positive .*, not '{text}'$"):
            number.read(text)
