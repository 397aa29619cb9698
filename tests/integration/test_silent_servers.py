"""A STUN server that doesn't answer delays the first description, and the next ones hardly."""

import asyncio
import time

import pytest

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected
from restartice import (
    IceSettings,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCPeerConnectionIceErrorEvent,
)
from restartice.ice.gathering import known_servers
from restartice.ice.gathering.pending import SECOND_WAIT
from servers import LOOPBACK, MAPPED, StunServer, stun_server

# Which is waited for in vain, and isn't when the waiting ends by an event.
LIMIT = 2.0
LONG = 2 * DEADLINE


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the servers of other tests, which had the same ports."""
    monkeypatch.setattr(known_servers.KNOWN_SERVERS, "_known", {})


def make(make_pc: Factory, *servers: StunServer, timeout: float = LIMIT) -> RTCPeerConnection:
    """Make a connection that wants a data channel."""
    pc = make_pc(
        RTCConfiguration(iceServers=[server.configuration for server in servers]),
        iceSettings=IceSettings(gathering_timeout=timeout),
    )
    pc.createDataChannel("data")
    return pc


async def describe(pc: RTCPeerConnection) -> float:
    """Set a local description; return how long that takes."""
    began = time.monotonic()
    await pc.setLocalDescription()
    return time.monotonic() - began


def addresses(pc: RTCPeerConnection) -> set[tuple[str, str]]:
    """Return the types and addresses of the candidates in the local description."""
    lines = pc.localDescription.sdp.splitlines()
    candidates = [line.split() for line in lines if line.startswith("a=candidate:")]
    return {(words[7], words[4]) for words in candidates}


async def test_one_wait_for_both_sides_and_for_restarts(make_pc: Factory) -> None:
    async with stun_server(silent=True) as server:
        near, far = (make(make_pc, server, timeout=LIMIT) for _ in range(2))
        began = time.monotonic()
        await negotiate(near, far)
        await wait_connected(near, far)
        assert LIMIT + SECOND_WAIT <= time.monotonic() - began < 2 * LIMIT
        near.restartIce()
        assert SECOND_WAIT <= await describe(near) < LIMIT


async def test_one_that_answers_again_is_heard(make_pc: Factory) -> None:
    async with stun_server(silent=True) as server:
        await describe(make(make_pc, server))
        server.answer()
        pc = make(make_pc, server, timeout=LONG)
        assert await describe(pc) < DEADLINE
        assert ("srflx", MAPPED[0]) in addresses(pc)
        # It isn't given up sooner than others any more.
        server.answering.clear()
        assert await describe(make(make_pc, server)) >= LIMIT


async def test_one_that_has_found_no_nat_is_not_waited_for(make_pc: Factory) -> None:
    async with stun_server(nat=False) as server:
        await describe(make(make_pc, server, timeout=LONG))
        server.answering.clear()
        pc = make(make_pc, server, timeout=LONG)
        assert await describe(pc) < SECOND_WAIT
        assert addresses(pc) == {("host", LOOPBACK)}
        # Beside it another one is.
        async with stun_server(silent=True) as other:
            assert await describe(make(make_pc, server, other)) >= LIMIT


async def test_behind_a_nat_it_is_waited_for_each_time(make_pc: Factory) -> None:
    async with stun_server() as server:
        await describe(make(make_pc, server, timeout=LONG))
        server.answering.clear()
        assert await describe(make(make_pc, server)) >= LIMIT


async def test_of_two_the_one_that_answers_counts(make_pc: Factory) -> None:
    async with stun_server(silent=True) as dead, stun_server(silent=True) as server:
        await describe(make(make_pc, dead, server))
        server.answer()
        pc = make(make_pc, dead, server, timeout=LONG)
        assert await describe(pc) < SECOND_WAIT
        assert ("srflx", MAPPED[0]) in addresses(pc)


@pytest.mark.parametrize("policy", RTCIceTransportPolicy)
@pytest.mark.parametrize("url", ["turn:123", "turn:123?transport=tcp"])
async def test_a_number_in_place_of_a_name_is_told_at_once(
    make_pc: Factory, policy: RTCIceTransportPolicy, url: str
) -> None:
    near = make_pc(
        RTCConfiguration([RTCIceServer(url, "user", "secret")], iceTransportPolicy=policy),
        iceSettings=IceSettings(gathering_timeout=LONG, server_timeout=LONG),
    )
    errors: list[RTCPeerConnectionIceErrorEvent] = []
    near.on("icecandidateerror", errors.append)
    near.createDataChannel("data")
    async with asyncio.timeout(DEADLINE):
        await near.setLocalDescription()
    (error,) = errors
    assert (error.url, error.errorCode, error.port) == (url, 701, None)
    assert error.errorText == "0.0.0.123 isn't the address of a host"
    assert (error.address is None) == (policy is RTCIceTransportPolicy.RELAY)
