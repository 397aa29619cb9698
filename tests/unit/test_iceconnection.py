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
from restartice.credentials import IceCredentials
from restartice.iceconnection import IceConnection, consent_timings, make_ice_connection

LOOPBACK = "127.0.0.1"
DEADLINE = 20.0


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
    async with connecting_to(port, IceSettings(check_repetition=10 * DEADLINE)) as connection:
        await far.wait_for(1)
        (near,) = connection.local_candidates

        def check() -> None:
            request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{connection.local_username}:far"
            request.attributes["PRIORITY"] = 1
            request.attributes["ICE-CONTROLLED"] = 1
            request.add_message_integrity(connection.local_password.encode())
            far.transport.sendto(bytes(request), (near.host, near.port))

        check()
        await far.wait_for(2)
        # However fast the other side checks, it gets no more back than some repetitions a second.
        begun = loop.time()
        for _ in range(200):
            check()
        await far.wait_for(2, answers=201)
        elapsed = loop.time() - begun
        assert far.count <= 3 + elapsed / 0.02
        assert len(set(far.requests)) == 1


@asynccontextmanager
async def connecting_to(port: int, settings: IceSettings) -> AsyncIterator[IceConnection]:
    """Let a connection check a port."""
    connection = IceConnection(ice_controlling=True)
    connection.settings = settings
    connection.remote_username, connection.remote_password = "far", "x" * 22
    await connection.begin_gathering([])
    await connection.add_remote_candidate(
        aioice.Candidate("1", 1, "udp", 1, LOOPBACK, port, "host")
    )
    connecting = asyncio.ensure_future(connection.connect())
    yield connection
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
    made.credentials = IceCredentials.generate()
    assert made.local_username == made.credentials.ufrag != "imposed"
    assert made.local_password == made.credentials.password


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
