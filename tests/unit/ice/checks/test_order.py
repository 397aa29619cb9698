import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice.ice.checks.order import ROUND, Hints, Pair, order_checks

BRIDGES = [f"172.{17 + n}.0.1" for n in range(32)]
ADDRESSES = [*BRIDGES[:4], "192.168.1.5", "10.0.0.7", "203.0.113.9", "127.0.0.1", "::1"]
ADDRESSES += ["2001:db8:1::1", "fd00::5", "fe80::1", "not-an-address"]
KINDS = ("host", "prflx", "srflx", "relay")


def pair(
    local: str,
    remote: str,
    kinds: tuple[str, str] = ("host", "host"),
    source: str | None = None,
    priority: int = 0,
) -> Pair:
    return Pair(local, remote, kinds, source, priority)


def ordered(pairs: Sequence[Pair], hints: Hints | None = None) -> list[Pair]:
    return [pairs[place] for place in order_checks(pairs, hints or Hints())]


def test_nothing() -> None:
    assert order_checks([], Hints()) == []


def test_the_pair_in_use_is_first() -> None:
    pairs = [pair(a, b) for a, b in itertools.product(BRIDGES, repeat=2)]
    in_use = (BRIDGES[20], BRIDGES[7])
    first, *_ = ordered(pairs, Hints(in_use, frozenset(BRIDGES[:1])))
    assert (first.local, first.remote) == in_use


@pytest.mark.parametrize("known_default", [True, False])
def test_the_network_that_both_are_in_comes_before_the_bridges(known_default: bool) -> None:
    # Each machine has the same bridges, and the system would send to the other's by its own ones.
    near, far = "192.168.1.5", "192.168.1.9"
    routes = {far: near, **{bridge: bridge for bridge in BRIDGES}}
    pairs = [
        pair(local, remote, source=routes[remote])
        for local in (*BRIDGES, near)
        for remote in (*BRIDGES, far)
    ]
    default = frozenset([near]) if known_default else frozenset()
    found = [(p.local, p.remote) for p in ordered(pairs, Hints(default=default))]
    place = found.index((near, far))
    assert place == (0 if known_default else len(BRIDGES))


def test_where_the_other_end_was_last_comes_before_where_it_never_was() -> None:
    pairs = [pair("10.0.0.2", remote) for remote in (*BRIDGES, "203.0.113.9")]
    first, *_ = ordered(pairs, Hints(("192.168.1.5", "203.0.113.9")))
    assert first.remote == "203.0.113.9"


def test_like_comes_with_like() -> None:
    locals_ = ["192.168.1.5", "10.1.2.3", "fd00::5", "2001:db8:1::1"]
    remotes = ["10.1.2.9", "192.168.1.9", "2001:db8:1::2", "fd00::9"]
    pairs = [pair(a, b) for a, b in itertools.product(locals_, remotes)]
    assert {(p.local, p.remote) for p in ordered(pairs)[:4]} == {
        ("192.168.1.5", "192.168.1.9"),
        ("10.1.2.3", "10.1.2.9"),
        ("fd00::5", "fd00::9"),
        ("2001:db8:1::1", "2001:db8:1::2"),
    }


def test_where_the_system_knows_no_way_comes_last() -> None:
    pairs = [pair("fd00::5", "fd00::9"), pair("fd00::5", "2001:db8::1", source="fd00::5")]
    assert ordered(pairs) == pairs[::-1]


def test_the_better_candidates_come_first_where_there_are_few() -> None:
    kinds = list(itertools.product(("host", "relay"), KINDS))
    pairs = [pair("10.0.0.1", "10.0.0.2", both) for both in kinds]
    in_use = Hints(("10.0.0.1", "10.0.0.2"))
    worst = [max(KINDS.index(kind) for kind in p.kinds) for p in ordered(pairs, in_use)]
    assert worst == sorted(worst)


def test_relayed_candidates_do_not_wait_for_a_thousand_others() -> None:
    pairs = [pair(a, b) for a, b in itertools.product(BRIDGES, repeat=2)]
    relayed = pair("198.51.100.1", "203.0.113.9", ("relay", "relay"))
    assert ordered([*pairs, relayed]).index(relayed) == ROUND


pairs_of_any_kind = st.lists(
    st.builds(
        pair,
        st.sampled_from(ADDRESSES),
        st.sampled_from(ADDRESSES),
        st.tuples(st.sampled_from(["host", "relay"]), st.sampled_from(KINDS)),
        st.sampled_from([None, *ADDRESSES]),
        st.integers(0, 3),
    ),
    max_size=60,
)
any_hints = st.builds(
    Hints,
    st.none() | st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(ADDRESSES)),
    st.frozensets(st.sampled_from(ADDRESSES)),
)


@given(pairs_of_any_kind, any_hints)
def test_each_pair_is_checked_once(pairs: list[Pair], hints: Hints) -> None:
    assert sorted(order_checks(pairs, hints)) == list(range(len(pairs)))


@given(pairs_of_any_kind, any_hints)
def test_no_kind_waits_for_more_than_a_round_of_each_better_one(
    pairs: list[Pair], hints: Hints
) -> None:
    found = ordered(pairs, hints)
    kinds = {tuple(sorted(p.kinds)) for p in found}
    for kind in kinds:
        first = next(place for place, p in enumerate(found) if tuple(sorted(p.kinds)) == kind)
        assert first <= ROUND * (len(kinds) - 1)


@given(pairs_of_any_kind, any_hints)
def test_the_pair_in_use_is_the_first_of_its_kind(pairs: list[Pair], hints: Hints) -> None:
    found = ordered(pairs, hints)
    for kind in {tuple(sorted(p.kinds)) for p in found}:
        of_kind = [p for p in found if tuple(sorted(p.kinds)) == kind]
        if any((p.local, p.remote) == hints.in_use for p in of_kind):
            assert (of_kind[0].local, of_kind[0].remote) == hints.in_use
