"""Is the other end of the selected pair still there? Consent to send, and liveness on top of it.

Consent is what RFC 7675 asks for: a request every 5 seconds or so, and the end of all sending when
none was answered for 30. That is too slow to notice a lost path, so there is more: where traffic
came in and then stops, or a request for consent isn't answered, probes are sent, and a few of them
without an answer mean that the path is lost, for now. An answer says that it is back.

Nothing here knows of clocks or sockets: the time is an argument.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .paths.round_trip import RoundTrip

__all__ = ["Liveness", "PathState", "RoundTrip", "Timings"]

# The parts of Timings.silence: how often we look whether traffic came in, and how long its absence
# is suspicious if it came at the last two looks before.
LOOK: Final = 0.25
STEADY_SILENCE: Final = 0.5


class PathState(Enum):
    """What is known of the path."""

    ALIVE = auto()
    LOST = auto()
    EXPIRED = auto()


@dataclass(frozen=True)
class Timings:
    """Times in seconds.

    Attributes:
        consent_interval: From one request for consent to the next, on average.
        consent_lifetime: How long an answer gives consent.
        silence: How long traffic must have stopped before a probe is sent. Where it was steady,
            which is some in each quarter of that time, half of it is enough.
        probe_timeout: How long an answer may take, on a path with a short round trip.
        probes: How many probes without an answer mean that the path is lost, if nothing else came
            in either. While something comes in it takes three times as many, unless the other end
            seems to have moved, and one more where there was no steady traffic.
        stall: How late a timer may be before we know that it was our own program that stood still.
    """

    consent_interval: float = 5.0
    consent_lifetime: float = 30.0
    silence: float = 1.0
    probe_timeout: float = 0.5
    probes: int = 2
    stall: float = 0.25


class Liveness:
    """What came in, what was asked and answered, and what follows from that.

    The caller says what happens by hear(), doubt() and answer(), calls advance() at `wake_at` or
    earlier, sends a request when that says so, and then looks at `state`.

    Args:
        now: The time at which the pair was nominated, which was an answer.
        randomize: Makes an interval a little shorter or longer, so that many don't keep step.
    """

    def __init__(self, now: float, randomize: Callable[[float], float]) -> None:
        self.state = PathState.ALIVE
        self.round_trip = RoundTrip()
        self.wake_at = now
        # How often something has come in after it was missed.
        self.resumptions = 0
        self._randomize = randomize
        self._granted_at = now
        self._heard_at = now
        # Whether traffic has come in, whose end would be suspicious, whether that is news, when it
        # came last, and if it is steady.
        self._busy = False
        self._more = False
        self._traffic_at = -math.inf
        self._steady = False
        # The first request at once: it measures the round trip.
        self._consent_due = now
        # Since when requests go without an answer, the latest that counts, and how many timed out.
        self._series_began: float | None = None
        self._asked_at = now
        self._misses = 0
        # Whether the path was lost because nothing came in at all.
        self._silent = False
        # Whether the path is gone for certain, which nothing that comes in disproves.
        self._gone = False
        # Since when the other end seems to have moved, if it does.
        self._doubted_at: float | None = None

    @property
    def attentive(self) -> bool:
        """Whether the next thing that comes in is news, after which advance() is due at once."""
        return self._silent or not self._busy

    def hear(self, now: float, *, traffic: bool = True) -> None:
        """Note that something came in: traffic, or a valid request of the other end."""
        self._heard_at = now
        self._busy = self._busy or traffic
        self._more = self._more or traffic
        if self._silent:
            self._silent = False
            self.state = PathState.ALIVE
            self.resumptions += 1
            # Does the other direction work, too? Ask at once.
            self._misses = 0
            self._consent_due = now

    def doubt(self, now: float) -> None:
        """Note that the other end seems to have moved; what comes in proves nothing then."""
        self._doubted_at = now
        self._consent_due = now
        self._misses = max(0, self._misses)

    def lose(self) -> None:
        """Note that the path is gone for good, as is a socket that is closed."""
        self._gone = True
        self._silent = False
        if self.state is PathState.ALIVE:
            self.state = PathState.LOST

    def answer(self, now: float, asked_at: float) -> None:
        """Note a valid answer to a request that was sent then."""
        self.round_trip.measure(now - asked_at)
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
        """Let the time be now; return whether a request is to be sent."""
        self._forgive_stall(now, timings)
        self._note_traffic(now, timings)
        # "Consent expires": nothing may be sent, and nothing but a restart helps.
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
            # That traffic ends which came now and then is no reason for suspicion, so that the
            # first question doesn't count.
            self._begin_series(now, misses=0 if self._steady else -1)
            return True
        if now >= self._consent_due:
            # Only after this one has timed out it is a matter of probes.
            self._begin_series(now, misses=-1 if self._doubted_at is None else 0)
            return True
        return False

    def _note_traffic(self, now: float, timings: Timings) -> None:
        if not self._more:
            return
        self._more = False
        # Looks are a little late. Where one sees nothing, the next comes as late again.
        gap = (now - self._traffic_at) / (LOOK * timings.silence)
        if gap > 0.5:
            self._steady = gap < 1.6
            self._traffic_at = now

    def _begin_series(self, now: float, misses: int) -> None:
        self._series_began = self._asked_at = now
        self._misses = misses

    def _judge(self, timings: Timings) -> None:
        # Where a path is bad in one direction only, something comes in and no answers do. That
        # may be by chance, so it takes more of it.
        assert self._series_began is not None
        heard = self._heard_at > self._series_began
        doubted = self._doubted_at is not None
        if self._misses >= timings.probes * (3 if heard and not doubted else 1):
            self.state = PathState.LOST
            self._silent = not heard and not doubted and not self._gone

    def _forgive_stall(self, now: float, timings: Timings) -> None:
        # While this program stood still it read nothing, and can blame nobody for silence.
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
