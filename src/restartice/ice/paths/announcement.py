"""Tells the peer that we switched to another pair, until it switches too."""

import asyncio
import math
import secrets
from collections.abc import Callable
from typing import Final, Protocol

from ...seam import CandidatePair
from .requests import Asking, Questions

__all__ = ["Announcement", "Announcing"]

# The pause before the second announcement, in seconds; it doubles each time. And how many
# announcements are sent at most.
REPETITION: Final = 0.05
TRIES: Final = 7
# How long to wait for an answer, in seconds.
LIFETIME: Final = 10.0
# How long the controlled side waits for the peer to follow before it takes the controlling role, in
# seconds, on top of two round trips.
DEFERENCE: Final = 0.06
# How many unanswered nominations after that show that the peer doesn't allow it. RFC 8445 wants an
# answer; Pion drops them.
CLAIMS: Final = 5
# The first nomination carries no number.
FIRST_NUMBER: Final = 2
LARGEST_TIE_BREAKER: Final = 2**64 - 1


class Announcing(Asking, Protocol):
    """The connection that announces its pair."""

    ice_controlling: bool
    tie_breaker: int
    # The largest tie-breaker that the peer has sent as the controlling side.
    remote_tie_breaker: int

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair in use."""


class Announcement:
    """Announces one pair at a time.

    The controlling side nominates the pair. The controlled side, which can't, sends a check with a
    nomination number, which only restartice understands as an announcement. If the peer doesn't
    follow, the controlled side takes the controlling role by a larger tie-breaker, and nominates
    the pair. (RFC 8445 section 7.3.1.1)

    Args:
        connection: The connection.
        on_ignored: Called with the pair if the peer answers the nomination, but neither sends nor
            checks there.
        on_refused: Called if the peer keeps the controlling role and doesn't follow.
    """

    def __init__(
        self,
        connection: Announcing,
        on_ignored: Callable[[CandidatePair], None],
        on_refused: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._on_ignored = on_ignored
        self._on_refused = on_refused
        # Whether we have taken the controlling role for this announcement.
        self._claiming = False
        self._patience = math.inf
        self._number = FIRST_NUMBER - 1
        self._pair: CandidatePair | None = None
        # When the announcement began, and when it began in the current role.
        self._began_at = self._told_at = 0.0
        self._round_trip = 0.0
        self._tries = 0
        self._answered = False
        self._followed = False
        self._checked = False
        self._timer: asyncio.TimerHandle | None = None
        self._questions = Questions(connection, self._take_answer)

    @property
    def followed(self) -> bool:
        """Whether the peer sends on the announced pair, too."""
        return self._followed

    def start(self, pair: CandidatePair, round_trip: float, patience: float = math.inf) -> None:
        """Announce a pair.

        Args:
            pair: The pair.
            round_trip: The longest time to expect until an answer, in seconds.
            patience: How long the peer's traffic may pause, in seconds; infinite if there is none.
        """
        self.stop()
        self._pair = pair
        self._began_at = self._told_at = asyncio.get_running_loop().time()
        self._round_trip = round_trip
        self._tries = 0
        self._patience = max(DEFERENCE, patience) + round_trip
        self._answered = self._followed = self._checked = self._claiming = False
        self._number += 1
        self._announce()

    def stop(self) -> None:
        """Stop announcing."""
        self._pair = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._questions.stop()

    def heard(self, at: float) -> None:
        """Note that the peer sent on the pair in use, or nominated it, at that time."""
        self._followed = self._followed or at >= self._began_at

    def checked(self) -> None:
        """Note that the peer checks the announced pair."""
        self._checked = True

    def _announce(self) -> None:
        pair = self._pair
        if pair is None or self._connection.selected_pair is not pair:
            self.stop()
            return
        controlling = self._connection.ice_controlling
        loop = asyncio.get_running_loop()
        if self._answered and (controlling or self._followed):
            self._look_after(pair, loop.time())
            return
        if self._claiming and not self._answered and self._tries >= CLAIMS:
            self._give_role_back()
            return
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

    def _look_after(self, pair: CandidatePair, now: float) -> None:
        """See that the peer follows."""
        remaining = self._told_at + self._patience - now
        if self._followed or self._checked or remaining == math.inf:
            self.stop()
        elif remaining > 0:
            self._timer = asyncio.get_running_loop().call_later(remaining, self._announce)
        else:
            self.stop()
            self._on_ignored(pair)

    def _take_role(self) -> None:
        connection = self._connection
        largest = max(connection.tie_breaker, connection.remote_tie_breaker)
        if largest == LARGEST_TIE_BREAKER:
            return
        # Larger than the peer's, but small enough for the peer to do the same later.
        room = LARGEST_TIE_BREAKER - largest
        connection.tie_breaker = largest + 1 + secrets.randbelow(max(1, room // 2))
        connection.switch_role(ice_controlling=True)
        self._number += 1
        self._answered, self._claiming = False, True
        self._told_at = asyncio.get_running_loop().time()
        self._tries = 0

    def _give_role_back(self) -> None:
        self.stop()
        self._connection.switch_role(ice_controlling=False)
        self._on_refused()

    def _take_answer(self, pair: CandidatePair, asked_at: float) -> None:
        self._answered = self._answered or (pair is self._pair and asked_at >= self._told_at)
