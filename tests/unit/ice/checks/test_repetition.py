"""A check that isn't answered is repeated soon, and then at a steady pace."""

import itertools

from restartice.ice.checks.repetition import LOOKS, MOST, Repetitions

INTERVAL = 0.5


def repeated(pairs: list[str], seconds: float, interval: float = INTERVAL) -> dict[str, list[int]]:
    """Return after how many milliseconds each pair is repeated that is never answered."""
    repetitions = Repetitions[str](interval)
    found: dict[str, list[int]] = {pair: [] for pair in pairs}
    for look in range(round(seconds / LOOKS) + 1):
        # A bit late, as timers are.
        for pair in repetitions.due(pairs, look * LOOKS + 0.001 * (look % 3)):
            found[pair].append(round(1000 * look * LOOKS))
    return found


def test_the_first_pauses_are_short() -> None:
    times = repeated(["a"], 3.0)["a"]
    assert times[0] <= 100
    assert times[1] <= 250
    assert times[2] <= 500


def test_then_the_pace_is_steady() -> None:
    times = repeated(["a"], 10.0)["a"][3:]
    pauses = {later - earlier for earlier, later in itertools.pairwise(times)}
    assert min(pauses) >= 1000 * INTERVAL
    assert max(pauses) <= 1000 * (INTERVAL + LOOKS)


def test_no_pause_is_longer_than_the_setting() -> None:
    times = repeated(["a"], 2.0, 0.06)["a"]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 100


def test_what_is_answered_is_not_repeated_and_begins_again() -> None:
    repetitions = Repetitions[str](INTERVAL)
    assert repetitions.due(["a", "b"], 0.0) == []
    assert repetitions.due(["b"], 0.051) == ["b"]
    # Checked once more, as for a nomination.
    assert repetitions.due(["a"], 0.1) == []
    assert repetitions.due(["a"], 0.151) == ["a"]


def test_many_pairs_take_turns_at_the_pace_of_checks() -> None:
    pairs = [str(n) for n in range(3 * MOST)]
    repetitions = Repetitions[str](INTERVAL)
    looks = [repetitions.due(pairs, look * LOOKS) for look in range(5)]
    assert max(map(len, looks)) == MOST
    assert {pair for look in looks for pair in look} == set(pairs)
