"""Which generation sends, what state they make up, which ones go, whose a candidate is.

(I2, I5)
"""

import pytest

from restartice.ice.generations import KEPT, Phase, find_generation, superfluous, transport_state

N, C, P, F, L = Phase.NEW, Phase.CHECKING, Phase.NOMINATED, Phase.FAILED, Phase.LOST


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([N], "new"),
        ([C], "checking"),
        ([P], "completed"),
        ([F], "failed"),
        ([P, N], "completed"),
        ([P, C], "connected"),
        ([P, F], "completed"),
        ([F, N], "failed"),
        ([F, C], "checking"),
        ([F, F], "failed"),
        ([C, N], "checking"),
        ([C, C], "checking"),
        ([P, F, C], "connected"),
        ([L], "disconnected"),
        ([L, N], "disconnected"),
        ([L, C], "checking"),
        ([L, F], "disconnected"),
    ],
)
def test_state(phases: list[Phase], expected: str) -> None:
    assert transport_state(phases) == expected


@pytest.mark.parametrize(
    ("phases", "expected"),
    [([C], "checking"), ([P], "connected"), ([L], "disconnected"), ([F], "failed"), ([N], "new")],
)
def test_state_while_checks_go_on(phases: list[Phase], expected: str) -> None:
    assert transport_state(phases, checks_ended=False) == expected


@pytest.mark.parametrize("count", range(1, 8))
def test_superfluous_are_neither_the_first_nor_the_newest(count: int) -> None:
    places = superfluous(count)
    assert 0 not in places
    assert len(range(count)) - len(places) == min(count, 1 + KEPT)
    assert not set(places) & set(range(count - KEPT, count))


def test_candidate_is_found_by_its_username_fragment() -> None:
    assert find_generation("b", ["a", "b"]) == 1
    assert find_generation("a", ["a", "b"]) == 0


def test_candidate_without_one_is_the_newest_generations() -> None:
    assert find_generation(None, ["a", "b"]) == 1
    assert find_generation(None, []) is None


def test_candidate_with_an_unknown_one_is_nobodys() -> None:
    assert find_generation("c", ["a", "b"]) is None
