"""Nominating after the other side's first check: what gets lost, dies, or changes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import aioice
import pytest
from aioice import stun
from aioice.ice import CandidatePair

from restartice import IceSettings
from restartice.ice.checks import nomination
from restartice.ice.checks.nomination import nominate_at_once, nominate_when_checked
from restartice.ice.connection import IceConnection

LOOPBACK = "127.0.0.1"
DEADLINE = 60.0
PASSWORD = "x" * 22


class FarEnd(asyncio.DatagramProtocol):
    """Answers checks, but those that nominate only as it is told to."""

    def __init__(self) -> None:
        self.nominations: list[bytes] = []
        # Of each check, whether it nominates.
        self.checks: list[bool] = []
        # How many nominations get lost, and what the others are answered with.
        self.losing = 0
        self.refusal: tuple[int, str] | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, address: Any) -> None:
        request = stun.parse_message(data)
        if request.message_class is not stun.Class.REQUEST:
            return
        self.checks.append("USE-CANDIDATE" in request.attributes)
        refused = None
        if "USE-CANDIDATE" in request.attributes:
            self.nominations.append(request.transaction_id)
            if len(self.nominations) <= self.losing:
                return
            refused = self.refusal
        kind = stun.Class.ERROR if refused else stun.Class.RESPONSE
        response = stun.Message(stun.Method.BINDING, kind, request.transaction_id)
        if refused:
            response.attributes["ERROR-CODE"] = refused
        else:
            response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(PASSWORD.encode())
        self.transport.sendto(bytes(response), address)

    def nominate(self, connection: IceConnection) -> None:
        """Send a check that nominates, as the side that controls does."""
        (near,) = connection.local_candidates
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{connection.local_username}:far"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(connection.local_password.encode())
        self.transport.sendto(bytes(request), (near.host, near.port))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nomination, "PATIENCE", 10 * DEADLINE)


@asynccontextmanager
async def far_ends(count: int) -> AsyncIterator[list[FarEnd]]:
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_datagram_endpoint(FarEnd, local_addr=(LOOPBACK, 0)))[1]
        for _ in range(count)
    ]
    try:
        yield made
    finally:
        for far in made:
            far.transport.close()


@asynccontextmanager
async def valid_pairs(
    fars: list[FarEnd], settings: IceSettings | None = None
) -> AsyncIterator[IceConnection]:
    """Answer a restart, up to where the pair with each end works and the other side may check."""
    async with checking(fars, nominate_when_checked, settings) as connection:
        await until(lambda: [p.state for p in connection.check_list] == [SUCCEEDED] * len(fars))
        yield connection


@asynccontextmanager
async def checking(
    fars: list[FarEnd],
    nominate: Callable[[IceConnection], Coroutine[Any, Any, None]],
    settings: IceSettings | None = None,
    in_use: str = LOOPBACK,
) -> AsyncIterator[IceConnection]:
    """Check the pairs with each end, as the side that controls, while a pair like them is in use.

    Args:
        fars: The ends.
        nominate: How it nominates one.
        settings: The settings.
        in_use: The remote address of the pair that is in use.
    """
    connection = IceConnection(ice_controlling=True)
    connection.settings = settings or IceSettings()
    connection.remote_is_lite = True
    connection.remote_username, connection.remote_password = "far", PASSWORD
    await connection.begin_gathering([])
    (near,) = connection.local_candidates
    connection.schedule.prefer((near.host, in_use))
    for far in fars:
        await connection.add_remote_candidate(
            aioice.Candidate("1", 1, "udp", 1, LOOPBACK, far.port, "host")
        )
    tasks = [
        asyncio.ensure_future(nominate(connection)),
        asyncio.ensure_future(connection.connect()),
    ]
    try:
        yield connection
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        await connection.close()


SUCCEEDED = CandidatePair.State.SUCCEEDED


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


async def until_selected(connection: IceConnection) -> int:
    """Return the other end's port of the pair that was nominated."""
    await until(lambda: connection.selected_pair is not None)
    assert connection.selected_pair is not None
    port: int = connection.selected_pair.remote_addr[1]
    return port


async def test_a_nomination_that_gets_lost_is_repeated_at_the_pace_of_the_settings() -> None:
    settings = IceSettings(check_repetition=0.05)
    async with far_ends(1) as (far,), valid_pairs([far], settings) as connection:
        # aioice alone sends six within 15 seconds.
        far.losing = 6
        connection.asked.set()
        await until_selected(connection)
        assert len(far.nominations) > 6
        assert len(set(far.nominations)) == 1


async def test_where_a_pair_dies_before_it_is_nominated_another_one_is() -> None:
    async with far_ends(2) as fars, valid_pairs(fars) as connection:
        first = connection.check_list[0].remote_addr[1]
        dead, alive = sorted(fars, key=lambda far: far.port != first)
        dead.losing = 1000
        connection.asked.set()
        assert await until_selected(connection) == alive.port
        assert dead.nominations


async def test_a_pair_that_dies_for_a_while_is_nominated_when_it_is_back() -> None:
    async with far_ends(1) as (far,), valid_pairs([far]) as connection:
        far.losing = 12
        connection.asked.set()
        assert await until_selected(connection) == far.port
        assert len(far.nominations) > 12


async def test_a_pair_that_succeeds_while_another_one_is_nominated_in_vain_gets_its_turn() -> None:
    async with far_ends(2) as (dead, late), valid_pairs([dead]) as connection:
        dead.losing = 1000
        connection.asked.set()
        await until(lambda: bool(dead.nominations))
        await connection.add_remote_candidate(
            aioice.Candidate("1", 1, "udp", 1, LOOPBACK, late.port, "host")
        )
        assert await until_selected(connection) == late.port


async def test_in_a_conflict_of_roles_the_other_side_nominates() -> None:
    async with far_ends(1) as (far,), valid_pairs([far]) as connection:
        far.refusal = (487, "Role Conflict")
        connection.asked.set()
        await until(lambda: not connection.ice_controlling)
        assert connection.selected_pair is None
        far.nominate(connection)
        assert await until_selected(connection) == far.port
        assert len(far.nominations) == 1


async def nominate_soon(connection: IceConnection) -> None:
    await nominate_at_once(connection, 0.05)


async def test_the_pair_like_the_one_in_use_is_nominated_with_its_first_check() -> None:
    async with far_ends(2) as fars, checking(fars, nominate_soon) as connection:
        port = await until_selected(connection)
        chosen, other = sorted(fars, key=lambda far: far.port != port)
        assert (len(chosen.nominations), len(other.nominations)) == (1, 0)
        assert chosen.checks[0]


async def test_if_it_does_not_answer_another_one_is_nominated() -> None:
    async with far_ends(2) as fars:
        for far in fars:
            # Which of them is checked first isn't known, but the other one is nominated later.
            far.losing = 1000
        async with checking(fars, nominate_soon) as connection:
            await until(lambda: any(far.nominations for far in fars))
            dead, alive = sorted(fars, key=lambda far: not far.nominations)
            alive.losing = 0
            assert await until_selected(connection) == alive.port
            assert len(set(dead.nominations)) == 1


async def test_nothing_is_nominated_at_once_that_is_not_like_the_one_in_use() -> None:
    async with (
        far_ends(1) as (far,),
        checking([far], nominate_soon, in_use="127.0.0.2") as connection,
    ):
        assert await until_selected(connection) == far.port
        assert far.checks[:2] == [False, True]
        assert len(far.nominations) == 1
