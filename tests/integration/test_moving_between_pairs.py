"""What makes a call go over to another pair, and what doesn't: copies, forgeries, and flapping."""

import asyncio
from collections.abc import Callable
from typing import Any

import aioice.ice
import pytest

from conftest import Factory
from connecting import DEADLINE, connect, transports
from cutting import ice_connection
from restartice import RTCPeerConnection
from restartice.seam import CandidatePair, numbered

ADDRESSES = ["127.0.0.1", "127.0.0.2"]
Changed = tuple[RTCPeerConnection, RTCPeerConnection]


@pytest.fixture(autouse=True)
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each side have two addresses."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: list(ADDRESSES))


async def until(condition: Callable[[], Any]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def working(pc: RTCPeerConnection) -> list[CandidatePair]:
    """Return the pairs that work, but for the one in use."""
    connection = ice_connection(pc)
    works = (p for p in connection.check_list if p.state is CandidatePair.State.SUCCEEDED)
    return [pair for pair in works if pair is not connection.selected_pair]


def selected(pc: RTCPeerConnection) -> CandidatePair:
    """Return the pair in use."""
    pair = ice_connection(pc).selected_pair
    assert pair is not None
    return pair


def nomination(pc: RTCPeerConnection, number: int | None, *, key: bytes) -> bytes:
    """Return what nominates a pair, as a side might send it."""
    connection = ice_connection(pc)
    request = connection.build_request(selected(pc), nominate=True)
    if number is not None:
        request = numbered(request, number)
    request.add_message_integrity(key)
    return bytes(request)


def receive(pair: CandidatePair, datagram: bytes) -> None:
    """Let a datagram come in on a pair."""
    pair.protocol.datagram_received(datagram, pair.remote_addr)


async def make(factory: Factory) -> Changed:
    """Connect a side that controls, and one that is controlled; both know other pairs that work."""
    near, far = factory(), factory()
    await connect(near, far)
    await until(lambda: working(near) and working(far))
    assert ice_connection(near).ice_controlling
    return near, far


def key_of(pc: RTCPeerConnection) -> bytes:
    """Return what is signed with that is sent to a side."""
    return ice_connection(pc).local_password.encode()


async def test_a_nomination_is_followed_once(make_pc: Factory) -> None:
    """Those that are late, or copies that are sent again, are dropped."""
    near, far = await make(make_pc)
    first, other = selected(far), working(far)[0]
    third = nomination(near, 3, key=key_of(far))
    receive(other, third)
    assert selected(far) is other
    receive(first, nomination(near, 2, key=key_of(far)))
    assert selected(far) is other
    receive(first, nomination(near, 4, key=key_of(far)))
    assert selected(far) is first
    receive(other, third)
    assert selected(far) is first


@pytest.mark.parametrize("key", [b"", b"another generation's"])
async def test_what_is_not_signed_moves_nobody(make_pc: Factory, key: bytes) -> None:
    near, far = await make(make_pc)
    for pc, other in ((far, near), (near, far)):
        before = selected(pc)
        for pair in working(pc):
            receive(pair, nomination(other, 9, key=key))
        assert selected(pc) is before


async def test_the_controlled_side_claims_a_pair(make_pc: Factory) -> None:
    """The other one comes along and nominates it, once for each number."""
    near, far = await make(make_pc)
    first, other = selected(near), working(near)[0]
    claim = nomination(far, 5, key=key_of(near))
    receive(other, claim)
    await until(lambda: selected(near) is other)
    await until(lambda: selected(far).local_addr == other.remote_addr)
    receive(first, claim)
    assert selected(near) is other
    assert ice_connection(near).ice_controlling


async def test_traffic_from_a_spare_only_raises_a_question(make_pc: Factory) -> None:
    """Whoever forges its address gets nowhere, as the pair in use answers."""
    near, _ = await make(make_pc)
    first = selected(near)
    for _ in range(20):
        for pair in working(near):
            receive(pair, b"\x80" + bytes(40))
        await asyncio.sleep(0.02)
    assert selected(near) is first
    (transport,) = transports(near)
    assert transport.selected_pair_changes == 1


async def test_flapping_is_bounded(make_pc: Factory) -> None:
    near, far = await make(make_pc)
    pairs = [selected(far), working(far)[0]]
    (transport,) = transports(far)
    before = transport.selected_pair_changes
    for number in range(100):
        receive(pairs[number % 2], nomination(near, 10 + number, key=key_of(far)))
    assert 1 <= transport.selected_pair_changes - before <= 9
    assert transport.state == "completed"


async def test_a_nomination_without_number(make_pc: Factory) -> None:
    """As of other stacks, which are followed as ever."""
    near, far = await make(make_pc)
    other = working(far)[0]
    receive(other, nomination(near, None, key=key_of(far)))
    assert selected(far) is other


async def test_an_idle_call_sends_little(make_pc: Factory) -> None:
    """All that goes out is 1 packet a second, and as much comes in."""
    near, _ = await make(make_pc)
    await asyncio.sleep(3)  # what is tried at first
    sent = 0
    for protocol in ice_connection(near).protocols:
        send = protocol.transport.sendto

        def count(data: bytes, address: Any, send: Any = send) -> None:
            nonlocal sent
            sent += 1
            send(data, address)

        protocol.transport.sendto = count
    await asyncio.sleep(10)
    assert 1 <= sent <= 15
