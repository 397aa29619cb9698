"""Which of the servers that share a Redis are still there."""

from restartice_signaling.server.rooms.fleet import Fleet


def fleet_at(*moments: tuple[float, dict[str, str]]) -> Fleet:
    fleet = Fleet("own", window=10)
    for now, beats in moments:
        fleet.note(now, beats)
    return fleet


def every_second(until: int, beats: dict[str, str]) -> list[tuple[float, dict[str, str]]]:
    return [(float(now), beats) for now in range(until + 1)]


def test_whose_counter_rises_is_there() -> None:
    rising = [(float(now), {"own": "1", "other": str(now)}) for now in range(60)]
    assert list(fleet_at(*rising).silent(59.0)) == []


def test_who_is_silent_is_dead_after_the_window() -> None:
    fleet = fleet_at(*every_second(60, {"own": "1", "other": "7"}))
    assert (list(fleet.silent(3.0)), list(fleet.silent(3.5))) == ([], ["other"])
    assert (list(fleet.dead(10.0)), list(fleet.dead(10.5))) == ([], ["other"])


def test_who_says_that_it_goes_is_silent_at_once() -> None:
    fleet = fleet_at((0.0, {"other": "gone"}))
    assert list(fleet.silent(0.0)) == ["other"]
    assert (list(fleet.dead(10.0)), list(fleet.dead(10.5))) == ([], ["other"])


def test_who_comes_back_is_there_again_and_who_is_buried_is_forgotten() -> None:
    fleet = fleet_at(*every_second(9, {"other": "7"}), (10.0, {"other": "8"}))
    assert list(fleet.silent(11.0)) == []
    fleet.note(11.0, {})
    assert list(fleet.dead(100.0)) == []


def test_a_pause_of_ones_own_says_nothing_of_others() -> None:
    fleet = fleet_at(*every_second(2, {"other": "7"}))
    # Redis was away, or this server.
    assert fleet.note(62.0, {"other": "7"}) == 60.0
    assert list(fleet.silent(62.0)) == []
    assert fleet.note(63.0, {"other": "8"}) == 0.0
    assert list(fleet.dead(73.0)) == []
