"""Chooses when to switch to a network that the program prefers.

A network that comes and goes must not move the call each time. So a pair must first answer every
probe for some seconds. This proving time doubles each time that the call has to leave the network
soon after it switched there.

This module uses neither clocks nor sockets: the time is an argument.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from .spares import Spare, Spares

__all__ = ["LONGEST", "PROVING", "Preference", "Reputation"]

# The proving time of a pair, in seconds: at first and at most. On the controlled side it is longer
# by a factor, so that the controlling side switches first.
PROVING: Final = 5.0
LONGEST: Final = 300.0
DEFERENCE: Final = 1.5
# How often to probe during the proving time, in seconds.
QUESTION: Final = 1.0
# A call that stays in a network for this long, in seconds, resets its proving time.
STAY: Final = 300.0
# Within how many seconds a peer that disagrees switches back.
REFUSAL: Final = 2.0
# How recent the last answer must be when we switch to a pair, in seconds.
FRESH: Final = 0.5

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class _Move:
    network: str
    at: float
    left: object


class Reputation:
    """The proving times of networks, depending on how long earlier calls stayed in them."""

    def __init__(self) -> None:
        # The proving times of networks that the call had to leave soon, in seconds.
        self._proving: dict[str, float] = {}
        # The last switch to a preferred network, while the call is still there.
        self._move: _Move | None = None

    def proving_time(self, network: str) -> float:
        """Return the proving time of a network's pairs, in seconds."""
        return self._proving.get(network, PROVING)

    def took(self, spare: Spare[Any], before: Spare[Any], now: float) -> None:
        """Note a switch to a pair because its network is preferred."""
        self._move = _Move(spare.standing.network, now, before)

    def left(self, spare: Spare[Any], now: float, *, refused: bool) -> None:
        """Note a switch to a pair for another reason.

        Args:
            spare: The pair.
            now: The time.
            refused: Whether the peer asked for the switch, and never followed us before.
        """
        move = self._move
        if move is None or spare.standing.network == move.network:
            return
        self._move = None
        stay = now - move.at
        if refused and stay < REFUSAL and spare is move.left:
            self._proving[move.network] = LONGEST
        elif stay < STAY:
            self._proving[move.network] = min(2 * self.proving_time(move.network), LONGEST)
        else:
            self._proving.pop(move.network, None)


class Preference(Generic[K]):
    """Chooses the pair to switch to because its network is preferred to the one in use.

    Args:
        spares: The pairs, including the one in use.
        reputation: The proving times of networks.

    Attributes:
        wake_at: When to choose again, unless an event comes before.
    """

    def __init__(self, spares: Spares[K], reputation: Reputation) -> None:
        self.wake_at = math.inf
        self._spares = spares
        self._reputation = reputation

    def rest(self) -> None:
        """Don't choose again until the next event."""
        self.wake_at = math.inf

    def choose(self, now: float, lifetime: float, *, controlling: bool) -> Spare[K] | None:
        """Return the pair to switch to, or None. Call `is_fresh()` before the switch.

        Args:
            now: The time.
            lifetime: How long an answer gives consent, in seconds.
            controlling: Whether we are the controlling side.
        """
        self.wake_at = math.inf
        for spare in self._spares.preferred(now, lifetime):
            proving = self._reputation.proving_time(spare.standing.network)
            due_at = spare.steady_since + proving * (1 if controlling else DEFERENCE)
            if due_at <= now:
                return spare
            self.wake_at = min(self.wake_at, due_at)
        return None

    def is_fresh(self, spare: Spare[K], now: float) -> bool:
        """Return whether a pair's last answer is recent. If not, probe it by `wake_at`."""
        fresh = max(FRESH, 2 * spare.round_trip.timeout(0))
        if spare.proved_at >= now - fresh:
            return True
        self.wake_at = max(now, spare.asked_at + fresh)
        return False

    def question_interval(self, spare: Spare[K]) -> float:
        """Return the longest pause between probes of a pair; infinite outside its proving time."""
        selected = self._spares.selected
        proves = selected is not None and spare.standing.beats(selected.standing)
        return QUESTION if proves else math.inf
