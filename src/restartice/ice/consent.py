"""Sends requests for consent on the selected pair, and reports the state of its path."""

import asyncio
import math
import random
from collections.abc import Callable
from typing import Protocol

import aioice.ice

from ..seam import CandidatePair
from ..settings import IceSettings
from .counters import CheckCounter
from .liveness import Liveness, PathState, Timings
from .paths.requests import Asking, Questions
from .paths.round_trip import RoundTrip

__all__ = ["PathWatch", "Watched", "consent_timings"]


class Watched(Asking, Protocol):
    """The connection whose selected pair is watched."""

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair being watched."""

    def take_heard(self) -> bool:
        """Return whether traffic came in since the last call."""

    def checks_of(self, pair: CandidatePair) -> CheckCounter:
        """Return the counter of a pair's checks."""

    def is_dead(self, pair: CandidatePair) -> bool:
        """Return whether a pair has failed for good."""


class PathWatch:
    """Sends the requests that Liveness asks for, and reports answers and traffic to it.

    Args:
        connection: The connection whose selected pair to watch.
        settings: The ICE settings.
        on_change: Called when the path is lost or back, or consent has expired.
        on_resumption: Called when packets come in again after a silence.
        on_question: Called when the other end was asked for consent.

    Attributes:
        heard_at: When traffic or a check was last seen on the pair.
        traffic_at: When traffic was last seen on the pair.
        answered_at: When the last request was answered.
    """

    def __init__(
        self,
        connection: Watched,
        settings: IceSettings,
        on_change: Callable[[PathState], None],
        on_resumption: Callable[[], None],
        on_question: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._on_change = on_change
        self._on_resumption = on_resumption
        self._on_question = on_question
        self._pair: CandidatePair | None = None
        self._state = PathState.ALIVE
        self._resumptions = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._expired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._questions = Questions(connection, self._take_answer)
        self.heard_at = self.answered_at = asyncio.get_running_loop().time()
        self.traffic_at = -math.inf
        self._liveness = self._fresh_liveness()

    @property
    def round_trip_time(self) -> float | None:
        """The smoothed round trip time in seconds, or None before the first answer."""
        return self._liveness.round_trip.smoothed

    @property
    def round_trip(self) -> RoundTrip:
        """The measured round trip."""
        return self._liveness.round_trip

    @property
    def lost(self) -> bool:
        """Whether the pair seems lost."""
        return self._state is PathState.LOST

    @property
    def refused(self) -> bool:
        """Whether the peer hasn't come along to the pair in use, and stays elsewhere."""
        return self._liveness.refused

    def lifetime(self) -> float:
        """Return how long an answer gives consent, in seconds."""
        return consent_timings(self._settings).consent_lifetime

    async def run(self) -> None:
        """Watch until consent has expired."""
        try:
            self._look()
            await self._expired
        finally:
            self._set_alarm()
            self._questions.stop()

    def packet_came(self) -> None:
        """Note the first packet since the last look."""
        if self._liveness.attentive:
            asyncio.get_running_loop().call_soon(self._look)

    def request_came(self) -> None:
        """Note a valid request of the peer on the watched pair."""
        self.heard_at = asyncio.get_running_loop().time()
        self._liveness.hear(self.heard_at, traffic=False)
        self._report()

    def other_end_moved(self) -> None:
        """Probe at once: the peer seems to have moved to another address."""
        self._liveness.doubt(asyncio.get_running_loop().time())
        asyncio.get_running_loop().call_soon(self._look)

    def pair_died(self) -> None:
        """Note that the pair has failed for good."""
        self._look()

    def pair_refused(self) -> None:
        """Note that the peer doesn't come along to the pair in use."""
        self._liveness.refuse()
        self._look()

    def pair_changed(self) -> None:
        """Note that another pair is selected."""
        asyncio.get_running_loop().call_soon(self._look)

    def note_traffic(self) -> None:
        """Note the traffic that came in since the last look."""
        if self._connection.take_heard():
            self.heard_at = self.traffic_at = asyncio.get_running_loop().time()
            self._liveness.hear(self.heard_at)

    def ask_now(self) -> None:
        """Probe the peer, in addition to the requests for consent."""
        pair = self._connection.selected_pair
        if pair is not None and pair is self._pair and not self._expired.done():
            self._ask(pair, asyncio.get_running_loop().time(), consent_timings(self._settings))

    def _look(self) -> None:
        if self._expired.done():
            return
        now = asyncio.get_running_loop().time()
        pair = self._connection.selected_pair
        if pair is not self._pair:
            self._pair, self._liveness = pair, self._fresh_liveness()
            self._resumptions = 0
        if pair is not None and self._connection.is_dead(pair):
            self._liveness.lose()
        self.note_traffic()
        timings = consent_timings(self._settings)
        if self._liveness.advance(now, timings) and pair is not None:
            self._ask(pair, now, timings)
            self._on_question()
        self._report()
        if self._state is PathState.EXPIRED and not self._expired.done():
            self._expired.set_result(None)
        self._set_alarm()

    def _set_alarm(self) -> None:
        # A timer, not a sleeping task: it costs less, and an idle connection does nothing else.
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._expired.done():
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_at(self._liveness.wake_at, self._look)

    def _report(self) -> None:
        liveness = self._liveness
        if liveness.resumptions != self._resumptions:
            self._resumptions = liveness.resumptions
            self._on_resumption()
        if liveness.state is not self._state:
            self._state = liveness.state
            self._on_change(self._state)

    def _fresh_liveness(self) -> Liveness:
        return Liveness(asyncio.get_running_loop().time(), randomize=vary)

    def _ask(self, pair: CandidatePair, now: float, timings: Timings) -> None:
        self._connection.checks_of(pair).asked_for_consent()
        self._questions.ask(pair, now, timings.consent_lifetime)

    def _take_answer(self, pair: CandidatePair, asked_at: float) -> None:
        if pair is not self._pair:
            return
        now = asyncio.get_running_loop().time()
        self._connection.checks_of(pair).took(now - asked_at)
        self.answered_at = now
        self._liveness.answer(now, asked_at)
        self._look()


def consent_timings(settings: IceSettings) -> Timings:
    """Return the timings in force now; a program may change aioice's constants at any time."""
    interval, lifetime = settings.consent_interval, settings.consent_lifetime
    if interval is None:
        interval = aioice.ice.CONSENT_INTERVAL
    if lifetime is None:
        lifetime = interval * aioice.ice.CONSENT_FAILURES
    return Timings(
        consent_interval=interval,
        consent_lifetime=lifetime,
        silence=settings.silence_timeout,
        probe_timeout=settings.probe_timeout,
        probes=settings.probes,
        stall=settings.stall_tolerance,
    )


def vary(interval: float) -> float:
    """Vary an interval as RFC 7675 asks, so that many connections don't keep step."""
    return interval * random.uniform(0.8, 1.2)  # noqa: S311  no secret
