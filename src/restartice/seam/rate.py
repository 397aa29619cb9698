"""Counts what comes in, for the estimate of the bandwidth, in a small space."""

from collections import deque

from aiortc.rate import RateBucket, RateCounter

from .names import require

__all__ = ["SparseRateCounter", "sparse"]

for _name in ("_erase_old", "_origin_ms", "_scale", "_window_size"):
    require(RateCounter, _name)


def sparse(counter: RateCounter) -> "SparseRateCounter":
    """Return a counter in place of one of aiortc's that hasn't counted anything."""
    return SparseRateCounter(counter._window_size, counter._scale)


class SparseRateCounter(RateCounter):
    """aiortc's counter, which keeps only the milliseconds in which something has come.

    aiortc keeps 1000 buckets, in half of the memory of an idle connection, and looks at each one
    that has passed.
    """

    def reset(self) -> None:
        """Begin anew."""
        self.filled = deque[tuple[int, RateBucket]]()
        self._origin_ms: int | None = None
        self.total = RateBucket()

    def add(self, value: int, now_ms: int) -> None:
        """Count a packet.

        Args:
            value: Its size in bytes.
            now_ms: The time in milliseconds. If it has gone back, the latest one counts.
        """
        if self._origin_ms is None:
            self._origin_ms = now_ms
        else:
            self._erase_old(now_ms)
        if not self.filled or self.filled[-1][0] < now_ms:
            self.filled.append((now_ms, RateBucket()))
        for bucket in (self.filled[-1][1], self.total):
            bucket.count += 1
            bucket.value += value

    def rate(self, now_ms: int) -> int | None:
        """Return the rate in bits per second at a time in milliseconds, or None if unknown."""
        if self._origin_ms is None:
            return None
        self._erase_old(now_ms)
        passed = now_ms - self._origin_ms + 1
        known = self.total.count > 0 and passed > 1
        return round(self._scale * self.total.value / passed) if known else None

    def _erase_old(self, now_ms: int) -> None:
        assert self._origin_ms is not None
        self._origin_ms = max(self._origin_ms, now_ms - self._window_size + 1)
        while self.filled and self.filled[0][0] < self._origin_ms:
            _, bucket = self.filled.popleft()
            self.total.count -= bucket.count
            self.total.value -= bucket.value
