"""Logs: what clients say is cut and escaped, and what comes again and again is counted."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from restartice_signaling.server.logs import MAX_LINES, JsonFormatter, Repeats, TextFormatter, event


class Log:
    """A logger that writes to memory, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        target = logging.StreamHandler(self._stream)
        target.setFormatter(JsonFormatter())
        self.handler = Repeats(target, lambda: self.now)
        self.logger = logging.getLogger("test_logs")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)

    def tell(self, name: str, **fields: object) -> None:
        event(self.logger, logging.INFO, name, **fields)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.logger.removeHandler(made.handler)


def test_what_is_long_is_cut(log: Log) -> None:
    log.tell("left", reason="x" * 65_000, room="room")
    assert log.lines[0]["room"] == "room"
    assert log.lines[0]["reason"] == "x" * 199 + "…"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter("%(message)s")])
def test_what_clients_say_makes_no_lines_of_its_own(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("n", logging.INFO, "", 0, "left", None, None)
    record.signaling_fields = {"reason": "a\nb\r\x1b[2J\x00\u2028"}
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_the_same_line_is_written_once_and_counted(log: Log) -> None:
    for _ in range(500):
        log.tell("refused", code="auth")
    log.tell("refused", code="room-full")
    assert [line["code"] for line in log.lines] == ["auth", "room-full"]
    log.now = 10.0
    log.tell("joined")
    assert [(line["event"], line.get("repeated")) for line in log.lines[2:]] == [
        ("refused", 499),
        ("joined", None),
    ]
    # From then on it is news again.
    log.tell("refused", code="auth")
    assert log.lines[-1].get("repeated") is None


def test_lines_that_differ_are_bounded_too(log: Log) -> None:
    for number in range(10_000):
        log.tell("left", reason=f"number {number}")
    log.tell("joined")
    assert [line["event"] for line in log.lines] == ["left"] * MAX_LINES + ["joined"]
    log.handler.close()
    assert (log.lines[-1]["repeated"], log.lines[-1]["reason"]) == (9_800, "number 9999")


def test_any_number_of_events_takes_no_memory(log: Log) -> None:
    for number in range(1_000):
        log.tell(f"event {number}")
    assert len(log.lines) == 1_000
    assert len(log.handler._kinds) <= 201
