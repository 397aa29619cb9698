"""Counts the checks and the traffic of each candidate pair."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["CheckCounter", "Traffic", "TrafficCounter"]

# A response that takes longer may answer a repeated request. (RFC 6298 section 3)
FIRST_RETRANSMISSION: Final = 0.5


@dataclass
class CheckCounter:
    """Counts the checks of a pair, including those for consent."""

    requests_sent: int = 0
    requests_received: int = 0
    responses_received: int = 0
    consent_requests_sent: int = 0
    total_round_trip_time: float = 0.0
    round_trip_time: float | None = None
    _asked_at: float | None = field(default=None, repr=False)

    def asked(self, now: float) -> None:
        """Count a request."""
        self.requests_sent += 1
        self._asked_at = now

    def asked_for_consent(self) -> None:
        """Count the last request as one for consent, too."""
        self.consent_requests_sent += 1

    def request_came(self) -> None:
        """Count a request of the peer and our response."""
        self.requests_received += 1

    def answered(self, now: float) -> None:
        """Count the response to the last request."""
        if self._asked_at is not None:
            self.took(now - self._asked_at)
            self._asked_at = None

    def took(self, seconds: float) -> None:
        """Count a response that came after that many seconds."""
        self.responses_received += 1
        if seconds < FIRST_RETRANSMISSION or self.round_trip_time is None:
            self.total_round_trip_time += seconds
            self.round_trip_time = seconds


@dataclass(frozen=True)
class Traffic:
    """Packets and bytes in both directions."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.packets_sent + other.packets_sent,
            self.packets_received + other.packets_received,
            self.bytes_sent + other.bytes_sent,
            self.bytes_received + other.bytes_received,
        )

    def __sub__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.packets_sent - other.packets_sent,
            self.packets_received - other.packets_received,
            self.bytes_sent - other.bytes_sent,
            self.bytes_received - other.bytes_received,
        )


class TrafficCounter:
    """Divides a transport's traffic among its pairs, without looking at packets.

    Args:
        total: Returns the transport's total traffic.
    """

    def __init__(self, total: Callable[[], Traffic]) -> None:
        self._total = total
        self._before = Traffic()
        self._by_pair: dict[object, Traffic] = {}
        self._selected: object | None = None

    def counted_by(self, total: Callable[[], Traffic]) -> None:
        """Set the function that returns the total traffic, before there is any."""
        self._total = total

    def select(self, pair: object | None) -> None:
        """Count for another pair from now on; None counts for none."""
        now = self._total()
        if self._selected is not None:
            self._by_pair[self._selected] = self.of(self._selected)
        self._before, self._selected = now, pair

    def of(self, pair: object) -> Traffic:
        """Return the traffic of a pair so far."""
        finished = self._by_pair.get(pair, Traffic())
        return finished + (self._total() - self._before) if pair is self._selected else finished

    def forget_others(self, pairs: Iterable[object]) -> None:
        """Keep only the counts of these pairs and of the selected one."""
        kept = {*pairs, self._selected}
        self._by_pair = {pair: t for pair, t in self._by_pair.items() if pair in kept}
