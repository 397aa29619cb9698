"""Ports of a range, and sockets that are closed although whoever opens them is cancelled. (W2)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from conftest import leave_nothing, open_sockets
from loops import run_on
from restartice import IceSettings
from restartice.ice.connection import IceConnection
from restartice.ice.gathering.endpoints import ports_to_try
from restartice.ice.gathering.servers import TurnServer
from restartice.ice.gathering.turn import allocate
from restartice.ice.incoming.guarded_socket import guarded_protocol
from restartice.ice.making import make_ice_connection
from restartice.seam import hear_answers

DEADLINE = 60
# How many turns of the loop the cancellation comes later than the socket.
TURNS = range(5)


def test_all_ports_of_a_range_are_tried_once() -> None:
    assert sorted(ports_to_try((40000, 40009))) == list(range(40000, 40010))
    # Not always in the same order, lest many connections get in each other's way.
    assert len({next(ports_to_try((1, 1000))) for _ in range(20)}) > 1


def test_any_port_will_do() -> None:
    assert list(ports_to_try(None)) == [0]


async def host_candidates(connection: IceConnection) -> None:
    await connection.begin_gathering([])


async def host_candidates_in_a_range(connection: IceConnection) -> None:
    connection.settings = IceSettings(port_range=(42000, 42999))
    # Those after the first one are bound, and wait.
    await connection.get_component_candidates(1, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])


async def a_relayed_address(connection: IceConnection) -> None:
    discard = "127.0.0.1", 9
    server = TurnServer("turn:127.0.0.1:9", discard, "user", "pass", ssl=False, transport="udp")
    receiver = guarded_protocol(connection)
    await allocate(server, discard, "127.0.0.1", IceSettings(), receiver, log=connection.log)


async def a_name(connection: IceConnection) -> None:
    await hear_answers(connection, bytes)


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize(
    "job", [host_candidates, host_candidates_in_a_range, a_relayed_address, a_name]
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_no_socket_stays_when_its_opening_is_cancelled(
    loop: str, job: Callable[[IceConnection], Coroutine[Any, Any, None]], turns: int
) -> None:
    async def cancel() -> None:
        before = open_sockets()
        connection = make_ice_connection(ice_controlling=True)
        task = asyncio.ensure_future(job(connection))
        await within_deadline(socket_opened(before, task))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await within_deadline(connection.close())
        await leave_nothing(before)

    run_on(loop, cancel())


async def socket_opened(before: set[str], task: asyncio.Future[None]) -> None:
    while not open_sockets() - before:
        assert not task.done()
        await asyncio.sleep(0)


async def within_deadline(job: Awaitable[None]) -> None:
    async with asyncio.timeout(DEADLINE):
        await job
