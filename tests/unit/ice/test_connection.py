"""A generation's connection, by itself: how it checks, and whose timings are in force."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioice
import aioice.ice
import aiortc.rtcicetransport
import pytest
from aioice import stun

from restartice import IceSettings
from restartice.ice import remote
from restartice.ice.connection import IceConnection
from restartice.ice.consent import consent_timings
from restartice.ice.credentials import IceCredentials
from restartice.ice.incoming import peer_reflexive
from restartice.ice.making import make_ice_connection

LOOPBACK = "127.0.0.1"
DEADLINE = 60.0
PASSWORD = "x" * 22


class Silent(asyncio.DatagramProtocol):
    """Counts the requests and the answers that come in, and answers none."""

    def __init__(self) -> None:
        self.count = self.answers = 0
        self.changed = asyncio.Event()
        self.requests: list[bytes] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        message = stun.parse_message(data)
        if message.message_class is stun.Class.REQUEST:
            self.count += 1
            self.requests.append(message.transaction_id)
        else:
            self.answers += 1
        self.changed.set()

    async def wait_for(self, count: int, *, answers: int = 0) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.count < count or self.answers < answers:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def silent() -> AsyncIterator[tuple[Silent, int]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Silent, local_addr=(LOOPBACK, 0)
    )
    yield protocol, transport.get_extra_info("sockname")[1]
    transport.close()


async def test_checks_are_repeated_at_the_pace_of_the_settings(silent: tuple[Silent, int]) -> None:
    far, port = silent
    # aioice alone sends seven in all, within 32 seconds.
    async with connecting_to(port, IceSettings(check_repetition=0.05)):
        await far.wait_for(15)


async def test_a_check_in_progress_is_repeated_when_the_other_side_checks(
    silent: tuple[Silent, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # I11, with nothing else that would send it again.
    monkeypatch.setattr(stun, "RETRY_RTO", 10 * DEADLINE)
    loop = asyncio.get_running_loop()
    far, port = silent
    async with connecting_to(port, IceSettings(check_repetition=10 * DEADLINE)) as (connection, _):
        await far.wait_for(1)
        send_check(connection, far)
        await far.wait_for(2)
        # However fast the other side checks, it gets no more back than some repetitions a second.
        begun = loop.time()
        for _ in range(200):
            send_check(connection, far)
        await far.wait_for(2, answers=201)
        elapsed = loop.time() - begun
        assert far.count <= 3 + elapsed / 0.02
        assert len(set(far.requests)) == 1


class Answering(Silent):
    """Answers each request of an agent whose remote password is this."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        super().datagram_received(data, addr)
        request = stun.parse_message(data)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = addr
        response.add_message_integrity(PASSWORD.encode())
        self.transport.sendto(bytes(response), addr)


async def test_a_pair_that_was_not_nominated_is_checked_when_the_other_side_checks(
    silent: tuple[Silent, int],
) -> None:
    far, port = silent
    live, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Answering, local_addr=(LOOPBACK, 0)
    )
    async with connecting_to(port, IceSettings()) as (connection, connecting):
        await far.wait_for(1)
        await add_candidate(connection, live.get_extra_info("sockname")[1])
        await asyncio.wait_for(connecting, DEADLINE)
        before = far.count
        send_check(connection, far)
        await far.wait_for(before + 1, answers=1)
        assert far.requests[-1] not in far.requests[:before]
    live.close()


async def add_candidate(connection: IceConnection, port: int) -> None:
    """Tell a connection of another candidate of the other side."""
    await connection.add_remote_candidate(
        aioice.Candidate("1", 1, "udp", 1, LOOPBACK, port, "host")
    )


def send_check(connection: IceConnection, far: Silent) -> None:
    """Let a connection be checked."""
    (near,) = connection.local_candidates
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{connection.local_username}:far"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLED"] = 1
    request.add_message_integrity(connection.local_password.encode())
    far.transport.sendto(bytes(request), (near.host, near.port))


@asynccontextmanager
async def connecting_to(
    port: int, settings: IceSettings
) -> AsyncIterator[tuple[IceConnection, asyncio.Task[None]]]:
    """Let a connection check a port; yield it, and what is done when a pair is nominated."""
    connection = IceConnection(ice_controlling=True)
    connection.settings = settings
    connection.remote_username, connection.remote_password = "far", PASSWORD
    await connection.begin_gathering([])
    await add_candidate(connection, port)
    connecting = asyncio.ensure_future(connection.connect())
    yield connection, connecting
    connecting.cancel()
    await asyncio.wait([connecting])
    await connection.close()


def test_aioices_constants_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = IceSettings()
    assert consent_timings(settings).consent_lifetime == 30
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 2)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 4)
    timings = consent_timings(settings)
    assert (timings.consent_interval, timings.consent_lifetime) == (2, 8)
    own = consent_timings(IceSettings(consent_interval=3, consent_lifetime=9))
    assert (own.consent_interval, own.consent_lifetime) == (3, 9)


def test_liveness_timings_are_those_of_the_settings() -> None:
    timings = consent_timings(
        IceSettings(silence_timeout=7, probe_timeout=8, probes=9, stall_tolerance=10)
    )
    assert (timings.silence, timings.probe_timeout) == (7, 8)
    assert (timings.probes, timings.stall) == (9, 10)


async def test_a_patched_class_is_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(make_ice_connection(ice_controlling=True)) is IceConnection

    class Patched(aioice.Connection):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.made_by = type(self)

    def make(**kwargs: Any) -> Patched:
        return Patched(**kwargs)

    for replacement in (Patched, make):
        monkeypatch.setattr(aiortc.rtcicetransport, "Connection", replacement)
        made: Any = make_ice_connection(ice_controlling=True)
        assert isinstance(made, IceConnection)
        assert isinstance(made, Patched)
        assert type(made) is type(make_ice_connection(ice_controlling=True))
        # What it does itself when it is made, it does as what the program says it is.
        assert made.made_by is Patched
        assert made.settings == IceSettings()
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", lambda **_: object())
    with pytest.raises(TypeError, match="must make a connection of aioice, not a object"):
        make_ice_connection(ice_controlling=True)


async def test_credentials_can_be_set_whatever_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed(aioice.Connection):
        local_username = property(lambda _: "imposed")
        local_password = property(lambda _: "x" * 22)

    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Fixed)
    made = make_ice_connection(ice_controlling=True)
    assert made.credentials == IceCredentials("imposed", "x" * 22)
    given = IceCredentials.generate()
    made = make_ice_connection(credentials=given, ice_controlling=True)
    assert made.credentials == given
    assert made.local_username == made.credentials.ufrag != "imposed"
    assert made.local_password == made.credentials.password


async def test_as_many_addresses_as_there_may_be_can_answer() -> None:
    in_use = ("192.0.2.1", 9)
    others = [("192.0.2.2", port) for port in range(1, remote.LIMIT + peer_reflexive.LIMIT)]
    connection = IceConnection(ice_controlling=True)
    await connection.begin_gathering([])
    (protocol,) = connection.protocols
    for address in [in_use, *others]:
        protocol._prove(address, answered=True)
    for port in range(1, 1000):
        protocol._prove(("192.0.2.3", port), answered=False)
    assert all(protocol.has_answered(address) for address in [in_use, *others])
    await connection.close()


async def test_given_up_it_selects_nothing_and_checks_nothing(silent: tuple[Silent, int]) -> None:
    _, port = silent
    connection = IceConnection(ice_controlling=True)
    await connection.begin_gathering([])
    await connection.add_remote_candidate(
        aioice.Candidate("1", 1, "udp", 1, LOOPBACK, port, "host")
    )
    connection.pair_remote_candidates()
    (pair,) = connection.check_list
    connection.nominated[1] = pair
    assert connection.selected_pair is pair
    connection.give_up()
    assert connection.selected_pair is None
    assert connection.given_up
    await connection.close()
