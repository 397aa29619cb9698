"""Decides whether the selected pair's path works, and whether the peer consents to our sending.

RFC 7675 requires a request for consent about every 5 seconds, and the end of all sending after 30
seconds without an answer. That is too slow to notice a lost path. So if traffic came in and then
stops, or a request for consent isn't answered, probes are sent. A few unanswered probes mean that
the path is lost for now. An answer means that it is back.

This module uses neither clocks nor sockets: the time is an argument.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .paths.round_trip import RoundTrip

__all__ = ["Liveness", "PathState", "RoundTrip", "Timings"]

# Fractions of Timings.silence: how often to look for traffic, and how long steady traffic must have
# stopped before a probe is sent.
LOOK: Final = 0.25
STEADY_SILENCE: Final = 0.5


class PathState(Enum):
    """The state of the path."""

    ALIVE = auto()
    LOST = auto()
    EXPIRED = auto()


@dataclass(frozen=True)
class Timings:
    """Times in seconds.

    Attributes:
        consent_interval: The average pause between two requests for consent.
        consent_lifetime: How long an answer gives consent.
        silence: How long traffic must have stopped before a probe is sent. Half of it is enough if
            the traffic was steady: some in each quarter of this time.
        probe_timeout: How long an answer may take, on a path with a short round trip.
        probes: How many unanswered probes mean that the path is lost. Three times as many are
            needed while packets come in, unless the peer seems to have moved; and one more if the
            traffic wasn't steady.
        stall: How late a timer may be before we conclude that our own program stood still.
    """

    consent_interval: float
    consent_lifetime: float
    silence: float
    probe_timeout: float
    probes: int
    stall: float


class Liveness:
    """Derives the path's state from traffic, requests and answers.

    The caller reports events by hear(), doubt() and answer(). It calls advance() at `wake_at` or
    earlier, sends a request if that returns True, and then reads `state`.

    Args:
        now: The time of the nomination, which counts as an answer.
        randomize: Makes an interval a little shorter or longer, so that many connections don't send
            in step.
    """

    def __init__(self, now: float, randomize: Callable[[float], float]) -> None:
        self.state = PathState.ALIVE
        self.round_trip = RoundTrip()
        self.wake_at = now
        # How often packets came in again after a silence.
        self.resumptions = 0
        self._randomize = randomize
        self._granted_at = now
        self._heard_at = now
        # Whether traffic has come in, so that a pause needs a probe.
        self._busy = False
        # Whether traffic has come in since the last look.
        self._more = False
        # When a look last found traffic.
        self._traffic_at = -math.inf
        # Whether each of the last looks found traffic.
        self._steady = False
        # The first request at once: it measures the round trip.
        self._consent_due = now
        # When the series of unanswered requests began, when the last one that counts was sent, and
        # how many timed out.
        self._series_began: float | None = None
        self._asked_at = now
        self._misses = 0
        # Whether the path was lost because nothing came in at all.
        self._silent = False
        # Whether the path has failed for good.
        self._gone = False
        # Whether the peer answers, but sends elsewhere.
        self.refused = False
        # When the peer seemed to have moved, or None.
        self._doubted_at: float | None = None

    @property
    def attentive(self) -> bool:
        """Whether advance() is due as soon as a packet comes in."""
        return self._silent or self.refused or not self._busy

    def hear(self, now: float, *, traffic: bool = True) -> None:
        """Note that traffic came in, or a valid request of the peer."""
        self._heard_at = now
        self._busy = self._busy or traffic
        self._more = self._more or traffic
        if self._silent or (self.refused and traffic):
            self._silent = self.refused = False
            self.state = PathState.ALIVE
            self.resumptions += 1
            # Send a request at once, to see whether the other direction works, too.
            self._misses = 0
            self._consent_due = now

    def doubt(self, now: float) -> None:
        """Note that the peer seems to have moved. Incoming packets don't prove the path then."""
        self._doubted_at = now
        self._consent_due = now
        self._misses = max(0, self._misses)

    def refuse(self) -> None:
        """Note that the peer doesn't come along to this path; its answers don't count from now on.

        Traffic ends that. Without any, consent expires.
        """
        if self.state is PathState.ALIVE:
            self.refused = True
            self.state = PathState.LOST

    def lose(self) -> None:
        """Note that the path has failed for good, such as with a closed socket."""
        self._gone, self.refused = True, False
        self._silent = False
        if self.state is PathState.ALIVE:
            self.state = PathState.LOST

    def answer(self, now: float, asked_at: float) -> None:
        """Note a valid answer to a request sent at `asked_at`."""
        self.round_trip.measure(now - asked_at)
        if self.refused:
            return
        self._granted_at = self._heard_at = now
        if self._series_began is not None and self._misses > 0:
            self.resumptions += 1
        self._series_began = None
        self._silent = False
        if self._doubted_at is not None and asked_at >= self._doubted_at:
            self._doubted_at = None
        if self.state is PathState.LOST and not self._gone:
            self.state = PathState.ALIVE

    def advance(self, now: float, timings: Timings) -> bool:
        """Advance to the given time; return whether to send a request."""
        self._forgive_stall(now, timings)
        self._note_traffic(now, timings)
        # Consent has expired: nothing may be sent, and only a restart helps.
        if now >= self._granted_at + timings.consent_lifetime:
            self.state = PathState.EXPIRED
            self._silent = False
            self.wake_at = math.inf
        if self.state is PathState.EXPIRED:
            return False
        asking = self._is_request_due(now, timings)
        if asking:
            self._consent_due = now + self._randomize(timings.consent_interval)
        self.wake_at = self._next_time(now, timings)
        return asking

    def _is_request_due(self, now: float, timings: Timings) -> bool:
        if self._series_began is not None:
            if now < self._asked_at + self.round_trip.timeout(timings.probe_timeout):
                return now >= self._consent_due
            self._misses += 1
            self._asked_at = now
            self._judge(timings)
            return True
        silence = timings.silence * (STEADY_SILENCE if self._steady else 1.0)
        if self._busy and now >= self._heard_at + silence:
            self._busy = False
            # Sporadic traffic may well pause, so the first unanswered probe doesn't count.
            self._begin_series(now, misses=0 if self._steady else -1)
            return True
        if now >= self._consent_due:
            # The request for consent itself doesn't count; probes follow when it has timed out.
            self._begin_series(now, misses=-1 if self._doubted_at is None else 0)
            return True
        return False

    def _note_traffic(self, now: float, timings: Timings) -> None:
        if not self._more:
            return
        self._more = False
        # Looks come a little late. After a look without traffic, the next is late again.
        gap = (now - self._traffic_at) / (LOOK * timings.silence)
        if gap > 0.5:
            self._steady = gap < 1.6
            self._traffic_at = now

    def _begin_series(self, now: float, misses: int) -> None:
        self._series_began = self._asked_at = now
        self._misses = misses

    def _judge(self, timings: Timings) -> None:
        # If the path fails in one direction only, packets come in, but no answers. That may be
        # chance, so it takes more probes.
        assert self._series_began is not None
        since = self._series_began
        if self.round_trip.smoothed is None:
            # Nothing was ever answered. Packets that were under way together with the first request
            # don't show that later ones come in.
            since += self.round_trip.timeout(timings.probe_timeout)
        heard = self._heard_at > since
        doubted = self._doubted_at is not None
        if self._misses >= timings.probes * (3 if heard and not doubted else 1):
            self.state = PathState.LOST
            self._silent = not heard and not doubted and not self._gone

    def _forgive_stall(self, now: float, timings: Timings) -> None:
        # While this program stood still it read nothing, so the silence proves nothing.
        late = now - self.wake_at
        if late <= timings.stall:
            return
        self._granted_at = min(now, self._granted_at + late)
        self._heard_at = min(now, self._heard_at + late)
        self._asked_at = min(now, self._asked_at + late)

    def _next_time(self, now: float, timings: Timings) -> float:
        times = [self._consent_due, self._granted_at + timings.consent_lifetime]
        if self._series_began is not None:
            times.append(self._asked_at + self.round_trip.timeout(timings.probe_timeout))
        if self._busy:
            times.append(now + timings.silence * LOOK)
        return min(times)
