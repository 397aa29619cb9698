"""Notices when the traffic on a path pauses for longer than usual.

Doubt isn't a verdict. It begins early, so that packets can be sent on a second path, too. It ends
when the path delivers a packet or an answer, or when the second path has proved itself and this one
has been silent for long enough.

This module uses neither clocks nor sockets: the time is an argument.
"""

import math
from enum import Enum, auto
from typing import Final

__all__ = ["DURATION", "TICK", "Doubt", "Verdict"]

# How often to look while there is traffic, in seconds.
TICK: Final = 0.02
# The shortest and the longest silence before doubt begins, in seconds. Where the traffic usually
# has longer gaps, silence says little.
SHORTEST: Final = 0.06
LONGEST: Final = 1.0
# How many gaps it takes to know what is usual.
ENOUGH: Final = 10
# A gap this many times longer than usual ends one stream of packets and begins another.
OUTLIER: Final = 4
# How fast the longest gap is forgotten: the time constant of its decay, in seconds.
MEMORY: Final = 10.0
# How long the path must leave probes unanswered before it may be left, in seconds; how long the
# other path must have been the only one to answer; and the shortest time to wait for an answer.
ASKING: Final = 0.05
CONFIRMATION: Final = 0.04
ANSWER: Final = 0.03
# How long doubt lasts at most, in seconds; how often it may begin in a row; and how many seconds
# restore one of these beginnings. This limits how much is sent twice.
DURATION: Final = 1.0
BEGINNINGS: Final = 3
RECOVERY: Final = 4.0


class Verdict(Enum):
    """The action that follows a doubt."""

    WAIT = auto()
    SWITCH = auto()
    GIVE_UP = auto()


class Doubt:
    """Measures the gaps in a path's traffic, and doubts the path after a long one.

    Attributes:
        since: When the doubt began, or None.
        heard_at: When the last packet came in on the path.
    """

    def __init__(self, now: float) -> None:
        self.since: float | None = None
        self.heard_at = now
        self._usual = 0.0
        self._gaps = 0
        self._beginnings = float(BEGINNINGS)
        self._counted_at = now
        self._silent_until = now

    @property
    def flowing(self) -> bool:
        """Whether there is enough traffic to look at each tick; one packet isn't."""
        return self._gaps > 1 or self.since is not None

    @property
    def patience(self) -> float:
        """The seconds of silence before doubt begins; infinite where silence says nothing."""
        if self._gaps < ENOUGH:
            return math.inf
        patience = max(SHORTEST, 2 * self._usual + TICK)
        return patience if patience <= LONGEST else math.inf

    def hear(self, at: float, missed: float = 0.0) -> None:
        """Note that traffic came in on the path, at this time or up to a tick before.

        Args:
            at: The time.
            missed: How long the program was too busy to look, since traffic came in before.
        """
        gap = max(0.0, at - self.heard_at - missed)
        self.heard_at = at
        self.since = None
        beginning = self._gaps < ENOUGH
        if gap > LONGEST or (beginning and gap > OUTLIER * max(self._usual, TICK)):
            # One stream of packets has ended, and another one begins.
            self._gaps = 1
            return
        self._gaps += 1
        self._usual = max(gap, self._usual * math.exp(-gap / MEMORY))

    def look(self, now: float) -> bool:
        """Return whether doubt begins now."""
        silence = now - self.heard_at
        if self.since is None and silence > max(LONGEST, 2 * self._usual):
            self._gaps = 0
        early = silence < self.patience or now < self._silent_until
        if self.since is not None or early:
            return False
        return self.begin(now)

    def begin(self, now: float, *, reserve: int = 0) -> bool:
        """Begin to doubt, unless that happened too often; return whether doubt begins.

        Args:
            now: The time.
            reserve: How many beginnings to leave for better reasons.
        """
        won = (now - self._counted_at) / RECOVERY
        self._beginnings = min(float(BEGINNINGS), self._beginnings + won)
        self._counted_at = now
        if self.since is not None or self._beginnings < 1 + reserve:
            return False
        self._beginnings -= 1
        self.since = now
        return True

    def end(self) -> None:
        """End the doubt: the path has answered, so it works and the traffic has ended."""
        self.since = None
        self._gaps = 0

    def move(self, now: float, traffic_in: float | None = None) -> None:
        """Watch another path from now on, for the same traffic.

        Args:
            now: The time.
            traffic_in: How soon to expect the traffic on the other path, in seconds; None if the
                traffic had stopped.
        """
        if self.since is not None:
            # The doubt was justified, so it doesn't count against the next one.
            self._beginnings = min(float(BEGINNINGS), self._beginnings + 1)
        self.since = None
        self.heard_at = now
        if traffic_in is None:
            self._gaps = 0
        else:
            self._silent_until = now + traffic_in

    def judge(self, now: float, proved_at: float | None, round_trip: float) -> Verdict:
        """Decide what to do now.

        Args:
            now: The time.
            proved_at: When another path answered a probe sent since the doubt began, or None.
            round_trip: The longest time to expect until an answer on the path in doubt.
        """
        assert self.since is not None
        if proved_at is not None:
            unanswered = now >= self.since + ASKING + max(ANSWER, round_trip)
            alone = now >= proved_at + max(CONFIRMATION, min(self._usual, LONGEST))
            if unanswered and alone:
                return Verdict.SWITCH
        return Verdict.GIVE_UP if now >= self.since + DURATION + round_trip else Verdict.WAIT
