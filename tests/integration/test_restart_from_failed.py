"""A path that is lost ends nothing: a restart brings the connection back. (S5, W24)."""

import asyncio
from functools import partial

import aioice.ice
import pytest

from conftest import Factory
from connecting import (
    Echo,
    connect,
    negotiate,
    transports,
    wait_connected,
    wait_sending_on_new_pair,
    wait_until,
    without_candidates,
)
from restartice import IceSettings, RTCPeerConnection, RTCSessionDescription


async def negotiate_without_candidates(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    def strip(description: RTCSessionDescription) -> RTCSessionDescription:
        return RTCSessionDescription(without_candidates(description.sdp), description.type)

    await near.setLocalDescription()
    await far.setRemoteDescription(strip(near.localDescription))
    await far.setLocalDescription()
    await near.setRemoteDescription(strip(far.localDescription))


async def wait_ice_state(state: str, *connections: RTCPeerConnection) -> None:
    for pc in connections:
        in_state = partial(has_ice_state, pc, state)
        await wait_until(pc, "iceconnectionstatechange", in_state)


def has_ice_state(pc: RTCPeerConnection, state: str) -> bool:
    return pc.iceConnectionState == state


async def test_after_checks_that_all_failed(make_pc: Factory) -> None:
    settings = IceSettings(check_timeout=0.5)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = Echo(near, far)
    await negotiate_without_candidates(near, far)
    await wait_ice_state("failed", near, far)
    assert near.connectionState == "failed"
    assert near.sctp is not None
    assert near.sctp.transport.state == "new"

    near.restartIce()
    await negotiate(near, far)
    await wait_connected(near, far)
    await echo.check()


async def test_a_restart_that_fails_leaves_the_old_pair_in_use(make_pc: Factory) -> None:
    settings = IceSettings(check_timeout=0.5)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = await connect(near, far)
    states: list[str] = []
    near.on("connectionstatechange", lambda: states.append(near.connectionState))
    near.restartIce()
    await negotiate_without_candidates(near, far)
    await wait_ice_state("connected", near)
    await wait_ice_state("completed", near, far)
    await echo.check("still")
    assert states == []
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_after_consent_has_expired(make_pc: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = make_pc(), make_pc()
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.1)
    echo = await connect(near, far)
    states: list[str] = []
    near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
    assert near.sctp is not None
    dtls_states: list[str] = []
    dtls = near.sctp.transport
    dtls.on("statechange", lambda: dtls_states.append(dtls.state))

    # The far side's sockets vanish, as with an interface that is taken away.
    await transports(far)[0]._connection.close()
    echo.channel.send("while the path is dead")
    await wait_ice_state("failed", near)
    assert transports(near)[0].getSelectedCandidatePair() is None
    assert echo.channel.readyState == "open"
    assert dtls_states == []

    near.restartIce()
    await negotiate(near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(30):
        assert await echo.received.get() == "while the path is dead"
    await echo.check("after")
    assert states == ["failed", "checking", "completed"]
    assert dtls_states == []


async def test_after_a_program_has_closed_the_connection_below(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    # Some programs reach below aiortc's transport. To us that is a lost path, as any other.
    await transports(near)[0]._connection.close()
    await wait_ice_state("failed", near)
    near.restartIce()
    await negotiate(near, far)
    await wait_connected(near, far)
    await echo.check("after")
