"""What a record keeps, for how long, and what it leaves out."""

import json
import math
from typing import Any

import pytest

from restartice.recording import dump
from restartice.recording.dump import Record, as_json, without_secrets

HEADER: dict[str, Any] = {"iceServers": []}


def record(points: int = 1000) -> Record:
    return Record("robot.py", 7, HEADER, points)


def written(recorded: Record) -> dict[str, Any]:
    return as_json(recorded.copy())


def series(recorded: Record, key: str) -> list[Any]:
    values: list[Any] = json.loads(written(recorded)["stats"][key]["values"])
    return values


def sample(recorded: Record, time: float, **values: Any) -> None:
    recorded.sample([("T-1", "transport", time, values)])


class Stopping(int):
    """A counter at which a signal ends the program."""

    def __sub__(self, _: object) -> int:
        raise SystemExit


def test_a_program_that_ends_in_the_middle_of_a_sample() -> None:
    recorded = record()
    sample(recorded, 1000, first=1, bytesSent=1)
    for identifier in ("T-1", "T-2"):
        # The values of the first attribute are there, but neither the others nor the time.
        report = [
            (identifier, "transport", time, {"first": 2, "bytesSent": Stopping(time)})
            for time in (2000, 3000)
        ]
        with pytest.raises(SystemExit):
            recorded.sample(report)
    assert series(recorded, "T-1-first") == [1]
    assert series(recorded, "T-1-timestamp") == [1000]
    assert series(recorded, "T-2-first") == [2]
    assert series(recorded, "T-2-timestamp") == [2000]


def test_a_program_that_ends_in_the_middle_of_the_first_sample() -> None:
    class Statistics(dict[str, Any]):
        def items(self) -> Any:
            raise SystemExit

    recorded = record()
    with pytest.raises(SystemExit):
        recorded.sample([("T-1", "transport", 1000, Statistics())])
    assert written(recorded)["stats"] == {}


def test_an_update_has_its_time_in_both_forms() -> None:
    recorded = record()
    recorded.update("createDataChannel", {"label": "x"}, 1795965157363.5)
    recorded.update("restartIce", None, 1795965157364)
    first, second = written(recorded)["updateLog"]
    assert first == {
        "time": "2026-11-29T15:12:37.363Z",
        "timestamp": 1795965157363.5,
        "type": "createDataChannel",
        "value": '{"label": "x"}',
    }
    assert second["value"] == ""


def test_the_updates_are_limited_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "UPDATES_SIZE", 5 * (dump.UPDATE_SIZE + 10))
    recorded = record()
    for number in range(1000):
        recorded.update("close", "x" * 5, number)
    assert [each["timestamp"] for each in written(recorded)["updateLog"]] == [
        995,
        *range(996, 1000),
    ]
    recorded.update("setRemoteDescription", "x" * 1000, 1000)
    assert written(recorded)["updateLog"] == []


def test_the_values_of_an_attribute_are_limited() -> None:
    recorded = record(points=3)
    for time in range(1, 6):
        sample(recorded, time, state=str(time))
    assert series(recorded, "T-1-state") == ["3", "4", "5"]
    assert series(recorded, "T-1-timestamp") == [3, 4, 5]


def test_the_entries_are_limited_and_the_one_seen_longest_ago_goes() -> None:
    recorded = record()
    sample(recorded, 1, state="new")
    for number in range(dump.ENTRIES - 1):
        recorded.sample([(f"pair{number}", "candidate-pair", 2, {"state": "frozen"})])
    sample(recorded, 3, state="connected")
    recorded.sample([("one-more", "candidate-pair", 4, {"state": "frozen"})])
    stats = written(recorded)["stats"]
    assert len([key for key in stats if key.endswith("-state")]) == dump.ENTRIES
    assert "pair0-state" not in stats
    assert series(recorded, "T-1-state") == ["new", "connected"]


def test_each_attribute_has_a_value_for_each_time() -> None:
    recorded = record()
    sample(recorded, 1, early=1)
    sample(recorded, 2, early=2, late="x")
    sample(recorded, 3, late="y")
    assert series(recorded, "T-1-early") == [1, 2, None]
    assert series(recorded, "T-1-late") == [None, "x", "y"]


def test_what_is_repeated_with_an_old_time_is_not_taken() -> None:
    recorded = record()
    for time in (5, 5, 4):
        sample(recorded, time, state="connected")
    assert series(recorded, "T-1-state") == ["connected"]


def test_true_and_one_are_different_values() -> None:
    recorded = record()
    for time, value in enumerate([1, True, 1.0, 1]):
        sample(recorded, time, value=value)
    assert json.dumps(series(recorded, "T-1-value")) == "[1, true, 1.0, 1]"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, object(), None])
def test_what_json_does_not_have_is_null(value: Any) -> None:
    recorded = record()
    sample(recorded, 1, value=value)
    assert series(recorded, "T-1-value") == [None]


def test_rates_are_of_the_time_between_two_values() -> None:
    recorded = record()
    for time, sent in ((1000, 0), (1500, 1000), (3500, 1000)):
        sample(recorded, time, bytesSent=sent, packetsSent=sent)
    assert series(recorded, "T-1-[bytesSent_in_bits/s]") == [None, 16000, 0]
    assert series(recorded, "T-1-[packetsSent/s]") == [None, 2000, 0]


@pytest.mark.parametrize(
    "line",
    [
        "a=ice-pwd:asd88fgpdd777uzjYhagZg",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "k=prompt",
        "A=ICE-PWD:asd88fgpdd777uzjYhagZg",
    ],
)
def test_secrets_are_replaced_and_nothing_else(line: str) -> None:
    secret = line.partition(":")[2] or line[2:]
    text = f"v=0\r\na=ice-ufrag:8hhY\r\n{line}\r\na=mid:0\r\n"
    shown = without_secrets(text)
    assert secret not in shown
    assert shown.splitlines()[:2] == ["v=0", "a=ice-ufrag:8hhY"]
    assert shown.endswith("\r\na=mid:0\r\n")
    assert len(shown.splitlines()) == 4


def test_a_message_that_quotes_a_secret_does_not_show_it() -> None:
    assert "asd88" not in without_secrets("line 7: invalid: 'a=ice-pwd:asd88'")
    assert "asd88" not in without_secrets(repr("v=0\r\na=ice-pwd:asd88\r\n"))


def test_updates_without_details_are_limited_too() -> None:
    recorded = record()
    for number in range(50_000):
        recorded.update("restartIce", None, number)
    assert len(recorded.copy()["updates"]) < 30_000
