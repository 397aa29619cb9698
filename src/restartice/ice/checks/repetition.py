"""When to repeat an unanswered connectivity check."""

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

__all__ = ["LOOKS", "Repetitions"]

# How often to look which checks are due, in seconds.
LOOKS: Final = 0.05
# The first pauses, in seconds. A lost check costs only that much; with the RFC's timers it costs
# half a second. Browsers check a pair each 50 ms until it answers. (RFC 8445 section 14.3)
EARLY: Final = (0.05, 0.1, 0.2)
# How many checks are repeated at one look: an average pause of 5 ms, as between first checks. (RFC
# 8445 section 14.2)
MOST: Final = 10

P = TypeVar("P")


class Repetitions(Generic[P]):
    """Chooses the pairs to check again: soon at first, and then at a steady pace.

    aioice doubles the pause each time, so a path that heals between two checks may be found many
    seconds late.

    Args:
        interval: The pause after the first ones, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        # How often each check was repeated, and when it is due again.
        self._waiting: dict[P, tuple[int, float]] = {}

    def due(self, unanswered: Iterable[P], now: float) -> list[P]:
        """Return the pairs whose checks are due, and count these as repeated.

        Args:
            unanswered: All pairs whose checks are in progress, the most important ones first.
            now: The time in seconds, of any clock.
        """
        self._waiting = {
            pair: self._waiting.get(pair, (0, now + self._pause(0))) for pair in unanswered
        }
        due = [pair for pair, (_, at) in self._waiting.items() if now >= at]
        # The least repeated ones first, so that each gets its turn.
        due = sorted(due, key=lambda pair: self._waiting[pair][0])[:MOST]
        for pair in due:
            count = self._waiting[pair][0] + 1
            self._waiting[pair] = count, now + self._pause(count)
        return due

    def _pause(self, count: int) -> float:
        return min(EARLY[count], self._interval) if count < len(EARLY) else self._interval
