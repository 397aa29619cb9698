"""Limits on rates, and the pauses between attempts, with time and chance passed in."""

from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["LENIENCE", "RateLimit", "pauses"]

# What is enforced of the rate that clients are told.
LENIENCE: Final = 2.0


class RateLimit:
    """So many a second, and some more at once after a pause.

    Args:
        rate: How many a second, in the long run.
        burst: How many at once.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._updated: float | None = None

    def take(self, now: float) -> float:
        """Take one; return how many seconds to wait before it is due. 0 means now."""
        if self._updated is not None:
            self._level = min(self._burst, self._level + (now - self._updated) * self._rate)
        self._updated = now
        self._level -= 1
        return max(0.0, -self._level / self._rate)

    @property
    def is_rested(self) -> bool:
        """Whether the newest one came after a pause long enough for a whole burst."""
        return self._level >= self._burst - 1


def pauses(chance: Callable[[], float]) -> Iterator[float]:
    """Yield the pauses before attempts to reconnect: at once, then up to 0.3, 1.2, 2.7, 4.8, 7 s.

    Args:
        chance: A number between 0 and 1, new at each call, so that clients which lost the same
            server don't come back in step.
    """
    attempt = 0
    while True:
        yield chance() * min(7.0, 0.3 * attempt**2)
        attempt += 1
