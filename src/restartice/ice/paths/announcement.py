"""Telling the other end that we send on another pair from now on, until it comes along."""

import asyncio
import secrets
from typing import Final, Protocol

from ...seam import CandidatePair
from .requests import Asking, Questions

__all__ = ["Announcement", "Announcing"]

# How many seconds after the first announcement the next one is sent, each time twice as many, and
# how often at most.
REPETITION: Final = 0.05
TRIES: Final = 7
# For how long an answer is waited for.
LIFETIME: Final = 10.0
# How long a side that is controlled waits for the other one to come along, beside two round trips,
# before it takes the role.
DEFERENCE: Final = 0.06
# The first nomination has been made without a number.
FIRST_NUMBER: Final = 2
LARGEST_TIE_BREAKER: Final = 2**64 - 1


class Announcing(Asking, Protocol):
    """The connection that announces its pair."""

    ice_controlling: bool
    tie_breaker: int
    # The largest tie-breaker that the other end has been seen to have as the controlling side.
    remote_tie_breaker: int

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair in use."""


class Announcement:
    """Announces a pair, one at a time.

    The controlling side nominates it. The controlled one says so by the number of a nomination,
    which one of our kind understands; if the other end doesn't come along, it takes the role, which
    the tie-breaker decides, and nominates. (RFC 8445 section 7.3.1.1)
    """

    def __init__(self, connection: Announcing) -> None:
        self._connection = connection
        self._number = FIRST_NUMBER - 1
        self._pair: CandidatePair | None = None
        # When the announcement began, and when it did in the present role.
        self._began_at = self._told_at = 0.0
        self._round_trip = 0.0
        self._tries = 0
        self._answered = False
        self._followed = False
        self._timer: asyncio.TimerHandle | None = None
        self._questions = Questions(connection, self._take_answer)

    def start(self, pair: CandidatePair, round_trip: float) -> None:
        """Announce a pair.

        Args:
            pair: The pair.
            round_trip: How long an answer on it takes, at most.
        """
        self.stop()
        self._pair = pair
        self._began_at = self._told_at = asyncio.get_running_loop().time()
        self._round_trip = round_trip
        self._tries = 0
        self._answered = self._followed = False
        self._number += 1
        self._announce()

    def stop(self) -> None:
        """Announce nothing any more."""
        self._pair = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._questions.stop()

    def heard(self) -> None:
        """Take note that the other end sends on the pair, too."""
        self._followed = True

    def _announce(self) -> None:
        pair = self._pair
        if pair is None or self._connection.selected_pair is not pair:
            self.stop()
            return
        controlling = self._connection.ice_controlling
        if self._answered and (controlling or self._followed):
            self.stop()
            return
        loop = asyncio.get_running_loop()
        patience = DEFERENCE + 2 * self._round_trip
        if not controlling and not self._followed and loop.time() >= self._began_at + patience:
            self._take_role()
        self._questions.ask(pair, loop.time(), LIFETIME, self._number)
        self._tries += 1
        if self._tries < TRIES:
            delay = max(REPETITION, self._round_trip) * 2 ** (self._tries - 1)
            if not controlling and self._tries == 1:
                delay = patience
            self._timer = loop.call_later(delay, self._announce)

    def _take_role(self) -> None:
        connection = self._connection
        largest = max(connection.tie_breaker, connection.remote_tie_breaker)
        if largest == LARGEST_TIE_BREAKER:
            return
        # Larger than the other end's, with room for it to do the same later.
        room = LARGEST_TIE_BREAKER - largest
        connection.tie_breaker = largest + 1 + secrets.randbelow(max(1, room // 2))
        connection.switch_role(ice_controlling=True)
        self._number += 1
        self._answered = False
        self._told_at = asyncio.get_running_loop().time()
        self._tries = 0

    def _take_answer(self, pair: CandidatePair, asked_at: float) -> None:
        self._answered = self._answered or (pair is self._pair and asked_at >= self._told_at)
