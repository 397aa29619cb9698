"""Which pairs are kept, and when each is asked. The time is an argument."""

import math
from itertools import pairwise, product

import pytest

from restartice.ice.paths.spares import (
    IDLE_INTERVAL,
    INTERVAL,
    PATIENCE,
    REPETITION,
    TRIALS,
    TRIES,
    Networks,
    Spares,
)


def all_pairs(local: str, remote: str) -> list[tuple[str, Networks]]:
    """Return the pairs of networks with these letters, named by both, best first."""
    return [(near + far, (near, far)) for near, far in product(local, remote)]


def made(local: str = "ab", remote: str = "xy", limit: int = 2) -> Spares[str]:
    """Return spares of a connection that uses the first of these pairs, with all others tried."""
    spares: Spares[str] = Spares(limit)
    pairs = all_pairs(local, remote)
    spares.select(*pairs[0], 0.0)
    spares.offer(pairs)
    return spares


def answer(spares: Spares[str], pair: str, now: float, seconds: float = 0.01) -> None:
    spare = spares.get(pair)
    assert spare is not None
    spare.ask(now, spares.interval(now))
    spare.answer(now + seconds, now, spares.interval(now))


def names(spares: Spares[str], now: float) -> list[str]:
    return [spare.pair for spare in spares.kept(now)]


def test_those_are_kept_that_work_and_share_least() -> None:
    spares = made()
    assert names(spares, 0.0) == []
    for pair in ("ay", "bx", "by"):
        answer(spares, pair, 1.0)
    assert names(spares, 1.1) == ["by", "ay"]
    best = spares.best(1.1, 30.0)
    assert best is not None
    assert best.pair == "by"


def test_one_for_each_two_networks() -> None:
    spares: Spares[str] = Spares(2)
    spares.select("ax", ("a", "x"), 0.0)
    pairs = [(f"by{number}", ("b", "y")) for number in range(5)]
    assert spares.offer(pairs) == ["by0", "by1"]
    for pair in ("by0", "by1"):
        answer(spares, pair, 1.0)
    assert names(spares, 1.1) == ["by0"]


def test_the_pair_in_use_is_no_spare() -> None:
    spares = made()
    answer(spares, "by", 1.0)
    spares.select("by", ("b", "y"), 2.0)
    assert "by" not in names(spares, 2.0)
    assert names(spares, 2.0) == ["ax"]


def test_all_are_asked_in_turn_as_rarely_as_one() -> None:
    spares = made()
    for pair in ("ay", "bx", "by"):
        answer(spares, pair, 0.0)
    asked = 0
    now = 1.0
    while now < 101.0:
        for spare in spares.due(now):
            asked += 1
            spare.ask(now, spares.interval(now))
            spare.answer(now + 0.01, now, spares.interval(now))
        now = max(now + 0.001, spares.next_time(now))
    assert 95 / INTERVAL <= asked <= 105 / INTERVAL


def test_one_that_never_answers_is_given_up() -> None:
    spares = made("a", "xy")
    now, asked = 0.0, 0
    while (now := max(now, spares.next_time(now))) < math.inf:
        (spare,) = spares.due(now)
        spare.ask(now, spares.interval(now))
        asked += 1
    assert asked == TRIES
    spares.forgive(100.0)
    assert [spare.pair for spare in spares.due(100.0)] == ["ay"]


def test_one_lost_answer_is_forgiven() -> None:
    spares = made()
    answer(spares, "by", 0.0)
    spare = spares.get("by")
    assert spare is not None
    spare.ask(4.0, INTERVAL)
    assert spare.works(4.4)
    assert 4.4 < spare.due_at() < 4.0 + PATIENCE
    spare.ask(4.5, INTERVAL)
    spare.answer(4.51, 4.5, INTERVAL)
    assert spare.works(5.9)


def test_one_that_stops_answering_rests_and_comes_back() -> None:
    spares = made()
    answer(spares, "by", 0.0)
    spare = spares.get("by")
    assert spare is not None
    now, times = 4.0, []
    while now < 100.0:
        spare.ask(now, INTERVAL)
        times.append(now)
        now = spare.due_at()
    assert not spare.works(now)
    assert spares.best(now, 30.0) is None
    assert names(spares, now) == ["by"]
    # It goes on to be asked, ever more rarely.
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 0.6
    assert pauses[-1] == 4 * INTERVAL
    spare.answer(now, now - 0.01, INTERVAL)
    assert spare.works(now)


def test_consent_to_send_ends() -> None:
    spares = made()
    answer(spares, "by", 0.0)
    assert spares.best(29.0, 30.0) is not None
    assert spares.best(31.0, 30.0) is None


def test_a_proof_is_an_answer_to_a_question_asked_since() -> None:
    spares = made()
    answer(spares, "by", 1.0, seconds=0.5)
    assert spares.best(2.0, 30.0, since=1.2) is None
    answer(spares, "by", 1.9)
    assert spares.best(2.0, 30.0, since=1.2) is not None


def test_one_that_failed_does_not_work_at_once() -> None:
    spares = made()
    answer(spares, "by", 1.0)
    spare = spares.get("by")
    assert spare is not None
    spare.fail(2.0)
    assert not spare.works(2.0)
    assert spare.due_at() == 2.0


def test_hosts_with_many_addresses_make_few_questions() -> None:
    letters = [chr(code) for code in range(0x100, 0x140)]
    pairs = [(near + far, (near, far)) for near, far in product(letters, letters)]
    spares: Spares[str] = Spares(2)
    spares.select(*pairs[0], 0.0)
    assert len(spares.offer(pairs)) == TRIALS
    assert spares.offer(pairs) == []


def test_pairs_that_are_gone_are_forgotten() -> None:
    spares = made()
    answer(spares, "by", 0.0)
    spares.forget_others(["ax", "ay"])
    assert spares.get("by") is None
    assert names(spares, 0.0) == []


def rest(spares: Spares[str], pair: str, now: float) -> float:
    """Ask a spare in vain until it rests; return when it is asked next."""
    spare = spares.get(pair)
    assert spare is not None
    spare.fail(now)
    for _ in range(TRIES + 2):
        now = spare.due_at()
        spare.ask(now, spares.interval(now))
    return spare.due_at()


def test_one_that_rests_may_come_back() -> None:
    spares = made("ab", "xy", limit=1)
    assert not spares.hopeful()
    answer(spares, "by", 1.0)
    due_at = rest(spares, "by", 2.0)
    now = due_at - 0.1
    assert spares.best(now, 30.0) is None
    assert spares.hopeful()


def test_one_that_rests_is_asked_when_the_other_end_asks() -> None:
    """Not more often than anything is repeated, as the other end may not hear the answers."""
    spares = made("ab", "xy", limit=1)
    answer(spares, "by", 1.0)
    spare = spares.get("by")
    assert spare is not None
    before = spare.due_at()
    spare.was_asked_for(1.5)
    assert spare.due_at() == before
    due_at = rest(spares, "by", 2.0)
    assert due_at - spare.asked_at > INTERVAL
    spare.was_asked_for(spare.asked_at + 0.1)
    assert spare.due_at() - spare.asked_at == pytest.approx(REPETITION)
    spare.ask(now := spare.due_at(), spares.interval(now))
    assert spare.due_at() - now > INTERVAL
    spare.was_asked_for(now + 3.0)
    assert spare.due_at() == now + 3.0


def test_without_traffic_there_are_fewer_questions() -> None:
    """But enough for consent to last, also if some of them get lost."""
    spares = made("ab", "xy")
    for pair in ("ay", "by"):
        answer(spares, pair, 1.0)
    assert spares.interval(1.1) == 2 * INTERVAL
    spares.idle = True
    assert spares.interval(1.1) == IDLE_INTERVAL
    answer(spares, "by", 1.1)
    spare = spares.get("by")
    assert spare is not None
    now = spare.due_at()
    for _ in range(TRIES - 1):
        spare.ask(now, spares.interval(now))
        now = spare.due_at()
    assert now < 1.1 + 30.0
