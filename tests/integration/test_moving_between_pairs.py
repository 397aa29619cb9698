"""What makes a call go over to another pair, and what doesn't: copies, forgeries, and flapping."""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

import aioice.ice
import pytest
from aioice import stun

from conftest import Factory
from connecting import DEADLINE, connect, transports, wait_for_state
from cutting import Cut, ice_connection
from restartice import (
    AutomaticRestart,
    IceSettings,
    PathEnds,
    PathSwitched,
    RestartEvent,
    RTCPeerConnection,
)
from restartice.ice.connection import IceConnection
from restartice.ice.paths import doubt, spares
from restartice.ice.paths.inquiry import EARLY
from restartice.seam import CandidatePair, address_of, numbered

ADDRESSES = ["127.0.0.1", "127.0.0.2"]
# How many calls there are in one process.
CALLS = 20
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
    assert transport._core.selected_pair_changes == 1


async def test_traffic_from_a_spare_leaves_us_watchful(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much there was, a cut raises doubt, long before probes time out."""
    hedged: list[CandidatePair | None] = []
    hedge = IceConnection.hedge

    def note(connection: IceConnection, pair: CandidatePair | None) -> None:
        hedged.append(pair)
        hedge(connection, pair)

    monkeypatch.setattr(IceConnection, "hedge", note)
    near, far = await make(make_pc)
    monkeypatch.setattr(doubt, "RECOVERY", math.inf)
    async with Flow(near, far, interval=0.05) as flow:
        for _ in range(200):
            for pc in (near, far):
                receive(working(pc)[0], b"\x80" + bytes(40))
            await asyncio.sleep(0.005)
        await flow.goes_on()
        pair = selected(near)
        hedged.clear()
        cut_in_use(near, far)
        await until(partial(has_left, near, pair))
        assert any(hedged)


async def test_flapping_is_bounded(make_pc: Factory) -> None:
    near, far = await make(make_pc)
    pairs = [selected(far), working(far)[0]]
    (transport,) = transports(far)
    before = transport._core.selected_pair_changes
    for number in range(100):
        receive(pairs[number % 2], nomination(near, 10 + number, key=key_of(far)))
    assert 1 <= transport._core.selected_pair_changes - before <= 9
    assert transport.state == "completed"


async def test_a_nomination_without_number(make_pc: Factory) -> None:
    """As of other stacks, which are followed as ever."""
    near, far = await make(make_pc)
    other = working(far)[0]
    receive(other, nomination(near, None, key=key_of(far)))
    assert selected(far) is other


async def test_a_program_prefers_a_network(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    """By a function. One that fails is logged, once, and prefers nothing."""

    def fail(name: str, address: str) -> float:
        raise LookupError(name, address)

    def prefer(_name: str, address: str) -> float:
        return -ADDRESSES.index(address)

    near = make_pc(iceSettings=IceSettings(prefer=prefer))
    far = make_pc(iceSettings=IceSettings(prefer=fail))
    await connect(near, far)
    await until(lambda: selected(near).local_candidate.host == ADDRESSES[-1])
    await until(lambda: selected(far).remote_addr == selected(near).local_addr)
    assert ice_connection(near).reason == "preferred"
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage().split(maxsplit=1)[1] for record in failures] == [
        "IceSettings.prefer has failed"
    ]


async def test_statistics_and_events_tell_of_spares_and_switches(make_pc: Factory) -> None:
    near, far = await make(make_pc)
    events: list[RestartEvent] = []
    changes: list[None] = []
    (transport,) = transports(near)
    transport.on("selectedcandidatepairchange", lambda: changes.append(None))
    async with AutomaticRestart(near, on_restart=events.append):
        await asyncio.sleep(0)  # it has begun to listen
        before, pairs = await statistics(near)
        spares = [p for p in pairs.values() if p.id != before.selectedCandidatePairId]
        ready = [pair for pair in spares if pair.state == "succeeded"]
        assert ready
        assert all((pair.currentRoundTripTime or 0) > 0 for pair in ready)
        assert all(pair.packetsSent == 0 for pair in ready)
        first, other = selected(near), working(near)[0]
        receive(other, nomination(far, 5, key=key_of(near)))
        await until(lambda: selected(near) is other)
        after, pairs = await statistics(near)
    assert after.selectedCandidatePairChanges == before.selectedCandidatePairChanges + 1
    assert pairs[after.selectedCandidatePairId].state == "succeeded"
    assert after.selectedCandidatePairId != before.selectedCandidatePairId
    assert len(changes) == 1
    (event,) = events
    assert isinstance(event, PathSwitched)
    assert event.reason == "peer"
    assert event.before == PathEnds(first.local_addr, first.remote_addr)
    assert event.after == PathEnds(other.local_addr, other.remote_addr)
    assert 0 <= event.silence < DEADLINE


async def statistics(pc: RTCPeerConnection) -> tuple[Any, dict[str | None, Any]]:
    """Return the statistics of the transport, and those of its pairs by their ids."""
    report = await pc.getStats()
    (transport,) = [entry for entry in report.values() if entry.type == "transport"]
    pairs = [entry for entry in report.values() if entry.type == "candidate-pair"]
    return transport, {pair.id: pair for pair in pairs}


def count_sent(pc: RTCPeerConnection) -> list[bytes]:
    """Return a list that each datagram goes into which a side sends from now on."""
    sent: list[bytes] = []
    for protocol in ice_connection(pc).protocols:
        send = protocol.transport.sendto

        def note(data: bytes, address: Any, send: Any = send) -> None:
            sent.append(data)
            send(data, address)

        protocol.transport.sendto = note
    return sent


class Flow:
    """Messages that both sides send, each 20 ms or as often as is wanted."""

    def __init__(self, *sides: RTCPeerConnection, interval: float = 0.02) -> None:
        self._interval = interval
        self._channels = [pc.createDataChannel("f", negotiated=True, id=9) for pc in sides]
        self._task: asyncio.Task[None] | None = None
        self.received = 0

    async def __aenter__(self) -> Self:
        for channel in self._channels:
            channel.on("message", self._count)
        await until(lambda: all(c.readyState == "open" for c in self._channels))
        self._task = asyncio.create_task(self._send())
        await until(lambda: self.received > 50)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def goes_on(self) -> None:
        """Return when there are some more."""
        received = self.received
        await until(lambda: self.received > received + 10)

    def _count(self, _: object) -> None:
        self.received += 1

    async def _send(self) -> None:
        while True:
            for channel in self._channels:
                if channel.readyState == "open":
                    channel.send("x")
            await asyncio.sleep(self._interval)


def has_left(pc: RTCPeerConnection, pair: CandidatePair) -> bool:
    """Say if a side doesn't use a pair any more."""
    return selected(pc) is not pair


def cut_in_use(*sides: RTCPeerConnection) -> list[Cut]:
    """Let nothing out of the sockets in use any more."""
    return [Cut(pc) for pc in sides]


@pytest.mark.parametrize("closing", ["near", "far"])
async def test_closing_in_the_middle_of_a_move(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, closing: str
) -> None:
    """When it is in doubt, and sends on two pairs: nothing goes wrong, nothing is left behind."""
    near, far = await make(make_pc)
    async with Flow(near, far):
        pc = near if closing == "near" else far
        (transport,) = transports(pc)
        cut_in_use(near, far)
        await until(lambda: transport._core._second is not None)
        async with asyncio.timeout(DEADLINE):
            await pc.close()
        assert pc.connectionState == "closed"
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("role", ["controlling", "controlled"])
async def test_a_peer_that_has_pruned_the_spare(make_pc: Factory, role: str) -> None:
    """It answers there, but neither checks nor sends, as libwebrtc; a new port makes a new pair."""
    near, far = make_pc(), make_pc(iceSettings=IceSettings(spares=0))
    await connect(*((near, far) if role == "controlling" else (far, near)))
    await until(lambda: working(near))
    selected_before = selected(near).local_candidate.priority
    theirs = ice_connection(far)
    pruned = {address_of(candidate) for candidate in theirs.all_remote_candidates}
    check_incoming = theirs.check_incoming

    def check_new(message: stun.Message, addr: tuple[str, int], protocol: Any) -> None:
        if addr not in pruned:
            check_incoming(message, addr, protocol)

    theirs.check_incoming = check_new  # type: ignore[method-assign]
    async with Flow(near, far) as flow:
        cut_in_use(near, far)
        await until(lambda: selected(far).remote_addr not in pruned)
        await flow.goes_on()
    # That of the first port, so that there was no other.
    assert selected(far).remote_candidate.priority == selected_before + (1 << 8)
    assert selected(near).local_candidate.type == "prflx"
    assert ice_connection(near).ice_controlling
    _, pairs = await statistics(near)
    candidates = await near.getStats()
    assert all(pair.localCandidateId in candidates for pair in pairs.values())


async def test_a_peer_that_keeps_the_controlling_role(make_pc: Factory) -> None:
    """It moves nowhere and drops checks that claim its role, as Pion: the path counts as lost."""
    near, far = make_pc(iceSettings=IceSettings(spares=0)), make_pc()
    await connect(near, far)
    await until(lambda: working(far))
    first, theirs = selected(far), ice_connection(near)
    answer = theirs.request_received

    def answer_modest(
        message: stun.Message, addr: tuple[str, int], protocol: object, *datagram: bytes
    ) -> None:
        if "ICE-CONTROLLING" not in message.attributes:
            answer(message, addr, protocol, *datagram)

    theirs.request_received = answer_modest  # type: ignore[method-assign]
    async with Flow(near, far) as flow:
        cuts = cut_in_use(near, far)
        await wait_for_state(far, "iceConnectionState", "disconnected")
        assert selected(far) is not first
        assert not ice_connection(far).ice_controlling
        # And so it stays, although there are answers on the other pair.
        answers = ice_connection(far).checks_of(selected(far)).responses_received
        await until(
            lambda: ice_connection(far).checks_of(selected(far)).responses_received > answers
        )
        assert far.iceConnectionState == "disconnected"
        for cut in cuts:
            cut.heal()
        await until(lambda: selected(far) is first)
        await flow.goes_on()
        await wait_for_state(far, "iceConnectionState", "completed")


async def test_a_busy_event_loop_moves_calls_too(make_pc: Factory) -> None:
    """Where each turn of it takes longer than a look may be late."""
    near, far = await make(make_pc)

    async def work() -> None:
        while True:
            time.sleep(0.06)  # noqa: ASYNC251  that is the matter
            await asyncio.sleep(0)

    async with Flow(near, far) as flow:
        working_hard = asyncio.create_task(work())
        await flow.goes_on()
        pair = selected(near)
        cut_in_use(near, far)
        await until(partial(has_left, near, pair))
        await flow.goes_on()
        working_hard.cancel()


async def test_many_calls_move_at_a_time(make_pc: Factory) -> None:
    """A network dies that all connections of a process use."""
    calls = [await make(make_pc) for _ in range(CALLS)]
    async with AsyncExitStack() as stack:
        flows = [await stack.enter_async_context(Flow(*sides)) for sides in calls]
        before = [[selected(pc) for pc in sides] for sides in calls]
        for sides in calls:
            cut_in_use(*sides)
        for sides, pairs in zip(calls, before, strict=True):
            for pc, pair in zip(sides, pairs, strict=True):
                await until(partial(has_left, pc, pair))
        for flow in flows:
            await flow.goes_on()
        assert {pc.iceConnectionState for sides in calls for pc in sides} == {"completed"}


async def test_an_idle_call_sends_little(make_pc: Factory) -> None:
    """Each end sends 1 packet a second at most, and so as much comes in."""
    sides = await make(make_pc)
    await asyncio.sleep(3)  # what is tried at first
    sent = [count_sent(pc) for pc in sides]
    await asyncio.sleep(10)
    assert [len(packets) for packets in sent] == [pytest.approx(6, abs=4)] * 2


async def test_idle_spares_are_asked_along_with_the_pair_in_use(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nothing wakes up for them, and before they are due by themselves."""
    monkeypatch.setattr(spares, "IDLE_INTERVAL", EARLY + 2.0)
    near, _ = await make(make_pc)
    connection = ice_connection(near)
    asked: dict[CandidatePair, list[float]] = {}
    build = connection.build_request

    def note(pair: CandidatePair, nominate: bool) -> stun.Message:
        asked.setdefault(pair, []).append(asyncio.get_running_loop().time())
        return build(pair, nominate)

    monkeypatch.setattr(connection, "build_request", note)

    def along() -> bool:
        moments = asked.get(selected(near), [])
        others = [time for pair in working(near) for time in asked.get(pair, [])]
        return any(0 <= other - moment < 0.002 for moment in moments for other in others)

    await until(along)


async def test_without_spares_only_consent_is_asked_for(make_pc: Factory) -> None:
    """The packets are those of RFC 7675: a request each 4 to 6 s, and an answer to each."""
    near, far = (make_pc(iceSettings=IceSettings(spares=0)) for _ in range(2))
    await connect(near, far)
    await asyncio.sleep(3)  # the end of the checks
    sent = [count_sent(pc) for pc in (near, far)]
    await asyncio.sleep(10)
    kinds = [Counter(stun.parse_message(data).message_class for data in side) for side in sent]
    request, response = stun.Class.REQUEST, stun.Class.RESPONSE
    for kind, other in (kinds, kinds[::-1]):
        assert 1 <= kind[request] <= 3
        assert kind[response] == other[request]
        assert kind.total() == kind[request] + kind[response]
