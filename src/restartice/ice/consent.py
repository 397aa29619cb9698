"""Asking for consent on the selected pair, and telling what becomes of the path."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from aioice import stun

from ..seam import CandidatePair, forget_transaction, is_role_conflict, send_request
from .counters import CheckCounter
from .liveness import Liveness, PathState, Timings
from .paths.requests import PendingRequest
from .paths.round_trip import RoundTrip

__all__ = ["PathWatch", "Watched"]


class Watched(Protocol):
    """The connection whose selected pair is watched."""

    heard: bool
    remote_password: str | None

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair that is watched now."""

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a binding request."""

    def checks_of(self, pair: CandidatePair) -> CheckCounter:
        """Return the counter of a pair's checks."""

    def is_dead(self, pair: CandidatePair) -> bool:
        """Say if nothing will ever get through on a pair again."""

    def switch_role(self, ice_controlling: bool) -> None:
        """Become controlling or controlled."""


class PathWatch:
    """Sends the requests that Liveness wants, and tells it what comes in.

    Args:
        connection: Whose selected pair to watch.
        timings: Returns the timings, which may change at any time.
        on_change: Called when the path is lost, or is back, or consent has expired.
        on_resumption: Called when something comes in again after it was missed.

    Attributes:
        heard_at: When it was seen last that something had come in on the pair.
        answered_at: When a request was answered last.
    """

    def __init__(
        self,
        connection: Watched,
        timings: Callable[[], Timings],
        on_change: Callable[[PathState], None],
        on_resumption: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._timings = timings
        self._on_change = on_change
        self._on_resumption = on_resumption
        self._pair: CandidatePair | None = None
        self._state = PathState.ALIVE
        self._resumptions = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._expired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending: dict[bytes, PendingRequest] = {}
        self.heard_at = self.answered_at = asyncio.get_running_loop().time()
        self._liveness = self._fresh_liveness()

    @property
    def round_trip_time(self) -> float | None:
        """The smoothed round trip time in seconds, or None before the first answer."""
        return self._liveness.round_trip.smoothed

    @property
    def round_trip(self) -> RoundTrip:
        """How long an answer takes."""
        return self._liveness.round_trip

    @property
    def lost(self) -> bool:
        """Whether nothing seems to get through on the pair."""
        return self._state is PathState.LOST

    async def run(self) -> None:
        """Watch until consent has expired."""
        try:
            self._look()
            await self._expired
        finally:
            self._set_alarm()
            for transaction_id in list(self._pending):
                self._forget(transaction_id)

    def packet_came(self) -> None:
        """Take note of the first packet since the last look."""
        if self._liveness.attentive:
            asyncio.get_running_loop().call_soon(self._look)

    def request_came(self) -> None:
        """Take note of a valid request of the other end, on the pair that is watched."""
        self.heard_at = asyncio.get_running_loop().time()
        self._liveness.hear(self.heard_at, traffic=False)
        self._report()

    def other_end_moved(self) -> None:
        """Ask at once if the other end is still where it was, which seems not to be so."""
        self._liveness.doubt(asyncio.get_running_loop().time())
        asyncio.get_running_loop().call_soon(self._look)

    def pair_died(self) -> None:
        """Take note that nothing will get through any more, unless another pair is selected."""
        self._look()

    def pair_changed(self) -> None:
        """Take note that another pair is selected."""
        asyncio.get_running_loop().call_soon(self._look)

    def note_traffic(self) -> None:
        """Take note of what has come in since the last look."""
        if self._connection.heard:
            self._connection.heard = False
            self.heard_at = asyncio.get_running_loop().time()
            self._liveness.hear(self.heard_at)

    def ask_now(self) -> None:
        """Ask for a sign of life, beside what is asked for consent."""
        pair = self._connection.selected_pair
        if pair is not None and pair is self._pair and not self._expired.done():
            self._ask(pair, asyncio.get_running_loop().time(), self._timings())

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
        timings = self._timings()
        if self._liveness.advance(now, timings) and pair is not None:
            self._ask(pair, now, timings)
        self._report()
        if self._state is PathState.EXPIRED and not self._expired.done():
            self._expired.set_result(None)
        self._set_alarm()

    def _set_alarm(self) -> None:
        # A callback instead of a task that sleeps: this is all that an idle connection does.
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
        password = self._connection.remote_password
        assert password is not None
        for transaction_id, pending in list(self._pending.items()):
            if now - pending.asked_at > timings.consent_lifetime:
                self._forget(transaction_id)
        request = self._connection.build_request(pair, nominate=False)
        self._connection.checks_of(pair).consent_requests_sent += 1
        key = password.encode()
        pending = PendingRequest(pair, request, key, now, self._take_response)
        self._pending[request.transaction_id] = pending
        send_request(pair, request, key, pending)

    def _take_response(self, request: PendingRequest, response: stun.Message) -> None:
        self._forget(response.transaction_id)
        if request.pair is not self._pair:
            return
        if response.message_class is stun.Class.RESPONSE:
            now = asyncio.get_running_loop().time()
            self._connection.checks_of(request.pair).took(now - request.asked_at)
            self.answered_at = now
            self._liveness.answer(now, request.asked_at)
            self._look()
        elif is_role_conflict(response):
            controlled = "ICE-CONTROLLED" in request.request.attributes
            self._connection.switch_role(ice_controlling=controlled)

    def _forget(self, transaction_id: bytes) -> None:
        pending = self._pending.pop(transaction_id)
        forget_transaction(pending.pair, transaction_id)


def vary(interval: float) -> float:
    """Vary an interval as RFC 7675 asks, so that many connections don't keep step."""
    return interval * random.uniform(0.8, 1.2)  # noqa: S311  no secret
