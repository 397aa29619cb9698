"""Has the traffic on a path stopped for longer than it usually does?

Doubt is no judgment. It begins early, so that what is sent meanwhile can go by another path, too,
and ends when the path is heard again, or answers, or when the other one has proved itself while
this one has been silent for long enough.

Nothing here knows of clocks or sockets: the time is an argument.
"""

import math
from enum import Enum, auto
from typing import Final

__all__ = ["TICK", "Doubt", "Verdict"]

# How often somebody looks while there is traffic.
TICK: Final = 0.02
# How long a silence is, at least, before there is doubt, and at most; where traffic usually has
# longer gaps, its absence says little.
SHORTEST: Final = 0.06
LONGEST: Final = 1.0
# How many gaps there must have been before it is known what is usual, and for how long the longest
# one counts.
ENOUGH: Final = 10
# By which factor a gap differs from all before where one stream ends and another one begins.
OUTLIER: Final = 4
MEMORY: Final = 10.0
# For how long the path is asked before it may be left, and another one must have been heard alone.
ASKING: Final = 0.05
CONFIRMATION: Final = 0.04
ANSWER: Final = 0.03
# For how long doubt lasts at most, how often it may begin in short order, and how many seconds it
# takes to win one of these beginnings back. This limits what is sent twice.
DURATION: Final = 1.0
BEGINNINGS: Final = 3
RECOVERY: Final = 4.0


class Verdict(Enum):
    """What follows from a doubt by now."""

    WAIT = auto()
    SWITCH = auto()
    GIVE_UP = auto()


class Doubt:
    """The gaps in the traffic of a path, and the doubt that a long one raises.

    Attributes:
        since: Since when there is doubt, or None.
        heard_at: When the path was heard last.
    """

    def __init__(self, now: float) -> None:
        self.since: float | None = None
        self.heard_at = now
        self._usual = 0.0
        self._gaps = 0
        self._beginnings = float(BEGINNINGS)
        self._counted_at = now

    @property
    def flowing(self) -> bool:
        """Whether there is traffic that is worth a look each tick."""
        return self._gaps > 0 or self.since is not None

    @property
    def patience(self) -> float:
        """How long a silence may be before there is doubt; infinite where it would say nothing."""
        if self._gaps < ENOUGH:
            return math.inf
        patience = max(SHORTEST, 2 * self._usual + TICK)
        return patience if patience <= LONGEST else math.inf

    def hear(self, at: float) -> None:
        """Note that traffic came in on the path, at that time or a tick before."""
        gap = at - self.heard_at
        self.heard_at = at
        self.since = None
        beginning = self._gaps < ENOUGH
        if gap > LONGEST or (beginning and gap > OUTLIER * max(self._usual, TICK)):
            # One stream of packets has ended, and another one begins.
            self._gaps = 1
            return
        self._gaps += 1
        self._usual = max(gap, self._usual * math.exp(-gap / MEMORY))

    def look(self, now: float, late: float) -> bool:
        """Let the time be now; return whether doubt begins.

        Args:
            now: The time.
            late: For how long the program stood still since the last look, and heard nothing.
        """
        if late > 2 * TICK:
            self.heard_at = min(now, self.heard_at + late)
        silence = now - self.heard_at
        if self.since is None and silence > max(LONGEST, 2 * self._usual):
            self._gaps = 0
        if self.since is not None or silence < self.patience:
            return False
        return self.begin(now)

    def begin(self, now: float) -> bool:
        """Begin to doubt, unless that was done too often; return whether it begins."""
        won = (now - self._counted_at) / RECOVERY
        self._beginnings = min(float(BEGINNINGS), self._beginnings + won)
        self._counted_at = now
        if self.since is not None or self._beginnings < 1:
            # Somebody else will see if the path is lost. This is to be asked once for each silence.
            self._gaps = 0
            return False
        self._beginnings -= 1
        self.since = now
        return True

    def end(self) -> None:
        """Doubt no more, as the path has answered: it works, and the traffic has ended."""
        self.since = None
        self._gaps = 0

    def move(self, now: float) -> None:
        """Look at another path from now on, for the same traffic."""
        self.since = None
        self.heard_at = now
        self._gaps = 0

    def judge(self, now: float, proved_at: float | None, round_trip: float) -> Verdict:
        """Say what follows by now.

        Args:
            now: The time.
            proved_at: When another path has answered what it was asked since the doubt began.
            round_trip: How long an answer on the path in doubt takes, at most.
        """
        assert self.since is not None
        if proved_at is not None:
            unanswered = now >= self.since + ASKING + max(ANSWER, round_trip)
            alone = now >= proved_at + max(CONFIRMATION, min(self._usual, LONGEST))
            if unanswered and alone:
                return Verdict.SWITCH
        return Verdict.GIVE_UP if now >= self.since + DURATION + round_trip else Verdict.WAIT
