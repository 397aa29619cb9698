"""What a series of measured values comes to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Self

__all__ = ["Summary", "percentile", "ratio", "silence"]

# In seconds; messages are sent much more often.
RECENT: Final = 0.3


@dataclass(frozen=True)
class Summary:
    """A series in brief.

    Attributes:
        count: How many values there are, over all rounds.
        median: The median of all values.
        p95: The value that 95 % of all values don't exceed.
        best: The lowest of the medians of the rounds. On a machine that does other things, too,
            it comes closest to what the program itself takes.
    """

    count: int
    median: float
    p95: float
    best: float

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Self:
        """Summarize the values of one or more rounds; empty rounds count for nothing.

        Raises:
            ValueError: There is no value, or one isn't finite.
        """
        measured = [values for values in rounds if values]
        values = [value for values in measured for value in values]
        if not values:
            raise ValueError("no value was measured")
        if not all(map(math.isfinite, values)):
            raise ValueError("a measured value isn't finite")
        best = min(median(values) for values in measured)
        return cls(len(values), median(values), percentile(values, 95), best)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the lowest of the values that so many percent of them don't exceed.

    Raises:
        ValueError: There are no values, or the percentage isn't within 0 and 100.
    """
    if not values:
        raise ValueError("no value was measured")
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentage is within 0 and 100, unlike {percent}")
    place = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(0, place - 1)]


def ratio(ours: Summary | None, theirs: Summary | None) -> float | None:
    """Return the ratio of two medians, or None if one wasn't measured or the other is zero."""
    if ours is None or theirs is None or theirs.median == 0:
        return None
    return ours.median / theirs.median


def silence(arrivals: Sequence[float], lost: float, now: float) -> float | None:
    """Return the longest time without an arrival since a path was lost.

    Args:
        arrivals: The times of all arrivals, in order.
        lost: When the path was lost.
        now: When the arrivals were looked at.

    Returns:
        None if it lasts: there is no recent arrival.
    """
    if not arrivals or now - arrivals[-1] > RECENT:
        return None
    before = [at for at in arrivals if at <= lost][-1:]
    times = [*before, *(at for at in arrivals if at > lost)]
    return max((b - a for a, b in pairwise(times)), default=0.0)
