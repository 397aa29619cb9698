"""Peers with the wrong key, or the same role as ours, do no harm. (I2)."""

import asyncio
import re

from aiortc import RTCSessionDescription

from conftest import Factory
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    transports,
    wait_for_state,
    wait_sending_on_new_pair,
)
from cutting import QUICK, ice_connection
from restartice import IceSettings, RTCPeerConnection


async def test_an_answer_with_the_wrong_password(make_pc: Factory) -> None:
    """The restart fails, the pair in use stays, and the next restart works."""
    settings = IceSettings(check_timeout=1.0)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = await connect(near, far)
    before = transports(near)[0].getSelectedCandidatePair()
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    answer = far.localDescription
    wrong = re.sub(r"a=ice-pwd:\S+", "a=ice-pwd:" + "wrong" * 6, answer.sdp)
    await near.setRemoteDescription(RTCSessionDescription(wrong, "answer"))
    await wait_for_state(near, "iceConnectionState", "connected")
    await wait_for_state(near, "iceConnectionState", "completed")
    await echo.check("on the old pair")
    assert transports(near)[0].getSelectedCandidatePair() == before
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check("on a new one")


async def test_both_sides_take_the_same_role(make_pc: Factory) -> None:
    """A 487 response makes one of them give way, in checks and in requests for consent."""
    for controlling in (True, False):
        near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
        echo = await connect(near, far)
        for pc in (near, far):
            ice_connection(pc).ice_controlling = controlling
        await wait_until_roles_differ(near, far)
        for pc in (near, far):
            ice_connection(pc).ice_controlling = controlling
        near.restartIce()
        await negotiate(near, far)
        await wait_sending_on_new_pair(near, far)
        await echo.check("after")
        assert {transports(pc)[0].role for pc in (near, far)} == {"controlling", "controlled"}


async def test_all_generations_have_one_role(make_pc: Factory) -> None:
    """As a browser takes the controlling role when it restarts, conflicts come in mid-restart."""
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    for _ in range(5):
        old = [ice_connection(pc) for pc in (near, far)]
        await near.setLocalDescription(await near.createOffer(iceRestart=True))
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription()
        for connection in old:
            connection.ice_controlling = True
        for pc in (near, far):
            transports(pc)[0]._core.role_switched(controlling=True)
        await near.setRemoteDescription(far.localDescription)
        await wait_sending_on_new_pair(near, far)
        new = [ice_connection(pc) for pc in (near, far)]
        for before, after in zip(old, new, strict=True):
            assert before is not after
            assert before.ice_controlling == after.ice_controlling
            assert before._tie_breaker == after._tie_breaker
        assert len({connection.ice_controlling for connection in new}) == 2
        await echo.check("after")


async def wait_until_roles_differ(*pcs: RTCPeerConnection) -> None:
    async with asyncio.timeout(DEADLINE):
        while len({ice_connection(pc).ice_controlling for pc in pcs}) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # no event tells of a change
