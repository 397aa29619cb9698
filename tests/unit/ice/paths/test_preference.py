"""When a call goes over to a network that is preferred. The time is an argument."""

import math
from itertools import pairwise

import pytest

from restartice.ice.paths.preference import (
    DEFERENCE,
    LONGEST,
    PROVING,
    REFUSAL,
    STAY,
    Preference,
    Reputation,
)
from restartice.ice.paths.spares import PATIENCE, Spare, Spares, Standing

RANKS = {"wired": 0.0, "wifi": 1.0, "lte": 2.0}
LIFETIME = 30.0


class World:
    """Pairs of local networks, named by both ends, of which some answer and one is in use."""

    def __init__(self, in_use: str = "lte-x", *others: str, controlling: bool = True) -> None:
        self.now = 100.0
        self.spares: Spares[str] = Spares(2, standing=standing)
        self.reputation = Reputation()
        self.preference: Preference[str] = Preference(self.spares, self.reputation)
        self.controlling = controlling
        self.down: set[str] = set()
        self.moves: list[tuple[float, str]] = []
        self.spares.select(in_use, networks(in_use), self.now)
        self.spares.offer([(pair, networks(pair)) for pair in (others or ("wifi-x",))])

    def spare(self, pair: str) -> Spare[str]:
        spare = self.spares.get(pair)
        assert spare is not None
        return spare

    @property
    def in_use(self) -> str:
        assert self.spares.selected is not None
        return self.spares.selected.pair

    def use(self, pair: str, *, refused: bool = False) -> None:
        """Let another pair be taken into use, as this one fails or the other end refuses it."""
        before = self.spares.selected
        assert before is not None
        spare = self.spares.select(pair, networks(pair), self.now)
        self.reputation.left(spare, self.now, refused=refused)
        before.fail(self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, as the keeper of the paths does."""
        end = self.now + seconds
        while self.now < end:
            for spare in self.spares.due(self.now):
                interval = min(
                    self.spares.interval(self.now), self.preference.question_interval(spare)
                )
                spare.ask(self.now, interval)
                if spare.pair.split("-", maxsplit=1)[0] not in self.down:
                    spare.answer(self.now, self.now, interval)
            self._choose()
            if self.spares.selected is not None and self._is_down(self.in_use):
                best = self.spares.best(self.now, LIFETIME)
                if best is not None and not self._is_down(best.pair):
                    self.use(best.pair)
            times = (self.spares.next_time(self.now), self.preference.wake_at, end)
            self.now = max(self.now + 0.01, min(times))

    def _is_down(self, pair: str) -> bool:
        return pair.split("-", maxsplit=1)[0] in self.down

    def _choose(self) -> None:
        better = self.preference.choose(self.now, LIFETIME, controlling=self.controlling)
        if better is None:
            return
        if self.preference.is_fresh(better, self.now):
            before = self.spares.selected
            assert before is not None
            self.spares.select(better.pair, better.networks, self.now)
            self.reputation.took(better, before, self.now)
            self.moves.append((self.now, better.pair))
        elif self.preference.wake_at <= self.now:
            better.ask(self.now, 1.0)
            if not self._is_down(better.pair):
                better.answer(self.now, self.now, 1.0)


def standing(pair: str) -> Standing:
    name = pair.split("-", maxsplit=1)[0]
    return Standing(RANKS[name], name)


def networks(pair: str) -> tuple[str, str]:
    local, remote = pair.split("-")
    return local, remote


def test_a_better_network_has_to_prove_itself() -> None:
    world = World()
    world.wait(PROVING - 0.1)
    assert world.in_use == "lte-x"
    world.wait(0.5)
    assert world.in_use == "wifi-x"
    world.wait(1000)
    assert len(world.moves) == 1


def test_the_controlled_side_lets_the_other_one_go_first() -> None:
    world = World(controlling=False)
    world.wait(PROVING * DEFERENCE - 0.1)
    assert world.in_use == "lte-x"
    world.wait(0.5)
    assert world.in_use == "wifi-x"


def test_no_move_to_what_is_worse_or_as_good() -> None:
    world = World("wifi-x", "lte-x", "wifi-y")
    world.wait(1000)
    assert world.moves == []


def test_no_move_to_what_does_not_answer() -> None:
    world = World()
    world.down = {"wifi"}
    world.wait(1000)
    assert world.moves == []
    assert world.preference.wake_at == math.inf


def test_the_best_one_comes_last() -> None:
    world = World("lte-x", "wifi-x", "wired-x")
    world.down = {"wired"}
    world.wait(PROVING + 1)
    assert world.in_use == "wifi-x"
    world.down = set()
    world.spares.forgive(world.now)
    world.wait(PROVING + 1)
    assert world.in_use == "wired-x"


def test_the_best_of_all_that_have_proved_themselves() -> None:
    world = World("lte-x", "wifi-x", "wired-x")
    world.wait(PROVING + 1)
    assert [pair for _, pair in world.moves] == ["wired-x"]


def test_the_other_end_stays_where_it_is() -> None:
    """Which of its networks is used is for it to say."""
    world = World("lte-y", "wifi-x", "wifi-y")
    world.wait(PROVING + 1)
    assert world.in_use == "wifi-y"


def test_a_network_that_pauses_begins_anew() -> None:
    world = World()
    for _ in range(20):
        world.down = set()
        world.wait(0.8 * PROVING)
        world.down = {"wifi"}
        world.wait(PATIENCE + 2)
    assert world.moves == []


@pytest.mark.parametrize("up", [6.0, 20.0, 100.0])
def test_a_network_that_comes_and_goes_is_taken_ever_more_rarely(up: float) -> None:
    world = World()
    for _ in range(60):
        world.down = set()
        world.spares.forgive(world.now)
        world.wait(up)
        world.down = {"wifi"}
        world.wait(5)
    # 5, 10, 20, 40, 80 and 160 s are as often as it can have proved itself.
    assert 1 <= len(world.moves) <= 5
    pauses = [after - before for (before, _), (after, _) in pairwise(world.moves)]
    assert pauses == sorted(pauses)


def test_the_time_of_proving_is_bounded() -> None:
    world = World()
    for _ in range(20):
        world.down = set()
        world.wait(LONGEST + 20)
        assert world.in_use == "wifi-x"
        world.down = {"wifi"}
        world.wait(5)
    assert world.reputation.proving_time("wifi") <= LONGEST


def test_a_long_stay_restores_its_reputation() -> None:
    world = World()
    world.wait(PROVING + 1)
    world.down = {"wifi"}
    world.wait(5)
    assert world.reputation.proving_time("wifi") == 2 * PROVING
    world.down = set()
    world.wait(STAY + 60)
    assert world.in_use == "wifi-x"
    world.down = {"wifi"}
    world.wait(5)
    assert world.reputation.proving_time("wifi") == PROVING


def test_a_move_within_the_network_is_no_failure_of_it() -> None:
    world = World("lte-x", "wifi-x", "wifi-y")
    world.wait(PROVING + 1)
    world.use("wifi-y")
    assert world.reputation.proving_time("wifi") == PROVING
    world.down = {"wifi"}
    world.wait(5)
    assert world.reputation.proving_time("wifi") == 2 * PROVING


def test_a_refusal_of_the_other_end_is_not_asked_again_soon() -> None:
    world = World()
    world.wait(PROVING + 0.5)
    assert world.in_use == "wifi-x"
    world.now = world.moves[-1][0] + REFUSAL / 2
    world.use("lte-x", refused=True)
    assert world.reputation.proving_time("wifi") == LONGEST
    world.wait(LONGEST - 10)
    assert len(world.moves) == 1


def test_a_network_that_fails_at_once_was_not_refused() -> None:
    """Although the other end is the first to leave it."""
    world = World()
    world.wait(PROVING + 0.5)
    world.now = world.moves[-1][0] + REFUSAL / 2
    world.use("lte-x", refused=False)
    assert world.reputation.proving_time("wifi") == 2 * PROVING


def test_the_preferred_one_is_kept_ready_among_many() -> None:
    others = [f"lte{number}-y{number}" for number in range(4)]
    RANKS.update({name.split("-", maxsplit=1)[0]: 2.0 for name in others})
    world = World("lte-x", *others, "wifi-x")
    world.wait(2)
    kept = [spare.pair for spare in world.spares.kept(world.now)]
    assert "wifi-x" in kept
    assert len(kept) == 2
    world.wait(PROVING)
    assert world.in_use == "wifi-x"


def test_a_pair_that_was_left_is_fit_for_use() -> None:
    """As one that failed isn't, until it has answered again."""
    world = World()
    world.wait(PROVING + 0.5)
    assert world.spare("lte-x").works(world.now)
