"""Credentials of a TURN server from the signaling server, and a real coturn that takes them."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiortc
import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    transports,
    wait_connected,
    wait_restarted,
)
from restartice import (
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCPeerConnectionIceErrorEvent,
)
from restartice_signaling import (
    Negotiator,
    ServerSettings,
    TurnSettings,
    WebSocketSignaling,
    serve,
)
from turnserver import LOOPBACK, turn_server

SECRET = "0123456789" * 4


def servers_of(pc: RTCPeerConnection) -> list[aiortc.RTCIceServer]:
    return list(pc.getConfiguration().iceServers or [])


def pair_types(pc: RTCPeerConnection) -> list[tuple[str, str]]:
    pairs = [transport.getSelectedCandidatePair() for transport in transports(pc)]
    return [(pair.local.type, pair.remote.type) for pair in pairs if pair is not None]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_by_relays_only(make_pc: Factory, tmp_path: Path, transport: str) -> None:
    only_relays = RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    async with AsyncExitStack() as stack:
        coturn = await stack.enter_async_context(turn_server(tmp_path, SECRET))
        url = f"turn:{LOOPBACK}:{coturn.port}?transport={transport}"
        settings = ServerSettings(turn=TurnSettings((url,), SECRET))
        server = await stack.enter_async_context(serve(settings=settings))
        pcs = [make_pc(only_relays), make_pc(only_relays)]
        signalings = []
        for name, pc in zip("ab", pcs, strict=True):
            signaling = WebSocketSignaling(server.url, room="room", peer=name)
            signalings.append(await stack.enter_async_context(signaling))
            await stack.enter_async_context(Negotiator(pc, signaling))
        echo = Echo(*pcs)
        await echo.check()
        await wait_connected(*pcs)
        for name, pc in zip("ab", pcs, strict=True):
            (told,) = servers_of(pc)
            assert str(told.username).endswith(f":{name}")
            assert pair_types(pc) == [("relay", "relay")]
        before = [sending_ufrags(pc) for pc in pcs]
        pcs[0].restartIce()
        await wait_restarted(*pcs, since=before)
        await echo.check("after")
        assert [pair_types(pc) for pc in pcs] == [[("relay", "relay")]] * 2
        assert SECRET not in str([signaling.ice_servers for signaling in signalings])


def only_from(server: Mapping[str, Any]) -> RTCConfiguration:
    """Return a configuration with one server, whose relays are the only candidates."""
    servers = [aiortc.RTCIceServer(**server)]
    return RTCConfiguration(iceServers=servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)


async def refusals(pc: RTCPeerConnection) -> list[int]:
    """Gather; return the codes with which servers refused."""
    errors: list[RTCPeerConnectionIceErrorEvent] = []
    pc.on("icecandidateerror", errors.append)
    pc.createDataChannel("chat")
    await pc.setLocalDescription(await pc.createOffer())
    await pc.close()
    return [error.errorCode for error in errors]


async def test_credentials_are_renewed_in_mid_call(make_pc: Factory, tmp_path: Path) -> None:
    only_relays = RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    async with AsyncExitStack() as stack:
        coturn = await stack.enter_async_context(turn_server(tmp_path, SECRET))
        turn = TurnSettings((f"turn:{LOOPBACK}:{coturn.port}?transport=udp",), SECRET, lifetime=25)
        server = await stack.enter_async_context(serve(settings=ServerSettings(turn=turn)))
        pcs = [make_pc(only_relays), make_pc(only_relays)]
        for name, pc in zip("ab", pcs, strict=True):
            signaling = WebSocketSignaling(server.url, room="room", peer=name)
            await stack.enter_async_context(signaling)
            await stack.enter_async_context(Negotiator(pc, signaling))
        echo = Echo(*pcs)
        first = [expiry(pc) for pc in pcs]
        await echo.check()
        await wait_connected(*pcs)
        async with asyncio.timeout(DEADLINE):
            while any(expiry(pc) <= old for pc, old in zip(pcs, first, strict=True)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        # Before the others are void, which they are soon.
        assert time.time() < min(first)
        old = turn.servers_for("a", min(first) - turn.lifetime).servers[0]
        await asyncio.sleep(min(first) + 1 - time.time())
        # coturn's clock goes in steps of a second, and later on a busy machine.
        codes: list[int] = []
        async with asyncio.timeout(DEADLINE):
            while not codes:
                codes = await refusals(make_pc(only_from(old)))
        assert codes == [401]
        before = [sending_ufrags(pc) for pc in pcs]
        pcs[0].restartIce()
        await wait_restarted(*pcs, since=before)
        await echo.check("after")
        assert [pair_types(pc) for pc in pcs] == [[("relay", "relay")]] * 2


def expiry(pc: RTCPeerConnection) -> int:
    """Return when the credentials that a connection would use are void."""
    (told,) = servers_of(pc)
    return int(str(told.username).partition(":")[0])
