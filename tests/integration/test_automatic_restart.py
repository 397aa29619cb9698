"""Programs with a signaling of their own, whose ICE is restarted for them."""

import asyncio
import logging

import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    transports,
    wait_connected,
    wait_for_state,
    wait_restarted,
)
from cutting import QUICK
from restartice import (
    AutomaticRestart,
    RecoverySettings,
    RestartEvent,
    RestartStarted,
    RestartSucceeded,
    RTCPeerConnection,
)

EAGER = RecoverySettings(disconnected_for=0.1, first_wait=0.1)


def offer_when_needed(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Let one side make all offers, and hand them to the other one directly."""

    @near.on("negotiationneeded")
    async def offer() -> None:
        await near.setLocalDescription()
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription()
        await near.setRemoteDescription(far.localDescription)


async def test_a_lost_path_is_restarted(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    offer_when_needed(near, far)
    events: asyncio.Queue[RestartEvent] = asyncio.Queue()
    echo = Echo(near, far)
    async with AutomaticRestart(near, EAGER, on_restart=events.put_nowait):
        await echo.check()
        await wait_connected(near, far)
        before = [sending_ufrags(near), sending_ufrags(far)]
        await transports(far)[0]._connection.close()  # the other end's sockets are gone
        async with asyncio.timeout(DEADLINE):
            started = await events.get()
            assert isinstance(started, RestartStarted)
            assert started.reason in {"disconnected", "failed"}
            while not isinstance(await events.get(), RestartSucceeded):
                pass
        await wait_restarted(near, far, since=before)
        await echo.check("after")


async def test_nothing_is_restarted_while_there_is_no_peer(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    offer_when_needed(near, far)
    events: asyncio.Queue[RestartEvent] = asyncio.Queue()
    there = True
    restart = AutomaticRestart(near, EAGER, on_restart=events.put_nowait, has_peer=lambda: there)
    async with restart:
        echo = Echo(near, far)
        await echo.check()
        await wait_connected(near, far)
        there = False
        await transports(far)[0]._connection.close()
        await wait_for_state(near, "iceConnectionState", "failed")
        assert events.empty()
        there = True
        restart.look()
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await events.get(), RestartStarted)
        await echo.check("after")


async def test_what_happens_is_logged(make_pc: Factory, caplog: pytest.LogCaptureFixture) -> None:
    near, far = make_pc(), make_pc()
    offer_when_needed(near, far)
    with caplog.at_level(logging.INFO, "restartice.recovery"):
        async with AutomaticRestart(near):
            await Echo(near, far).check()
            await wait_connected(near, far)
            near.restartIce()
            async with asyncio.timeout(DEADLINE):
                while "RestartSucceeded" not in caplog.text:  # noqa: ASYNC110  a log has no event
                    await asyncio.sleep(0.01)
    assert "RestartStarted(reason='requested'" in caplog.text


async def test_an_error_of_on_restart_ends_nothing(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(iceSettings=QUICK), make_pc(iceSettings=QUICK)
    offer_when_needed(near, far)

    def fail(_: RestartEvent) -> None:
        raise ZeroDivisionError

    echo = Echo(near, far)
    async with AutomaticRestart(near, EAGER, on_restart=fail):
        await echo.check()
        await wait_connected(near, far)
        await transports(far)[0]._connection.close()
        await wait_for_state(near, "iceConnectionState", "disconnected")
        await echo.check("after")
    assert "on_restart raised an exception" in caplog.text
