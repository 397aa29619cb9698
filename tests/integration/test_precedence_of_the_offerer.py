"""Whoever answers a restart lets the offerer's checks come first, and opens the way for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest
from aioice import stun

from conftest import Factory
from connecting import DEADLINE, foreign, transports, wait_until
from cutting import QUICK, Cut, connect_measured, ice_connection
from restartice import RTCPeerConnection
from restartice.ice import handover
from restartice.ice.checks import precedence
from restartice.ice.liveness import PathState

# Seconds that are over soon.
SHORT = 0.05


class Wire:
    """What comes in at the sockets of a connection's newest generation."""

    def __init__(self) -> None:
        self.seen: list[stun.Class] = []
        self.changed = asyncio.Event()

    def note(self, data: bytes) -> None:
        if data[0] < 4:
            self.seen.append(stun.parse_message(data).message_class)
            self.changed.set()

    async def wait_for_any(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.changed.wait()

    async def wait_for(self, kind: stun.Class) -> None:
        async with asyncio.timeout(DEADLINE):
            while kind not in self.seen:
                self.changed.clear()
                await self.changed.wait()


@contextmanager
def tapped(pc: RTCPeerConnection) -> Iterator[Wire]:
    """Tell what comes in at the newest generation before anything else is done with it."""
    wire = Wire()
    connection = transports(pc)[0]._core.gatherer.generation.connection
    for protocol in connection.protocols:
        take = protocol.datagram_received

        def note(data: bytes, addr: Any, take: Any = take) -> None:
            wire.note(data)
            take(data, addr)

        protocol.datagram_received = note
    yield wire
    for protocol in connection.protocols:
        del protocol.datagram_received


@asynccontextmanager
async def answered(near: RTCPeerConnection, far: RTCPeerConnection) -> AsyncIterator[Wire]:
    """Restart at the near end, and tell what comes in there while the answer isn't delivered."""
    near.restartIce()
    await near.setLocalDescription()
    with tapped(near) as wire:
        await far.setRemoteDescription(foreign(near.localDescription))
        await far.setLocalDescription()
        yield wire


def is_disconnected(pc: RTCPeerConnection) -> bool:
    return pc.iceConnectionState == "disconnected"


@pytest.mark.parametrize("lost", [False, True])
async def test_no_check_comes_before_the_answer(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    monkeypatch.setattr(precedence, "PRECEDENCE", DEADLINE)
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    echo = await connect_measured(near, far)
    if lost:
        cuts = Cut(near), Cut(far)
        for pc in (near, far):
            await wait_until(pc, "iceconnectionstatechange", partial(is_disconnected, pc))
    async with answered(near, far) as wire:
        await wire.wait_for_any()
        before = list(wire.seen)
        await near.setRemoteDescription(far.localDescription)
        # It is waited for, not for PRECEDENCE to be over.
        await echo.check()
        assert stun.Class.REQUEST not in before
        assert stun.Class.INDICATION in before
    assert ice_connection(near).selected_pair is not None
    if lost:
        for cut in cuts:
            cut.heal()


async def test_longer_while_the_offerer_sends_on_the_pair_in_use(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a slow signaling has delivered the answer, or that path is lost."""
    monkeypatch.setattr(precedence, "PRECEDENCE", SHORT)
    monkeypatch.setattr(precedence, "TURNS", round(DEADLINE / SHORT))
    # Nothing has to come in so often.
    monkeypatch.setattr(handover, "PRECEDENCE", 2 * DEADLINE)
    near, far = make_pc(), make_pc()
    echo = await connect_measured(near, far)
    async with answered(near, far) as wire:
        await wire.wait_for_any()
        await asyncio.sleep(5 * SHORT)
        assert stun.Class.REQUEST not in wire.seen
        (transport,) = transports(far)
        transport._core.path_changed(ice_connection(far), PathState.LOST)
        await wire.wait_for(stun.Class.REQUEST)
    await near.setRemoteDescription(far.localDescription)
    await echo.check()


async def test_no_longer_if_the_offerer_is_silent_there(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As werift is: it leaves the pair in use when it offers a restart."""
    monkeypatch.setattr(precedence, "PRECEDENCE", SHORT)
    monkeypatch.setattr(precedence, "TURNS", round(2 * DEADLINE / SHORT))
    monkeypatch.setattr(handover, "PRECEDENCE", SHORT)
    near, far = make_pc(), make_pc()
    echo = await connect_measured(near, far)
    async with answered(near, far) as wire:
        await wire.wait_for(stun.Class.REQUEST)
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
