"""Writes logs and holds nobody up: whoever reads them may stand still, or a disk be full."""

import contextlib
import logging
import os
import queue
import threading
from typing import Final

__all__ = ["FIELDS", "LogWriter"]

# The name under which a record has the fields of an event.
FIELDS: Final = "signaling_fields"
# How many lines wait for whoever reads them.
MAX_WAITING: Final = 1_000
# For how many seconds the end waits until the last lines are written.
PATIENCE: Final = 0.5


class LogWriter(logging.Handler):
    """Writes lines in a thread of its own; lines too many are dropped, and counted.

    Args:
        descriptor: The file that it writes to, which stays open.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        # The end of the program doesn't wait for it.
        threading.Thread(target=self._run, name="log", daemon=True).start()
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Let a line wait until it is written, or drop it."""
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
            # Nobody can be told.
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(self._descriptor, line) :]
        self._ended.set()

    def close(self) -> None:
        """Write what waits, unless that takes long."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._ended.wait(PATIENCE)
        super().close()
