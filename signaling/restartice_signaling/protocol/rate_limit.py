"""Rate limits, with the time as an argument."""

from typing import Final

__all__ = ["LENIENCE", "RateLimit", "Throttle"]

# The rate that is enforced, divided by the rate that clients should keep.
LENIENCE: Final = 2.0
# The most that a message of a sender that is too fast counts; each second adds one.
MOST_COST: Final = 4.0


class RateLimit:
    """A token bucket.

    Args:
        rate: The number per second, in the long run.
        burst: The number at once, after a pause.
        lowest: The largest debt that is remembered, as a negative number; None for any.
    """

    def __init__(self, rate: float, burst: float, lowest: float | None = None) -> None:
        self._rate = rate
        self._burst = burst
        self._lowest = lowest
        self._level = burst
        self._updated: float | None = None

    def level(self, now: float) -> float:
        """Return how many may come at once; a negative number if too many have come."""
        if self._updated is not None:
            self._level = min(self._burst, self._level + (now - self._updated) * self._rate)
        self._updated = now
        return self._level

    def take(self, now: float, cost: float = 1.0) -> float:
        """Count one; return how many seconds to wait before it is due. 0 means now."""
        self._level = self.level(now) - cost
        if self._lowest is not None:
            self._level = max(self._level, self._lowest)
        return max(0.0, -self._level / self._rate)

    @property
    def is_rested(self) -> bool:
        """Whether the newest one came after a pause that is long enough for a whole burst."""
        return self._level >= self._burst - 1


class Throttle:
    """Delays a sender that is too fast, more and more, until patience ends.

    Args:
        limit: The rate that isn't delayed.
        patience: How many seconds a sender may be too fast without a pause.
    """

    def __init__(self, limit: RateLimit, patience: float) -> None:
        self._limit = limit
        self._patience = patience
        self._late_since: float | None = None
        self._now = 0.0

    def take(self, now: float) -> float:
        """Count one; return how many seconds to wait before it is due. 0 means now."""
        self._now = now
        delay = self._limit.take(now)
        # A delay of 0 alone is no pause: this machine may have been busy for a moment.
        if self._limit.is_rested:
            self._late_since = None
        elif self.is_late:
            delay = self._limit.take(now, min(MOST_COST - 1, self._lateness))
        if delay and self._late_since is None:
            self._late_since = now
        return delay

    @property
    def _lateness(self) -> float:
        return 0.0 if self._late_since is None else self._now - self._late_since

    @property
    def is_late(self) -> bool:
        """Whether the sender was too fast, and hasn't paused since."""
        return self._late_since is not None

    @property
    def is_exhausted(self) -> bool:
        """Whether patience has ended."""
        return self._lateness > self._patience
