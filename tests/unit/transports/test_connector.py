"""The connector by itself: one task for each transport, which starts once, and ends."""

import asyncio

from conftest import Factory
from connecting import connect
from restartice import RTCPeerConnection
from restartice.transports.connector import Connector
from restartice.transports.dtls import RTCDtlsTransport

DEADLINE = 60.0


def only_transport(pc: RTCPeerConnection) -> RTCDtlsTransport:
    (transport,) = pc._core.state.dtls_transports
    assert isinstance(transport, RTCDtlsTransport)
    return transport


async def test_it_waits_for_ice_until_it_is_closed(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    connector = Connector(pc._core.state)
    connector.connect_soon()
    (waiting,) = connector._tasks.values()
    await asyncio.sleep(0)  # so that it has begun
    # However often it is asked for, DTLS is started once.
    connector.connect_soon()
    assert list(connector._tasks.values()) == [waiting]
    async with asyncio.timeout(DEADLINE):
        await connector.close()
    assert waiting.cancelled()
    assert connector._tasks == {}
    assert only_transport(pc).state == "new"


async def test_without_a_description_nothing_is_started(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    connector = Connector(pc._core.state)
    connector.connect_soon()
    tasks = list(connector._tasks.values())
    only_transport(pc).transport._core.usable.set()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks)
    assert only_transport(pc).state == "new"
    assert connector._tasks == {}


async def test_what_runs_is_left_alone(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    states: list[str] = []
    only_transport(near).on("statechange", lambda: states.append(only_transport(near).state))
    connector = Connector(near._core.state)
    connector.connect_soon()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*connector._tasks.values())
    await echo.check("still there")
    assert states == []
