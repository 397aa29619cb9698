"""Logs that programs can read: an event, and fields. Tokens, keys and SDP are never logged."""

import json
import logging
import sys
from typing import Any, Final

__all__ = ["JsonFormatter", "TextFormatter", "configure", "event"]

FIELDS: Final = "signaling_fields"


def event(logger: logging.Logger, level: int, name: str, **fields: Any) -> None:
    """Log an event with its fields."""
    logger.log(level, name, extra={FIELDS: fields})


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

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
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = getattr(record, FIELDS, {})
        line = super().format(record)
        return " ".join([line, *(f"{name}={value!r}" for name, value in fields.items())])


def configure(level: str, style: str) -> None:
    """Log to the standard error output.

    Args:
        level: A level of `logging`.
        style: `"json"` or `"text"`.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # It tells of every connection that isn't one.
    logging.getLogger("websockets").setLevel(logging.ERROR)
