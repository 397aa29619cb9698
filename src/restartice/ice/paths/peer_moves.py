"""Limits how often the peer may make us switch pairs.

This module uses neither clocks nor sockets: the time is an argument.
"""

from typing import Final

__all__ = ["PeerMoves"]

# How many switches in a row the peer may cause, and how many seconds restore one of them.
CHANGES: Final = 8
RECOVERY: Final = 0.5


class PeerMoves:
    """The peer's nomination numbers, and how many switches it may still cause.

    Args:
        now: The time.
    """

    def __init__(self, now: float) -> None:
        # The peer's highest nomination number.
        self._nomination = 0
        self._changes = float(CHANGES)
        self._changed_at = now

    def admits(self, number: int | None, now: float, *, nominates: bool, elsewhere: bool) -> bool:
        """Return whether to accept a signed request that nominates or announces a pair.

        Args:
            number: The nomination number, or None. The numbers rise: a late request, or one
                replayed by a stranger, isn't accepted.
            now: The time.
            nominates: Whether the peer is the controlling side.
            elsewhere: Whether the request is for another pair than the one in use.
        """
        if number is not None:
            if number <= self._nomination:
                return False
            self._nomination = number
        return not (nominates and elsewhere) or self.may_change(now)

    def may_change(self, now: float) -> bool:
        """Return whether the peer may cause one more switch, and count it."""
        won = (now - self._changed_at) / RECOVERY
        self._changes = min(float(CHANGES), self._changes + won)
        self._changed_at = now
        if self._changes < 1:
            return False
        self._changes -= 1
        return True
