"""Logs of events with fields. Tokens, keys and SDP are never logged.

A client can't fill the disk: long fields are cut, and repeated lines are counted.
"""

import contextlib
import copy
import json
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from .log_writer import FIELDS, LogWriter

__all__ = ["JsonFormatter", "Repeats", "TextFormatter", "configure", "event"]

# The most characters of a field, which a client may have sent.
MAX_FIELD: Final = 200
# Within so many seconds, an event has at most so many lines, and no line twice.
WINDOW: Final = 10.0
MAX_LINES: Final = 200
MAX_KINDS: Final = 200


def event(logger: logging.Logger, level: int, name: str, **fields: Any) -> None:
    """Log an event with its fields; long ones are cut."""
    if logger.isEnabledFor(level):
        cut = {name: _cut(value) for name, value in fields.items()}
        logger.log(level, name, extra={FIELDS: cut})


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_FIELD:
        return f"{value[: MAX_FIELD - 1]}…"
    return value


@dataclass
class _Kind:
    """The lines of one event since a moment."""

    since: float
    lines: set[str] = field(default_factory=set)
    withheld: int = 0
    last: logging.LogRecord | None = None


class Repeats(logging.Handler):
    """Passes each line on once in ten seconds, and at most 200 lines of an event.

    After the ten seconds it passes on the last withheld line, with their number as `repeated`.

    Args:
        target: Writes the lines.
        clock: Returns seconds since an arbitrary moment.
    """

    def __init__(
        self, target: logging.Handler, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._target = target
        self._clock = clock
        # Oldest first.
        self._kinds: OrderedDict[tuple[str, int, str], _Kind] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it."""
        now = self._clock()
        self._end(lambda kind: now - kind.since >= WINDOW)
        name = (record.name, record.levelno, str(record.msg)[:MAX_FIELD])
        kind = self._kinds.setdefault(name, _Kind(now))
        line = f"{record.getMessage()} {getattr(record, FIELDS, {})}"
        if line in kind.lines or len(kind.lines) >= MAX_LINES:
            kind.withheld += 1
            kind.last = record
            return
        kind.lines.add(line)
        self._target.handle(record)
        if len(self._kinds) > MAX_KINDS:
            self._end(lambda _: len(self._kinds) > MAX_KINDS)

    def _end(self, is_over: Callable[[_Kind], bool]) -> None:
        while self._kinds and is_over(next(iter(self._kinds.values()))):
            _, kind = self._kinds.popitem(last=False)
            if kind.last is not None:
                record = copy.copy(kind.last)
                fields = getattr(record, FIELDS, {})
                setattr(record, FIELDS, {**fields, "repeated": kind.withheld})
                self._target.handle(record)

    def close(self) -> None:
        """Pass on the last withheld line of each event."""
        with self.lock or contextlib.nullcontext():
            self._end(lambda _: True)
        super().close()


class JsonFormatter(logging.Formatter):
    """Formats each record as a JSON object in a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class TextFormatter(logging.Formatter):
    """Formats each record as a line of text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = getattr(record, FIELDS, {})
        line = super().format(record)
        return " ".join([line, *(f"{name}={value!r}" for name, value in fields.items())])


def configure(level: str, style: str, *, threaded: bool = True) -> None:
    """Log to the standard error output.

    Args:
        level: A level of `logging`.
        style: `"json"` or `"text"`.
        threaded: Whether to write in a thread, so that a slow reader doesn't block the process.
    """
    handler = LogWriter(sys.stderr.fileno()) if threaded else logging.StreamHandler()
    text = TextFormatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[Repeats(handler)], force=True)
    # websockets logs each failed handshake at a lower level.
    logging.getLogger("websockets").setLevel(logging.ERROR)
