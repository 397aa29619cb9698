"""Decides when to restart ICE, without clocks, sockets or connections.

Both peers may run this. The polite one waits longer, so usually only one of them acts; if both do,
perfect negotiation resolves that, and one restart serves both. A failed restart is tried again,
with pauses that grow up to a limit.
"""

import math
from dataclasses import dataclass, fields
from typing import Final, TypeAlias

from ..ice.paths.switched import PathEnds, PathSwitched

__all__ = [
    "Observation",
    "PathEnds",
    "PathSwitched",
    "Recovery",
    "RecoverySettings",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
]

WORKING: Final = frozenset({"connected", "completed"})
CHECKING: Final = frozenset({"connected", "checking"})
OVER: Final = frozenset({"new", "closed"})
# A restart counts as failed after so many seconds without a sign of progress.
GRACE: Final = 1.0


@dataclass(frozen=True)
class RecoverySettings:
    """The times of automatic restarts, in seconds.

    Attributes:
        disconnected_for: How long the connection must be `disconnected` before ICE is restarted.
        settle_time: How long the host's addresses must be unchanged, after an address was added,
            before ICE is restarted for it.
        spare_time: How long to wait, after the address in use is gone, for a pair that has worked
            lately to take over, before ICE is restarted.
        give_way: How much longer the polite peer waits for the other one to restart ICE.
        attempt_timeout: How long a restart may take, from its request.
        first_wait: The time from the beginning of a restart to that of the next one, doubled after
            each failure. The first restart for a lost address doesn't wait.
        longest_wait: The limit of that time.

    Raises:
        ValueError: A time isn't a finite number, or is negative.
    """

    disconnected_for: float = 1.0
    settle_time: float = 0.5
    spare_time: float = 0.5
    give_way: float = 1.0
    attempt_timeout: float = 20.0
    first_wait: float = 1.0
    longest_wait: float = 15.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} must be a number of seconds, not {value!r}")


@dataclass(frozen=True)
class RestartStarted:
    """An ICE restart has begun.

    Attributes:
        reason: `"failed"`, `"disconnected"`, `"address lost"`, `"network changed"`, or
            `"requested"` if the other peer or the program has restarted ICE.
        attempt: 1, or more after failed attempts.
    """

    reason: str
    attempt: int


@dataclass(frozen=True)
class RestartSucceeded:
    """An ICE restart has succeeded: all traffic uses the new pair.

    Attributes:
        attempt: The number of the attempt, as in RestartStarted.
        seconds: How long the restart took, in seconds.
    """

    attempt: int
    seconds: float


@dataclass(frozen=True)
class RestartFailed:
    """An ICE restart has failed.

    Attributes:
        attempt: The number of the attempt, as in RestartStarted.
        reason: The reason, such as `"timeout"`.
        retry_in: The seconds until the next attempt, if it is still needed then.
    """

    attempt: int
    reason: str
    retry_in: float


RestartEvent: TypeAlias = RestartStarted | RestartSucceeded | RestartFailed | PathSwitched


@dataclass(frozen=True)
class Observation:
    """The state of a connection and its host.

    Attributes:
        ice_state: `iceConnectionState`.
        negotiating: Whether an offer waits for its answer.
        generation: The username fragments of the newest ICE generation.
        on_newest: Whether all transports send on the newest generation.
        selected: The local addresses of the selected pairs.
        addresses: The usable addresses of the host.
        polite: Whether this side is the polite peer.
        spares: The addresses at which each transport has a pair, beside the selected one, that has
            worked lately.
        prefers: Whether the connection switches to such a pair by itself if its network is better.
    """

    ice_state: str
    negotiating: bool
    generation: tuple[str, ...]
    on_newest: bool
    selected: frozenset[str]
    addresses: frozenset[str]
    polite: bool = False
    spares: frozenset[str] = frozenset()
    prefers: bool = False


@dataclass
class _Attempt:
    number: int
    began: float
    before: tuple[str, ...]
    renewed: bool = False
    idle_since: float | None = None


class Recovery:
    """Decides when to restart ICE.

    Call advance() after each change, and at `wake_at`.
    """

    def __init__(self, settings: RecoverySettings) -> None:
        self.wake_at = math.inf
        self._settings = settings
        self._generation: tuple[str, ...] | None = None
        # The addresses of the host at the begin of the newest generation.
        self._known: frozenset[str] = frozenset()
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._not_before = -math.inf
        # The same for a lost address, unless restarts have failed.
        self._lost_not_before = -math.inf
        self._trouble: tuple[object, ...] | None = None
        self._since = -math.inf
        self._worked = False

    def advance(self, now: float, seen: Observation) -> list[RestartEvent]:
        """Return the events since the last call.

        Restart ICE for each RestartStarted whose reason isn't `"requested"`.
        """
        events = self._follow_generations(now, seen)
        self._follow_addresses(seen)
        events += self._judge_attempt(now, seen)
        self._worked = self._worked or seen.ice_state in WORKING
        reason = self._trouble_in(now, seen)
        self.wake_at = self._attempt_deadline()
        if reason is not None and self._may_act(reason, seen):
            due = max(self._since + self._delay(reason, seen), self._earliest(reason))
            if now >= due:
                events += self._begin(now, seen, reason)
            else:
                self.wake_at = min(self.wake_at, due)
        return events

    def _follow_generations(self, now: float, seen: Observation) -> list[RestartEvent]:
        if seen.generation == self._generation:
            return []
        first, self._generation = self._generation is None, seen.generation
        self._known = seen.addresses
        if self._attempt is None and self._worked and not first:
            return self._begin(now, seen, "requested")
        return []

    def _follow_addresses(self, seen: Observation) -> None:
        # A restart would only choose between them once more, and have no patience with a network
        # that comes and goes.
        if seen.prefers:
            self._known |= seen.spares & seen.addresses

    def _judge_attempt(self, now: float, seen: Observation) -> list[RestartEvent]:
        attempt = self._attempt
        if attempt is None:
            return []
        renewed = seen.generation != attempt.before
        attempt.renewed = attempt.renewed or renewed
        if renewed and seen.on_newest and seen.ice_state in WORKING and not seen.negotiating:
            return self._succeed(now, attempt)
        if now - attempt.began >= self._settings.attempt_timeout:
            return self._fail(now, attempt, "no answer" if seen.negotiating else "timeout")
        idle = not seen.negotiating and (not renewed or seen.ice_state not in CHECKING)
        if not (attempt.renewed and idle):
            attempt.idle_since = None
            return []
        attempt.idle_since = now if attempt.idle_since is None else attempt.idle_since
        if now - attempt.idle_since < GRACE:
            return []
        return self._fail(now, attempt, "no pair works" if renewed else "ignored")

    def _trouble_in(self, now: float, seen: Observation) -> str | None:
        trouble = self._name_trouble(seen)
        if trouble != self._trouble:
            self._trouble, self._since = trouble, now
        return None if trouble is None else str(trouble[0])

    def _name_trouble(self, seen: Observation) -> tuple[object, ...] | None:
        if seen.ice_state in OVER:
            return None
        if seen.ice_state == "failed":
            return ("failed", seen.addresses - self._known)
        if (seen.selected & self._known) - seen.addresses:
            return ("address lost",)
        if seen.ice_state == "disconnected":
            return ("disconnected",)
        # The local address of a relayed pair is unknown, so any change may concern it.
        relayed = not seen.selected <= self._known
        if seen.addresses - self._known or (relayed and self._known - seen.addresses):
            return ("network changed", seen.addresses)
        return None

    def _delay(self, reason: str, seen: Observation) -> float:
        if reason == "address lost":
            return self._settings.spare_time if seen.spares & seen.addresses else 0.0
        if reason == "network changed":
            return self._settings.settle_time
        waiting = self._settings.disconnected_for if reason == "disconnected" else 0.0
        return waiting + (self._settings.give_way if seen.polite else 0.0)

    def _earliest(self, reason: str) -> float:
        # Nothing arrives until then, and an earlier restart for another reason began before the
        # address was lost.
        if reason == "address lost" and self._failures == 0:
            return self._lost_not_before
        return self._not_before

    def _may_act(self, reason: str, seen: Observation) -> bool:
        if seen.negotiating:
            return False
        attempt = self._attempt
        # A restart that began on another network is useless.
        outdated = reason in {"address lost", "network changed"} or bool(
            seen.addresses - self._known
        )
        return attempt is None or (attempt.renewed and outdated)

    def _begin(self, now: float, seen: Observation, reason: str) -> list[RestartEvent]:
        events: list[RestartEvent] = []
        if self._attempt is not None:
            events += [RestartFailed(self._attempt.number, "the network changed", 0.0)]
        before = seen.generation if reason != "requested" else ()
        self._attempt = _Attempt(self._failures + 1, now, before)
        self._not_before = now + self._settings.first_wait
        if reason == "address lost":
            self._lost_not_before = self._not_before
        self.wake_at = self._attempt_deadline()
        return [*events, RestartStarted(reason, self._attempt.number)]

    def _succeed(self, now: float, attempt: _Attempt) -> list[RestartEvent]:
        self._attempt = None
        self._failures = 0
        return [RestartSucceeded(attempt.number, now - attempt.began)]

    def _fail(self, now: float, attempt: _Attempt, reason: str) -> list[RestartEvent]:
        self._attempt = None
        wait = self._settings.first_wait * 2.0 ** min(self._failures, 30)
        self._failures += 1
        self._not_before = attempt.began + min(wait, self._settings.longest_wait)
        # Either peer may act next.
        self._since = now
        return [RestartFailed(attempt.number, reason, max(0.0, self._not_before - now))]

    def _attempt_deadline(self) -> float:
        attempt = self._attempt
        if attempt is None:
            return math.inf
        deadline = attempt.began + self._settings.attempt_timeout
        return deadline if attempt.idle_since is None else min(deadline, attempt.idle_since + GRACE)
