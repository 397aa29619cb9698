"""How much processor time something takes that doesn't wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 3


def processor_time(function: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds a call takes, the shortest of a few, and what it returns.

    Other processes don't count, but what the host of a virtual machine takes away does.
    """
    times = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        result = function()
        times.append(time.thread_time() - begun)
    return min(times), result
