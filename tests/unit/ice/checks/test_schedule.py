"""When pairs are checked, by a connection and sockets that answer nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aioice
import aioice.ice
import pytest

from restartice.ice.checks import schedule as checkschedule
from restartice.ice.checks.schedule import FRESH, PACE, SOURCES, CheckPacer, way_to
from restartice.ice.connection import IceConnection
from restartice.ice.making import make_ice_connection

LOOPBACK = "127.0.0.1"
DEADLINE = 60.0
COUNT = 40


class Ear(asyncio.DatagramProtocol):
    """Takes note of when it hears something first."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self.at: float | None = None
        self._heard = heard

    def datagram_received(self, *_: object) -> None:
        if self.at is None:
            self.at = asyncio.get_running_loop().time()
            self._heard()


class Ears:
    """Many sockets."""

    def __init__(self) -> None:
        self.ears: list[Ear] = []
        self.ports: list[int] = []
        self._transports: list[asyncio.DatagramTransport] = []
        self._changed = asyncio.Event()

    async def open(self, count: int) -> None:
        for _ in range(count):
            transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Ear(self._changed.set), local_addr=(LOOPBACK, 0)
            )
            self._transports.append(transport)
            self.ears.append(ear)
            self.ports.append(transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    @property
    def times(self) -> list[float]:
        return [ear.at for ear in self.ears if ear.at is not None]

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.times) < count:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    made = Ears()
    await made.open(COUNT)
    yield made
    made.close()


@asynccontextmanager
async def connecting(
    ports: list[int], pacer: CheckPacer | None = None
) -> AsyncIterator[IceConnection]:
    connection = make_ice_connection(ice_controlling=True)
    connection.remote_username, connection.remote_password = "far", "x" * 22
    if pacer is not None:
        connection.schedule.pacer = pacer
    await connection.begin_gathering([])
    await add(connection, ports)
    task = asyncio.ensure_future(connection.connect())
    yield connection
    task.cancel()
    await asyncio.wait([task])
    await connection.close()


async def add(connection: IceConnection, ports: list[int]) -> None:
    for port in ports:
        await connection.add_remote_candidate(
            aioice.Candidate("1", 1, "udp", 1, LOOPBACK, port, "host")
        )


def test_no_two_checks_of_an_agent_are_closer_than_the_pace() -> None:
    pacer = CheckPacer()
    times = (1.0, 1.0, 1.001, 1.0 + PACE, 1.001 + PACE, 2.0, 2.0)
    assert [pacer.take_turn(now) for now in times] == [True, False, False, True, False, True, False]
    assert pacer.free_at == 2.0 + PACE


async def test_checks_go_out_at_the_pace_and_then_rest(ears: Ears) -> None:
    async with connecting(ears.ports) as connection:
        await ears.wait_for(COUNT)
        # The first one may have been late to be heard, but not by more than until the second.
        assert max(ears.times) - min(ears.times) >= (COUNT - 2) * PACE
        assert not connection.schedule.unsent


async def test_transports_of_an_agent_share_the_pace(ears: Ears) -> None:
    pacer, half = CheckPacer(), COUNT // 2
    async with connecting(ears.ports[:half], pacer), connecting(ears.ports[half:], pacer):
        await ears.wait_for(COUNT)
        assert max(ears.times) - min(ears.times) >= (COUNT - 2) * PACE


async def test_candidates_that_come_late_are_checked_as_well(ears: Ears) -> None:
    async with connecting([]) as connection:
        await add(connection, ears.ports[:1])
        await ears.wait_for(1)
        # It has nothing to do now.
        assert not connection.schedule.unsent
        await add(connection, ears.ports[1:])
        await ears.wait_for(COUNT)


async def test_it_stops_with_the_connection(ears: Ears) -> None:
    async with connecting(ears.ports[:1]) as connection:
        await ears.wait_for(1)
    await connection.close()
    await add(connection, ears.ports[1:])
    assert connection.schedule.unsent is False


async def test_a_thousand_pairs_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [f"127.0.0.{n}" for n in range(1, 33)]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: addresses)
    connection = make_ice_connection(ice_controlling=True)
    await connection.begin_gathering([])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    sorted_at = []
    arrange = connection.schedule._arrange

    def note() -> None:
        sorted_at.append(loop.time())
        arrange()

    monkeypatch.setattr(connection.schedule, "_arrange", note)
    for port in range(9, 9 + 32):
        await add(connection, [port])
        assert connection.schedule.unsent
    assert len(connection.check_list) == 32 * 32
    # They are sorted with the first candidate, and then not with each.
    assert len(sorted_at) <= 2 + (loop.time() - begun) / (32 * 50e-6)
    await connection.close()


def test_a_way_is_remembered_for_a_moment_by_all_connections() -> None:
    checkschedule._ways.clear()
    assert way_to(LOOPBACK) == LOOPBACK
    # Looked up in ten seconds from now, so that it is new for as long as this test takes.
    checkschedule._ways[LOOPBACK] = time.monotonic() + 10, "127.0.0.9"
    assert way_to(LOOPBACK) == "127.0.0.9"
    checkschedule._ways[LOOPBACK] = time.monotonic() - FRESH, "127.0.0.9"
    assert way_to(LOOPBACK) == LOOPBACK


def test_no_more_ways_are_remembered_than_fit() -> None:
    for number in range(2 * SOURCES):
        assert way_to(f"127.0.{number >> 8}.{number & 255}") is not None
        assert len(checkschedule._ways) <= SOURCES
