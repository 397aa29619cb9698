import itertools

import pytest

from restartice_signaling.protocol.rate_limit import RateLimit, Throttle


def test_a_burst_is_free_and_then_it_takes_time() -> None:
    limit = RateLimit(10.0, 3)
    assert [limit.take(0.0) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert limit.take(1.0) == 0


def test_a_pause_gives_no_more_than_a_burst() -> None:
    limit = RateLimit(10.0, 2)
    limit.take(0.0)
    assert [limit.take(1000.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_it_has_rested_only_after_a_pause_for_a_whole_burst() -> None:
    limit = RateLimit(10.0, 4)
    rested = []
    # Four at once, then late by less than a burst, then by a whole one.
    for now in (0.0, 0.0, 0.0, 0.0, 0.3, 0.8):
        assert limit.take(now) == 0
        rested.append(limit.is_rested)
    assert rested == [True, False, False, False, False, True]


def test_who_keeps_to_half_the_rate_has_rested_soon() -> None:
    limit = RateLimit(10.0, 2)
    assert [limit.take(0.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])
    for number in range(1, 10):
        assert limit.take(number / 5) == 0
    assert limit.is_rested


def test_who_is_too_fast_for_long_is_slowed_down_more_and_more() -> None:
    throttle = Throttle(RateLimit(10.0, 1), patience=5.0)
    now, taken = 0.0, []
    while not throttle.is_exhausted:
        delay = throttle.take(now)
        taken.append(delay)
        now += delay
    assert taken[:2] == pytest.approx([0, 0.1])
    assert all(later > sooner - 1e-9 for sooner, later in itertools.pairwise(taken))
    assert taken[-1] == pytest.approx(0.4)
    assert 5.0 < now < 6.0


def test_who_has_rested_is_as_fast_as_before() -> None:
    throttle = Throttle(RateLimit(10.0, 2), patience=1.0)
    for _ in range(5):
        throttle.take(0.0)
    assert throttle.is_late
    assert throttle.take(100.0) == 0
    assert not throttle.is_late
    assert [throttle.take(100.0) for _ in range(2)] == pytest.approx([0, 0.1])
