"""Consent and liveness, at times that the tests make up. (I6)."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice import IceSettings
from restartice.ice.consent import consent_timings
from restartice.ice.liveness import Liveness, PathState, RoundTrip

ALIVE, LOST, EXPIRED = PathState.ALIVE, PathState.LOST, PathState.EXPIRED
TIMINGS = consent_timings(IceSettings())


class Path:
    """A path in front of a Liveness, and a clock.

    Args:
        round_trip: Seconds until an answer.
        traffic: Seconds from one incoming packet to the next, or None for none.
    """

    def __init__(self, round_trip: float = 0.02, traffic: float | None = None) -> None:
        self.now = 1000.0
        self.liveness = Liveness(self.now, randomize=lambda interval: interval)
        self.sending_works = True
        self.receiving_works = True
        self.requests: list[float] = []
        self.changes: list[tuple[float, PathState]] = []
        self._round_trip = round_trip
        self._traffic = traffic
        self._traffic_due = self.now
        self._answers: list[tuple[float, float]] = []

    def cut(self) -> None:
        self.sending_works = self.receiving_works = False

    def heal(self) -> None:
        self.sending_works = self.receiving_works = True

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time go on; return how much did."""
        start, end = self.now, self.now + seconds
        while self.now < end and not until():
            self.now = min(end, self._next_event())
            state = self.liveness.state
            self._deliver()
            if self.liveness.wake_at <= self.now:
                self._advance()
            if self.liveness.state is not state:
                self.changes.append((self.now, self.liveness.state))
        return self.now - start

    def until(self, state: PathState, limit: float = 60) -> float:
        """Let time go on until the state is reached; return how long that took."""
        passed = self.run(limit, until=lambda: self.liveness.state is state)
        assert self.liveness.state is state
        return passed

    def arrives(self) -> bool:
        """Say if a packet isn't lost on its way by chance."""
        return True

    def _next_event(self) -> float:
        times = [self.liveness.wake_at, *(at for at, _ in self._answers)]
        if self._traffic is not None:
            times.append(self._traffic_due)
        return min(max(self.now, at) for at in times)

    def _deliver(self) -> None:
        due = [answer for answer in self._answers if answer[0] <= self.now]
        for answer in due:
            self._answers.remove(answer)
            if self.receiving_works and self.arrives() and self.arrives():
                self.liveness.answer(self.now, asked_at=answer[1])
        while self._traffic is not None and self._traffic_due <= self.now:
            self._traffic_due += self._traffic
            if self.receiving_works and self.arrives():
                self.hear()

    def hear(self) -> None:
        attentive = self.liveness.attentive
        self.liveness.hear(self.now)
        if attentive:
            self._advance()

    def doubt(self) -> None:
        self.liveness.doubt(self.now)
        self._advance()

    def _advance(self) -> None:
        if self.liveness.advance(self.now, TIMINGS):
            self.requests.append(self.now)
            if self.sending_works:
                self._answers.append((self.now + self._round_trip, self.now))


class LossyPath(Path):
    """A path that loses packets at random, always the same ones."""

    def __init__(self, round_trip: float, traffic: float, loss: float) -> None:
        super().__init__(round_trip, traffic)
        self._loss = loss
        self._chance = random.Random(1)

    def arrives(self) -> bool:
        return self._chance.random() >= self._loss


def test_requests_for_consent_on_a_quiet_path() -> None:
    path = Path()
    path.run(21)
    assert [at - 1000.0 for at in path.requests] == [0, 5, 10, 15, 20]
    assert path.changes == []


def test_traffic_makes_no_further_requests() -> None:
    path = Path(traffic=0.03)
    path.run(21)
    assert len(path.requests) == 5
    assert path.changes == []


def test_a_pause_of_the_traffic_is_asked_about_once() -> None:
    path = Path()
    path.run(1)
    path.hear()
    path.run(3.5)
    assert [at - 1000.0 for at in path.requests] == [0, 2]
    assert path.changes == []


def test_lost_soon_where_traffic_came_in() -> None:
    for moment in (0.5, 0.8, 7.65, 7.77, 7.9):
        path = Path(traffic=0.03)
        path.run(moment)
        path.cut()
        assert path.until(LOST) <= 1.8


def test_a_little_later_where_it_came_in_now_and_then() -> None:
    path = Path(traffic=0.6)
    path.run(8.1)
    path.cut()
    assert 2.3 <= path.until(LOST) <= 2.8


def test_one_packet_is_no_steady_traffic() -> None:
    path = Path()
    path.run(5.5)
    path.hear()
    path.cut()
    assert 2.3 <= path.until(LOST) <= 2.8


@pytest.mark.parametrize("round_trip", [0.02, 0.3])
@pytest.mark.parametrize("traffic", [0.0125, 0.05, 0.2, 3.0])
def test_loss_of_a_fifth_is_hardly_ever_a_lost_path(traffic: float, round_trip: float) -> None:
    """With media it never is; with messages now and then it may be, until the next answer."""
    path = LossyPath(round_trip, traffic, loss=0.2)
    path.run(600)
    losses = [state for _, state in path.changes if state is LOST]
    assert EXPIRED not in [state for _, state in path.changes]
    assert len(losses) <= (0 if traffic < 0.1 else 1 if traffic < 1 else 15)


def test_lost_within_8_seconds_where_nothing_came_in() -> None:
    path = Path()
    path.run(15.1)  # just after the answer to a request
    path.cut()
    assert path.until(LOST) <= 6.5 + 0.5 * TIMINGS.probes


@pytest.mark.parametrize("after", [0.0, 0.01, 0.3, 0.9])
def test_lost_within_8_seconds_where_the_first_request_is_never_answered(after: float) -> None:
    # The last packets come in after the first request was sent.
    path = Path(round_trip=2.0, traffic=0.005)
    path.run(after + 0.001)
    path.cut()
    assert path.until(LOST) < 8


@pytest.mark.parametrize("works", ["sending_works", "receiving_works"])
def test_lost_in_one_direction(works: str) -> None:
    path = Path(traffic=0.03)
    path.run(10.1)
    path.cut()
    setattr(path, works, True)
    assert path.until(LOST) <= 5 + 0.5 * (3 * TIMINGS.probes + 1) + 0.1
    path.run(10)
    assert [state for _, state in path.changes] == [LOST]


@pytest.mark.parametrize("traffic", [None, 0.03])
def test_healed(traffic: float | None) -> None:
    path = Path(traffic=traffic)
    path.run(10.1)
    path.cut()
    path.until(LOST)
    path.run(5.2)
    path.heal()
    assert path.until(ALIVE) <= 0.6
    path.run(20)
    assert path.liveness.state is ALIVE
    assert len(path.changes) == 2


def test_back_with_the_first_packet_although_nothing_is_answered() -> None:
    path = Path(traffic=0.03)
    path.run(10.1)
    path.cut()
    path.until(LOST)
    path.receiving_works = True
    assert path.until(ALIVE) <= 0.031
    assert path.requests[-1] == path.now
    # But what we send doesn't arrive.
    assert path.until(LOST) <= 0.5 * 3 * TIMINGS.probes + 0.1
    path.run(10)
    assert path.liveness.state is LOST


def test_consent_expires_30_seconds_after_the_last_answer() -> None:
    path = Path()
    path.run(12)
    path.cut()
    path.until(EXPIRED)
    assert path.now - 1000.0 == pytest.approx(10 + 0.02 + 30)
    requests = len(path.requests)
    path.heal()
    path.hear()
    path.run(20)
    assert path.liveness.state is EXPIRED
    assert len(path.requests) == requests


def test_traffic_gives_no_consent() -> None:
    path = Path(traffic=0.03)
    path.sending_works = False
    assert path.until(EXPIRED) == pytest.approx(30)


def test_round_trip_of_a_second() -> None:
    path = Path(round_trip=1.2, traffic=0.03)
    path.run(60)
    assert path.changes == []
    path.cut()
    assert path.until(LOST) <= 1.25 + TIMINGS.probes * 3


def test_a_quiet_path_with_a_round_trip_of_a_second() -> None:
    path = Path(round_trip=1.2)
    path.run(60)
    assert path.changes == []
    assert len(path.requests) <= 1 + 60 // 5


@pytest.mark.parametrize("traffic", [None, 0.03])
def test_lost_soon_where_the_other_end_has_moved(traffic: float | None) -> None:
    path = Path(traffic=traffic)
    path.run(12)
    # What it sends comes in nevertheless, but from where it is now.
    path.sending_works = False
    path.doubt()
    assert path.until(LOST) < 1.2
    path.hear()
    path.run(10)
    assert path.liveness.state is LOST
    path.heal()
    path.until(ALIVE)
    path.run(60)
    assert path.liveness.state is ALIVE
    # Such a doubt doesn't outlast the answer.
    path.sending_works = False
    assert path.until(LOST) > 2.5


@pytest.mark.parametrize("traffic", [None, 0.03])
def test_a_doubt_that_is_answered_has_no_effect(traffic: float | None) -> None:
    path = Path(traffic=traffic)
    path.run(12)
    before = len(path.requests)
    path.doubt()
    path.run(0.1)
    assert len(path.requests) == before + 1
    path.run(60)
    assert path.changes == []


def test_an_older_answer_dispels_no_doubt() -> None:
    path = Path(round_trip=0.2)
    path.run(5.1)
    path.sending_works = False
    path.doubt()
    path.until(LOST)


def test_our_own_stall_is_forgiven() -> None:
    path = Path(traffic=0.03)
    path.run(9.99)
    for _ in range(3):
        # The program stands still; what came in meanwhile hasn't been read yet.
        path.now += 40
        path.liveness.advance(path.now, TIMINGS)
        assert path.liveness.state is ALIVE
        path._traffic_due = path.now + 0.03
        path.run(1.5)
    assert path.changes == []


def test_a_stall_does_not_hide_a_lost_path() -> None:
    path = Path(traffic=0.03)
    path.run(10.1)
    path.cut()
    path.now += 40
    assert path.until(LOST) <= 2.3
    path.until(EXPIRED)


def test_timings_are_those_of_the_call() -> None:
    liveness = Liveness(0.0, randomize=lambda interval: interval)
    short = consent_timings(IceSettings(consent_interval=0.1, consent_lifetime=0.6))
    assert liveness.advance(0.0, short)
    assert not liveness.advance(0.05, short)
    assert liveness.advance(0.1, short)
    while liveness.wake_at < 0.7:
        liveness.advance(liveness.wake_at, short)
    assert liveness.state is EXPIRED


@given(st.lists(st.booleans(), min_size=20, max_size=60), st.sampled_from([0.02, 0.3]))
def test_a_lossy_path_expires_only_without_answers(losses: list[bool], round_trip: float) -> None:
    now, answered_at = 0.0, 0.0
    liveness = Liveness(now, randomize=lambda interval: interval)
    for lost in losses:
        asked = liveness.advance(now, TIMINGS)
        if asked and not lost:
            answered_at = now + round_trip
            liveness.answer(answered_at, asked_at=now)
            liveness.wake_at = answered_at
        expired = now - answered_at >= TIMINGS.consent_lifetime
        assert (liveness.state is EXPIRED) == expired
        now = max(liveness.wake_at, answered_at) if not expired else now


def test_round_trip() -> None:
    round_trip = RoundTrip()
    assert round_trip.timeout(0.5) == 1.5
    for _ in range(50):
        round_trip.measure(1.0)
    assert round_trip.smoothed == pytest.approx(1.0)
    assert round_trip.timeout(0.5) == pytest.approx(1.0, abs=0.01)
    for _ in range(50):
        round_trip.measure(0.02)
    assert round_trip.timeout(0.5) == 0.5


@pytest.mark.parametrize("after", [0.0, 3.0])
def test_a_path_that_is_gone_for_certain_never_comes_back(after: float) -> None:
    path = Path(traffic=0.02)
    path.run(5)
    path.cut()
    path.run(after)
    path.liveness.lose()
    assert path.liveness.state is LOST
    # Whatever comes in now has come another way.
    path.heal()
    path.run(60)
    path.cut()
    path.until(EXPIRED)
    assert [state for _, state in path.changes][-1] is EXPIRED
    assert ALIVE not in [state for time, state in path.changes if time >= path.now - 60]


def test_answers_of_a_peer_that_does_not_come_along_do_not_count() -> None:
    path = Path()
    path.run(5)
    path.liveness.refuse()
    assert path.liveness.state is LOST
    path.run(2)
    assert path.liveness.state is LOST
    path.until(EXPIRED)


def test_traffic_shows_that_the_peer_has_come_along() -> None:
    path = Path()
    path.run(5)
    path.liveness.refuse()
    path.liveness.hear(path.now, traffic=False)
    assert path.liveness.state is LOST
    path.liveness.hear(path.now)
    assert path.liveness.state is ALIVE
    path.run(60)
    assert path.liveness.state is ALIVE
