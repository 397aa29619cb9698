"""How many replicas of Redis must have confirmed a step before anybody is told of it."""

import time
from collections.abc import Callable
from typing import Final

__all__ = ["Confirmations"]

# A primary that hung may go on after another one was made in its place, and some replicas still
# follow it until Sentinels tell them and it. This takes them a second or two.
GRACE: Final = 10.0


class Confirmations:
    """Counts the replicas that follow the primary; all of them must confirm.

    One may be the next primary: it must have what clients were told. A replica that is silent may
    be the next primary already: nothing counts as done without it for ten seconds, in which
    Sentinels reach the old primary or its other replicas.

    Args:
        least: How many must confirm in any case.
        clock: Returns seconds since an arbitrary moment.

    Attributes:
        needed: How many must confirm.
    """

    def __init__(self, least: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.needed = least
        self._least = least
        self._clock = clock
        self._enough_at = clock()

    def are_enough(self, copies: int, asked: int) -> bool:
        """Note how many replicas have confirmed a step; return whether it is done.

        Args:
            copies: How many have.
            asked: How many were needed when the step began.
        """
        now = self._clock()
        if copies >= self.needed:
            self.needed, self._enough_at = copies, now
        elif copies < asked and now - self._enough_at > GRACE:
            self.needed = max(copies, self._least)
        return copies >= min(asked, self.needed)
