import itertools

import pytest

from restartice_signaling.limits import RateLimit, pauses


def test_a_burst_is_free_and_then_it_takes_time() -> None:
    limit = RateLimit(10.0, 3)
    assert [limit.take(0.0) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert limit.take(1.0) == 0


def test_a_pause_gives_no_more_than_a_burst() -> None:
    limit = RateLimit(10.0, 2)
    limit.take(0.0)
    assert [limit.take(1000.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_pauses_are_those_of_the_protocol() -> None:
    longest = list(itertools.islice(pauses(lambda: 1.0), 7))
    assert longest == pytest.approx([0, 0.3, 1.2, 2.7, 4.8, 7, 7])
    assert set(itertools.islice(pauses(lambda: 0.0), 7)) == {0.0}
