import pytest

from restartice_signaling.errors import NoPeer, ServerError
from restartice_signaling.rooms import Rooms


@pytest.fixture
def rooms() -> Rooms[str]:
    return Rooms(capacity=3)


def test_the_later_of_two_is_polite(rooms: Rooms[str]) -> None:
    first = rooms.join("1", "room", "a", {"name": "robot"})
    second = rooms.join("2", "room", "b", {})
    assert second.seen_by(first).polite is False
    seen = first.seen_by(second)
    assert (seen.peer, seen.polite, seen.meta) == ("a", True, {"name": "robot"})


def test_a_taken_id_is_replaced_by_a_free_one(rooms: Rooms[str]) -> None:
    first = rooms.join("1", "room", "a", {})
    second = rooms.join("2", "room", "a", {})
    assert first.peer == "a"
    assert second.peer not in {"a", ""}
    assert rooms.recipient(first, second.peer, None) is second


def test_the_same_id_is_free_in_another_room(rooms: Rooms[str]) -> None:
    rooms.join("1", "room", "a", {})
    other = rooms.join("2", "other", "a", {})
    assert other.peer == "a"
    assert rooms.others(other) == []


def test_a_full_room_takes_nobody_until_somebody_leaves(rooms: Rooms[str]) -> None:
    members = [rooms.join(str(n), "room", None, {}) for n in range(3)]
    with pytest.raises(ServerError) as caught:
        rooms.join("4", "room", None, {})
    assert caught.value.code == "room-full"
    rooms.leave(members[1])
    last = rooms.join("4", "room", None, {})
    assert rooms.others(last) == [members[0], members[2]]


def test_an_empty_room_is_gone(rooms: Rooms[str]) -> None:
    for n in range(10):
        rooms.leave(rooms.join("1", f"room{n}", None, {}))
    first = rooms.join("1", "room0", "a", {})
    assert rooms.others(first) == []


def test_a_room_of_two_needs_no_address(rooms: Rooms[str]) -> None:
    first = rooms.join("1", "room", "a", {})
    with pytest.raises(NoPeer, match="no such peer"):
        rooms.recipient(first, None, None)
    second = rooms.join("2", "room", "b", {})
    assert rooms.recipient(first, None, None) is second
    rooms.join("3", "room", "c", {})
    with pytest.raises(NoPeer, match="needs an address"):
        rooms.recipient(first, None, None)
    assert rooms.recipient(first, "b", second.instance) is second


def test_nobody_is_their_own_peer(rooms: Rooms[str]) -> None:
    first = rooms.join("1", "room", "a", {})
    with pytest.raises(NoPeer):
        rooms.recipient(first, "a", None)


def test_what_is_meant_for_an_older_instance_is_refused(rooms: Rooms[str]) -> None:
    first = rooms.join("1", "room", "a", {})
    before = rooms.join("2", "room", "b", {})
    rooms.leave(before)
    reborn = rooms.join("3", "room", "b", {})
    assert reborn.peer == before.peer
    with pytest.raises(NoPeer):
        rooms.recipient(first, "b", before.instance)
    assert rooms.recipient(first, "b", reborn.instance) is reborn
