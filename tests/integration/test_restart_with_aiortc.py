"""A plain aiortc peer ignores restarts: it goes on with what it has, and so do we. (I3)."""

import asyncio
import logging
from collections.abc import AsyncIterator

import aiortc
import pytest

from conftest import Factory
from connecting import DEADLINE, Echo, negotiate, sending_ufrags


@pytest.fixture
async def plain() -> AsyncIterator[aiortc.RTCPeerConnection]:
    pc = aiortc.RTCPeerConnection()
    yield pc
    await pc.close()


async def test_keeps_the_pair_in_use(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, caplog: pytest.LogCaptureFixture
) -> None:
    near = make_pc()
    echo = Echo(near, plain)
    await negotiate(near, plain)
    await echo.check()
    before = sending_ufrags(near)
    near.restartIce()
    with caplog.at_level(logging.WARNING, "restartice"):
        await negotiate(near, plain)
    assert "ignores the ICE restart" in caplog.text
    assert sending_ufrags(near) == before
    assert (near.iceConnectionState, near.connectionState) == ("completed", "connected")
    await echo.check("after")


async def test_leaves_the_restart_pending_without_asking_on_and_on(
    make_pc: Factory, plain: aiortc.RTCPeerConnection
) -> None:
    near = make_pc()
    echo = Echo(near, plain)
    await negotiate(near, plain)
    await echo.check()
    near.restartIce()
    await negotiate(near, plain)
    fired: list[None] = []
    near.on("negotiationneeded", lambda: fired.append(None))
    await echo.check("some time later")
    assert fired == []
    # The next offer, whatever it is for, asks again.
    described = near.localDescription
    offer = await near.createOffer()
    assert described is not None
    assert ufrag_line(offer) != ufrag_line(described)
    again = asyncio.Event()
    near.on("negotiationneeded", again.set)
    near.restartIce()
    async with asyncio.timeout(DEADLINE):
        await again.wait()


async def test_answers_its_offers(make_pc: Factory, plain: aiortc.RTCPeerConnection) -> None:
    near = make_pc()
    echo = Echo(plain, near)
    await negotiate(plain, near)
    await echo.check()
    near.restartIce()
    await negotiate(near, plain)
    await negotiate(plain, near)
    await echo.check("after")


def ufrag_line(description: aiortc.RTCSessionDescription) -> str:
    return next(line for line in description.sdp.splitlines() if "ice-ufrag" in line)
