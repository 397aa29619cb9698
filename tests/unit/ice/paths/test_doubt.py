"""When a silence raises doubt, and what follows from that. The time is an argument."""

import math
from collections.abc import Iterable

import pytest

from restartice.ice.paths.doubt import TICK, Doubt, Verdict


def flow(doubt: Doubt, now: float, seconds: float, gap: float = TICK) -> float:
    """Let traffic come in with gaps, and look at each tick; return when it ended."""
    end, heard_at = now + seconds, now
    while now < end:
        now += TICK
        if now >= heard_at + gap - 1e-9:
            heard_at = now
            doubt.hear(now)
        assert not doubt.look(now)
    return now


def silence_until_doubt(doubt: Doubt, now: float, longest: float = 5.0) -> float:
    """Look at each tick while nothing comes in; return how long it took until doubt began."""
    began = now
    while now < began + longest:
        now += TICK
        if doubt.look(now):
            return now - began
    return math.inf


@pytest.mark.parametrize("gap", [0.02, 0.04, 0.06])
def test_doubt_follows_the_traffic(gap: float) -> None:
    doubt = Doubt(0.0)
    heard = flow(doubt, 0.0, 2.0, gap)
    assert 2 * gap < silence_until_doubt(doubt, heard) <= 3 * gap + 3 * TICK


def test_a_few_packets_say_nothing() -> None:
    doubt = Doubt(0.0)
    heard = flow(doubt, 0.0, 0.1)
    assert silence_until_doubt(doubt, heard) == math.inf
    assert not doubt.flowing


def test_traffic_with_long_gaps_raises_none() -> None:
    doubt = Doubt(0.0)
    heard = flow(doubt, 0.0, 10.0, gap=0.6)
    assert silence_until_doubt(doubt, heard) == math.inf


def test_a_handshake_before_the_traffic_says_nothing() -> None:
    doubt = Doubt(0.0)
    heard = flow(doubt, 0.0, 0.1)
    doubt.hear(heard + 0.4)
    heard = flow(doubt, heard + 0.4, 1.0)
    assert silence_until_doubt(doubt, heard) < 0.15


def test_a_pause_that_heals_makes_patient_for_a_while() -> None:
    doubt = Doubt(0.0)
    heard = flow(doubt, 0.0, 2.0)
    assert silence_until_doubt(doubt, heard) < 0.15
    now = heard + 0.4
    doubt.hear(now)
    assert doubt.since is None
    now = flow(doubt, now, 1.0)
    assert silence_until_doubt(doubt, now) > 0.7
    doubt.hear(now + 1.2)
    now = flow(doubt, now + 1.2, 60.0)
    assert silence_until_doubt(doubt, now) < 0.15


def test_a_program_that_stood_still_is_no_more_patient() -> None:
    """What it has read only then is no sign of long gaps."""
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    patience = doubt.patience
    doubt.hear(now + 0.5, missed=0.48)
    assert doubt.patience == pytest.approx(patience, abs=0.01)
    assert silence_until_doubt(doubt, now + 0.5) < 0.15


def test_the_path_answers() -> None:
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    silence_until_doubt(doubt, now)
    doubt.end()
    assert doubt.since is None
    assert silence_until_doubt(doubt, now + 0.2) == math.inf


def test_traffic_that_had_not_stopped_is_missed_on_another_path() -> None:
    """It has to come along first."""
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    doubt.move(now, traffic_in=0.5)
    assert 0.5 <= silence_until_doubt(doubt, now) <= 0.5 + 2 * TICK
    doubt.move(now + 1.0, traffic_in=0.0)
    assert silence_until_doubt(doubt, now + 1.0) < 0.15


def verdicts(doubt: Doubt, times: Iterable[float], proved_at: float | None) -> list[Verdict]:
    return [doubt.judge(at, proved_at, round_trip=0.02) for at in times]


def test_another_path_has_to_be_heard_alone() -> None:
    doubt = Doubt(0.0)
    assert doubt.begin(1.0)
    wait, switch = Verdict.WAIT, Verdict.SWITCH
    assert verdicts(doubt, (1.01, 1.06, 1.09, 1.2), 1.002) == [wait, wait, switch, switch]
    # It was asked again, or answered late.
    assert verdicts(doubt, (1.2, 1.23, 1.25), 1.2) == [wait, wait, switch]


def test_no_path_answers() -> None:
    doubt = Doubt(0.0)
    assert doubt.begin(1.0)
    assert verdicts(doubt, (1.1, 1.9), None) == [Verdict.WAIT, Verdict.WAIT]
    assert verdicts(doubt, (2.1,), None) == [Verdict.GIVE_UP]


def test_an_answer_may_take_longer_than_another_path_s() -> None:
    doubt = Doubt(0.0)
    assert doubt.begin(1.0)
    assert doubt.judge(1.4, 1.002, round_trip=0.5) is Verdict.WAIT
    assert doubt.judge(1.6, 1.002, round_trip=0.5) is Verdict.SWITCH


def test_doubt_does_not_begin_again_and_again() -> None:
    doubt = Doubt(0.0)
    began = 0
    for second in range(40):
        began += doubt.begin(float(second))
        doubt.end()
    assert 10 <= began <= 14


def test_a_weaker_reason_leaves_a_doubt_for_a_silence() -> None:
    """And takes nothing from what is known of the traffic, however often it is refused."""
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    began = 0
    for _ in range(50):
        began += doubt.begin(now, reserve=1)
        now = flow(doubt, now, TICK)
    assert began == 2
    assert silence_until_doubt(doubt, now) < 0.15


def test_a_silence_is_doubted_as_soon_as_that_is_allowed_again() -> None:
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    for _ in range(3):
        assert doubt.begin(now)
        now = flow(doubt, now, TICK)
    now = flow(doubt, now, 3.5)
    assert 0.3 < silence_until_doubt(doubt, now) < 0.5


def test_the_traffic_goes_on_over_another_path() -> None:
    doubt = Doubt(0.0)
    now = flow(doubt, 0.0, 2.0)
    silence_until_doubt(doubt, now)
    doubt.move(now + 0.2)
    assert doubt.since is None
    assert doubt.heard_at == now + 0.2
    assert silence_until_doubt(doubt, now + 0.2) == math.inf


def test_what_was_justified_does_not_count_against_the_next_doubt() -> None:
    """However often the path in use is cut, the call leaves it as soon as the first time."""
    doubt = Doubt(0.0)
    now = 0.0
    for _ in range(20):
        heard = flow(doubt, now, 1.0)
        silence = silence_until_doubt(doubt, heard)
        assert silence < 0.15
        now = heard + silence + 0.1
        doubt.move(now)
