"""The measured round trip time of a pair."""

__all__ = ["RoundTrip"]


class RoundTrip:
    """The smoothed round trip time and its variation (RFC 6298 section 2)."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.variation = 0.0

    def measure(self, seconds: float) -> None:
        """Add a measurement."""
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
        else:
            self.variation += (abs(self.smoothed - seconds) - self.variation) / 4
            self.smoothed += (seconds - self.smoothed) / 8

    def timeout(self, least: float) -> float:
        """Return how long to wait for an answer; three times `least` before the first one."""
        if self.smoothed is None:
            return 3 * least
        return max(least, self.smoothed + 4 * self.variation)
