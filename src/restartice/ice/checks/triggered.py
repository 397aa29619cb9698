"""Repeats a check at once when the peer checks the same pair."""

from typing import Final

from ...seam import CandidatePair, repeat_requests

__all__ = ["TriggeredChecks"]

# The shortest pause between two repetitions on a pair, in seconds, so that a peer that floods us
# with checks doesn't get as many back.
INTERVAL: Final = 0.02


class TriggeredChecks:
    """Repeats the check of a pair in progress when the peer's check comes in on it.

    The first check is lost if a NAT or TURN server in front of the peer drops packets until the
    peer has sent one. Now it has. (RFC 8445 section 7.3.1.4)
    """

    def __init__(self) -> None:
        self._repeated_at: dict[CandidatePair, float] = {}

    def forget(self, pair: CandidatePair) -> None:
        """Forget a pair."""
        self._repeated_at.pop(pair, None)

    def request_came(self, pair: CandidatePair, now: float) -> None:
        """Note a valid request on a pair. Has no effect unless its check is in progress."""
        if pair.state is not CandidatePair.State.IN_PROGRESS:
            self._repeated_at.pop(pair, None)
        elif now - self._repeated_at.get(pair, -INTERVAL) >= INTERVAL:
            self._repeated_at[pair] = now
            repeat_requests(pair)
