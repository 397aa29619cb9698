"""How often the other end may have the pair changed. The time is an argument."""

from restartice.ice.paths.peer_moves import CHANGES, RECOVERY, PeerMoves


def test_numbers_of_nominations_rise() -> None:
    moves = PeerMoves(0.0)
    assert moves.admits(3, 0.0, nominates=True, elsewhere=False)
    for number in (1, 2, 3):
        assert not moves.admits(number, 0.0, nominates=True, elsewhere=False)
    assert moves.admits(4, 0.0, nominates=True, elsewhere=False)


def test_changes_are_bounded_and_won_back() -> None:
    moves = PeerMoves(0.0)
    allowed = [moves.admits(None, 0.0, nominates=True, elsewhere=True) for _ in range(2 * CHANGES)]
    assert allowed == [True] * CHANGES + [False] * CHANGES
    assert not moves.may_change(0.9 * RECOVERY)
    assert moves.may_change(2 * RECOVERY)


def test_what_changes_nothing_costs_nothing() -> None:
    moves = PeerMoves(0.0)
    for _ in range(2 * CHANGES):
        assert moves.admits(None, 0.0, nominates=True, elsewhere=False)
        assert moves.admits(None, 0.0, nominates=False, elsewhere=True)
    assert moves.may_change(0.0)
