"""Credentials of a TURN server from the signaling server, and a real coturn that takes them."""

from contextlib import AsyncExitStack
from pathlib import Path

import aiortc
import pytest

from conftest import Factory
from connecting import (
    Echo,
    sending_ufrags,
    transports,
    wait_connected,
    wait_restarted,
)
from restartice import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection
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
