"""How long something takes apart from the time that other programs have the processor."""

import os
import time
from pathlib import Path

__all__ = ["own_time"]

TASKS = Path("/proc/self/task")


def own_time() -> float:
    """Return the seconds of a clock that stands still while this process waits for a processor.

    It goes on while the process sleeps, or waits for a network. On systems that don't tell how long
    a process has waited, it goes on always.
    """
    return time.monotonic() - _waited()


def _waited() -> float:
    """Return how many seconds the main thread was ready to run, but something else ran."""
    try:
        spent = (TASKS / str(os.getpid()) / "schedstat").read_text()
    except FileNotFoundError:
        return 0.0
    _, nanoseconds, _ = spent.split()
    return int(nanoseconds) / 1e9
