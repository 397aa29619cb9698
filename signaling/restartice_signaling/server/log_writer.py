"""Writes the log in a thread, so that a slow reader or a full disk doesn't block the server."""

import contextlib
import logging
import os
import queue
import threading
from typing import Final

__all__ = ["FIELDS", "LogWriter"]

# The attribute of a record that has the fields of an event.
FIELDS: Final = "signaling_fields"
# The most lines that wait to be written.
MAX_WAITING: Final = 1_000
# How long close() waits for the last lines, in seconds.
PATIENCE: Final = 0.5


class LogWriter(logging.Handler):
    """Writes lines in a thread. If too many wait, it drops new ones and counts them.

    Args:
        descriptor: The descriptor of the file to write to; it stays open.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        # A daemon, so that it doesn't keep the program from ending.
        threading.Thread(target=self._run, name="log", daemon=True).start()
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it if the queue is full."""
        if self._dropped and self._put(self._tell_dropped()):
            self._dropped = 0
        if not self._put(record):
            self._dropped += 1

    def _tell_dropped(self) -> logging.LogRecord:
        fields = {FIELDS: {"dropped": self._dropped}}
        level = {"levelno": logging.WARNING, "levelname": "WARNING"}
        return logging.makeLogRecord({"msg": "lines dropped", **level, **fields})

    def _put(self, record: logging.LogRecord) -> bool:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            # An error of the log can't be logged.
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(self._descriptor, line) :]
        self._ended.set()

    def close(self) -> None:
        """Write the waiting lines, for half a second at most."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._ended.wait(PATIENCE)
        super().close()
