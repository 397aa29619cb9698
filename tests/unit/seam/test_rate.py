"""What comes in is counted as aiortc counts it."""

import random

import pytest
from aiortc.rate import RateCounter

from restartice.seam.rate import SparseRateCounter

WINDOW = 1000


@pytest.mark.parametrize("longest_pause", [2, 40, 3 * WINDOW])
def test_rates_are_those_of_aiortc(longest_pause: int) -> None:
    chance = random.Random(longest_pause)
    ours, theirs = SparseRateCounter(WINDOW, 8000), RateCounter(WINDOW, 8000)
    now = 1_000_000
    rates: set[int | None] = set()
    for turn in range(3000):
        now += chance.randrange(longest_pause)
        if turn % 1000 == 999:
            ours.reset()
            theirs.reset()
        if chance.random() < 0.8:
            size = chance.randrange(1500)
            ours.add(size, now)
            theirs.add(size, now)
        rates.add(theirs.rate(now))
        assert ours.rate(now) == theirs.rate(now)
    assert len(rates) > 500
    assert None in rates


def test_it_keeps_no_more_than_a_window() -> None:
    counter = SparseRateCounter(WINDOW)
    for now in range(5 * WINDOW):
        counter.add(100, now)
        counter.add(100, now)
    assert len(counter.filled) == WINDOW


def test_a_clock_that_goes_back_lets_it_not_grow() -> None:
    counter = SparseRateCounter(WINDOW)
    counter.add(100, 5 * WINDOW)
    for now in range(3 * WINDOW):
        counter.add(100, now)
    assert len(counter.filled) == 1
