"""How fast negotiations may follow one another."""

import itertools
import logging

import pytest

from restartice_signaling.negotiation.pace import BURST, RATE, Pace


def test_a_few_at_once() -> None:
    pace = Pace("RTCPeerConnection(1)")
    assert [pace.pause(7.0) for _ in range(BURST)] == [0] * BURST
    # After a rest as many again.
    assert [pace.pause(7.0 + BURST / RATE) for _ in range(BURST)] == [0] * BURST


def test_without_end_each_waits_its_turn() -> None:
    pace, now, times = Pace("RTCPeerConnection(1)"), 0.0, []
    for _ in range(200):
        now += pace.pause(now) + 0.025
        times.append(now)
    assert times[BURST - 1] < 1
    # What was left of the burst is soon used up.
    gaps = [later - sooner for sooner, later in itertools.pairwise(times[100:])]
    assert min(gaps) == pytest.approx(1 / RATE)
    assert max(gaps) == pytest.approx(1 / RATE)


def test_a_clock_that_stands_still() -> None:
    pace = Pace("RTCPeerConnection(1)")
    pauses = [pace.pause(1.0) for _ in range(BURST + 3)]
    assert pauses[BURST:] == [1 / RATE, 2 / RATE, 3 / RATE]


async def test_the_warning_comes_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pace = Pace("RTCPeerConnection(1)")
    for _ in range(BURST):
        await pace.keep()
    assert not caplog.records
    for _ in range(2):
        await pace.keep()
    assert [record.getMessage() for record in caplog.records] == [
        "RTCPeerConnection(1): the two sides negotiate without end: from now on once a second"
    ]
