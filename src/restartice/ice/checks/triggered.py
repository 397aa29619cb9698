"""Repeating a check at once when the other end checks the same pair."""

from typing import Final

from ...seam import CandidatePair, repeat_requests

__all__ = ["TriggeredChecks"]

# How many seconds there must be between two repetitions on a pair, so that an end which sends check
# after check gets hardly more back than their answers.
INTERVAL: Final = 0.02


class TriggeredChecks:
    """Repeats the check of a pair in progress when a check of the other end comes in on it.

    The first one is lost where a NAT or a TURN server in front of the other end lets nothing pass
    before that end has sent something itself, which it just has. (RFC 8445 section 7.3.1.4)
    """

    def __init__(self) -> None:
        self._repeated_at: dict[CandidatePair, float] = {}

    def forget(self, pair: CandidatePair) -> None:
        """Know nothing of a pair any more."""
        self._repeated_at.pop(pair, None)

    def request_came(self, pair: CandidatePair, now: float) -> None:
        """Take note of a valid request on a pair. Without effect unless a check is under way."""
        if pair.state is not CandidatePair.State.IN_PROGRESS:
            self._repeated_at.pop(pair, None)
        elif now - self._repeated_at.get(pair, -INTERVAL) >= INTERVAL:
            self._repeated_at[pair] = now
            repeat_requests(pair)
