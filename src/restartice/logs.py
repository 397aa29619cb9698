"""A logger that puts the name of an object before each line."""

import itertools
import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["ObjectLogger", "next_number"]

NUMBERS: Final = itertools.count(1)


class ObjectLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that puts an object's name before each line.

    A line is formatted only if its level is logged.

    Args:
        logger: The logger of the module.
        name: The object, such as `RTCIceTransport(3/0)`: the first transport of the third
            connection of this process.
    """

    def __init__(self, logger: logging.Logger, name: str) -> None:
        super().__init__(logger, {})
        self.object_name = name

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Put the name before a message."""
        return f"{self.object_name} {msg}", kwargs

    @contextmanager
    def refusal(self, call: str) -> Iterator[None]:
        """Log the error of a call at DEBUG, and raise it."""
        try:
            yield
        except Exception as error:
            self.debug("%s is refused: %s: %s", call, type(error).__name__, error)
            raise


def next_number() -> int:
    """Return a new number for an object of this process."""
    return next(NUMBERS)
