"""Sessions and rooms in memory, with the time passed in."""

import json
from dataclasses import dataclass, field

import pytest

from restartice_signaling import BackendLimits, BadMessage, Limits, MemoryBackend, ServerError
from restartice_signaling.server.rooms.interface import (
    Claim,
    JoinRequest,
    Lease,
    Outcome,
    Overloaded,
)


@dataclass(eq=False)
class Client:
    """Notes what a backend says to a connection."""

    told: list[tuple[int, str]] = field(default_factory=list)
    dismissed: list[int] = field(default_factory=list)

    def wake(self) -> None:
        raise AssertionError("nothing comes from elsewhere")

    def tell(self, seq: int, text: str) -> None:
        self.told.append((seq, text))

    def dismiss(self, code: int, reason: str) -> None:
        assert reason
        self.dismissed.append(code)

    @property
    def events(self) -> list[tuple[str, str]]:
        messages = [json.loads(text) for _, text in self.told]
        return [(m["event"], m["peer"]) for m in messages if m["type"] == "peer"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def join(backend: MemoryBackend, peer: str | None, claim: Claim = Claim.NONE) -> Lease:
    return await backend.join(JoinRequest("room", peer, {}, claim), Client())


def client(lease: Lease) -> Client:
    assert isinstance(lease.outlet, Client)
    return lease.outlet


async def send(backend: MemoryBackend, lease: Lease, seq: int, text: str = '{"x":1}') -> Outcome:
    return await backend.relay(lease, seq, None, None, text, force=False)


async def test_messages_are_numbered_kept_and_forgotten() -> None:
    backend = MemoryBackend()
    first, second = await join(backend, "a"), await join(backend, "b")
    for seq in (1, 2, 3):
        assert await send(backend, first, seq) is Outcome.DONE
    assert client(second).told == [(1, '{"x":1}'), (2, '{"x":1}'), (3, '{"x":1}')]
    assert [seq for seq, _ in await backend.waiting(second, 1, 10)] == [2, 3]
    assert [seq for seq, _ in await backend.waiting(second, 0, 2)] == [1, 2]
    await backend.acknowledge(second, 2)
    assert [seq for seq, _ in await backend.waiting(second, 0, 10)] == [3]
    with pytest.raises(BadMessage, match="expected an acknowledgment up to"):
        await backend.acknowledge(second, 4)


async def test_a_resume_goes_on_where_it_was_and_an_old_seat_has_no_say() -> None:
    backend = MemoryBackend()
    first, second = await join(backend, "a"), await join(backend, "b")
    await send(backend, first, 1)
    await backend.detach(second)
    assert client(first).events[-1] == ("away", "b")
    await send(backend, first, 2)
    again = await backend.resume(second.session, second.key, 1, Client())
    assert again is not None
    assert (again.resumed, again.instance, again.peer) == (True, second.instance, "b")
    assert again.key != second.key
    assert client(first).events[-1] == ("back", "b")
    assert [seq for seq, _ in await backend.waiting(again, 1, 10)] == [2]
    assert await backend.waiting(second, 0, 10) == []
    assert await send(backend, second, 1) is Outcome.LOST
    await backend.leave(second, "late")
    assert client(first).events[-1] == ("back", "b")


@pytest.mark.parametrize("last", [0, 3])
async def test_what_is_not_there_any_more_or_never_was_cannot_be_resumed(last: int) -> None:
    backend = MemoryBackend()
    first, second = await join(backend, "a"), await join(backend, "b")
    await send(backend, first, 1)
    await backend.acknowledge(second, 1)
    assert await backend.resume(second.session, second.key, last, Client()) is None


async def test_whose_session_cannot_be_resumed_gets_a_new_one_for_its_key() -> None:
    clock = Clock()
    backend = MemoryBackend(BackendLimits(resume_window=10), clock=clock)
    first, second = await join(backend, "a"), await join(backend, "b", Claim.ALWAYS)
    await send(backend, first, 1)
    await backend.acknowledge(second, 1)
    assert await backend.resume(second.session, second.key, 0, Client(), "room") is None
    assert await backend.readmit(second.session, "0" * 32, Client(), "room") is None
    assert await backend.readmit(second.session, second.key, Client(), "another") is None
    again = await backend.readmit(second.session, second.key, Client(), "room")
    assert again is not None
    assert (again.peer, again.resumed, again.session != second.session) == ("b", False, True)
    assert client(first).events[-2:] == [("left", "b"), ("joined", "b")]
    # Only once, and not for ever.
    assert await backend.readmit(second.session, second.key, Client(), "room") is None
    assert await backend.resume(again.session, again.key, 7, Client()) is None
    clock.now = 10.0
    await backend.sweep()
    assert await backend.readmit(again.session, again.key, Client(), "room") is None


async def test_a_session_is_resumed_in_its_own_room_only() -> None:
    backend = MemoryBackend()
    first = await join(backend, "a")
    with pytest.raises(ServerError, match="another room"):
        await backend.resume(first.session, first.key, 0, Client(), "elsewhere")
    assert client(first).dismissed == []
    assert await backend.resume(first.session, first.key, 0, Client(), "room") is not None


async def test_too_much_in_all_is_at_the_cost_of_those_for_whom_most_waits() -> None:
    backend = MemoryBackend(BackendLimits(max_total_buffered=10_000))
    deaf = [await join(backend, f"deaf-{number}") for number in range(4)]
    first, second = await join(backend, "a"), await join(backend, "b")
    for seq, lease in enumerate(deaf, 1):
        sent = await backend.relay(first, seq, lease.peer, None, "x" * 2_000, force=False)
        assert sent is Outcome.DONE
    assert await backend.relay(first, 5, "b", None, "x" * 5_000, force=False) is Outcome.DONE
    assert backend._buffered <= 10_000
    assert client(second).dismissed == []
    assert 4008 in {code for lease in deaf for code in client(lease).dismissed}


async def test_the_keys_before_hold_until_the_newest_has_arrived() -> None:
    backend = MemoryBackend()
    leases = [await join(backend, "a")]
    for _ in range(3):
        lease = await backend.resume(leases[0].session, leases[0].key, 0, Client())
        assert lease is not None
        leases.append(lease)
    assert [client(lease).dismissed for lease in leases] == [[4001], [4001], [4001], []]
    # An older connection can't confirm.
    await backend.confirm(leases[1])
    await backend.confirm(leases[-1])
    assert await backend.resume(leases[0].session, leases[0].key, 0, Client()) is None
    assert await backend.resume(leases[0].session, leases[-1].key, 0, Client()) is not None


async def test_a_session_ends_when_its_window_is_over() -> None:
    clock = Clock()
    backend = MemoryBackend(BackendLimits(resume_window=10), clock=clock)
    first, second = await join(backend, "a"), await join(backend, "b")
    await backend.detach(second)
    clock.now = 9.9
    await backend.sweep()
    assert client(first).events[-1] == ("away", "b")
    clock.now = 10.0
    await backend.sweep()
    assert client(first).events[-1] == ("left", "b")
    assert await backend.resume(second.session, second.key, 0, Client()) is None


async def test_who_has_no_room_makes_wait_and_is_given_up_by_force() -> None:
    backend = MemoryBackend(client_limits=Limits(max_unacknowledged=2))
    first, second = await join(backend, "a"), await join(backend, "b")
    assert [await send(backend, first, seq) for seq in (1, 2, 3)] == [
        Outcome.DONE,
        Outcome.DONE,
        Outcome.FULL,
    ]
    # Nothing was done.
    assert len(client(second).told) == 2
    forced = await backend.relay(first, 3, None, None, "{}", force=True)
    assert (forced, client(second).dismissed) == (Outcome.DONE, [4008])
    await backend.detach(second)
    assert client(first).events[-1] == ("left", "b")
    assert await backend.resume(second.session, second.key, 0, Client()) is None


async def test_all_that_waits_is_bounded_and_the_count_of_it_is_right() -> None:
    backend = MemoryBackend(BackendLimits(max_total_buffered=10_000))
    first, second = await join(backend, "a"), await join(backend, "b")
    assert await send(backend, first, 1, "x" * 9_000) is Outcome.DONE
    assert await send(backend, first, 2, "x" * 9_000) is Outcome.FULL
    await backend.acknowledge(second, 1)
    assert await send(backend, first, 2, "x" * 9_000) is Outcome.DONE
    await backend.leave(second, "bye")
    await backend.leave(first, "bye")
    assert (backend._buffered, backend._sessions, backend._rooms) == (0, {}, {})


async def test_ids_and_claims() -> None:
    backend = MemoryBackend()
    owner = await join(backend, "a")
    for claim in (Claim.NONE, Claim.IF_AWAY):
        assert (await join(backend, "a", claim)).peer != "a"
    await backend.detach(owner)
    assert (await join(backend, "a", Claim.NONE)).peer != "a"
    reborn = await join(backend, "a", Claim.IF_AWAY)
    assert (reborn.peer, reborn.instance != owner.instance) == ("a", True)
    by_token = await join(backend, "a", Claim.ALWAYS)
    assert (by_token.peer, client(reborn).dismissed) == ("a", [4001])
    assert await backend.relay(by_token, 1, "a", None, "{}", force=False) is Outcome.NO_PEER


async def test_messages_for_somebody_before_reach_nobody() -> None:
    backend = MemoryBackend()
    first, second = await join(backend, "a"), await join(backend, "b")
    old = second.instance
    await backend.leave(second, "bye")
    await join(backend, "b")
    assert await backend.relay(first, 1, "b", old, "{}", force=False) is Outcome.NO_PEER
    assert await backend.relay(first, 2, "b", None, "{}", force=False) is Outcome.DONE


async def test_limits_on_peers_rooms_and_sessions() -> None:
    backend = MemoryBackend(BackendLimits(max_peers=2, max_rooms=1, max_sessions=2))
    first = await join(backend, "a")
    with pytest.raises(Overloaded, match="rooms"):
        await backend.join(JoinRequest("another"), Client())
    await join(backend, "b")
    with pytest.raises(ServerError, match="2 peers"):
        await join(backend, "c")
    with pytest.raises(Overloaded, match="sessions"):
        await backend.join(JoinRequest("another"), Client())
    await backend.leave(first, "bye")
    assert (await join(backend, "c")).peer == "c"


async def test_a_token_is_used_once_until_it_has_expired() -> None:
    backend = MemoryBackend()
    assert await backend.use_once("token", 1.0)
    assert not await backend.use_once("token", 1.0)
    # It is refused for its time now, and needn't be remembered.
    await backend.sweep()
    assert backend._used_tokens == {}


async def test_a_server_that_lacks_what_was_acknowledged_resumes_nothing() -> None:
    backend = MemoryBackend()
    lease = await join(backend, "a")
    await backend.skip(lease, 3)
    again = await backend.resume(lease.session, lease.key, 0, Client(), "room", 3)
    assert again is not None
    assert await backend.resume(again.session, again.key, 0, Client(), "room", 4) is None
