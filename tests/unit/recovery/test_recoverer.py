"""What AutomaticRestart is given, and how it begins and ends."""

import asyncio

import aiortc
import pytest

from restartice import AutomaticRestart, RTCPeerConnection


async def test_refuses_a_connection_of_aiortc() -> None:
    pc = aiortc.RTCPeerConnection()
    with pytest.raises(TypeError, match=r"must be a restartice\.RTCPeerConnection"):
        AutomaticRestart(pc)  # type: ignore[arg-type]
    await pc.close()


async def test_refuses_what_are_no_settings() -> None:
    pc = RTCPeerConnection()
    with pytest.raises(TypeError, match="expected RecoverySettings, got 2"):
        AutomaticRestart(pc, 2)  # type: ignore[arg-type]
    await pc.close()


def test_needs_a_running_loop_to_start() -> None:
    loop = asyncio.new_event_loop()
    pc = RTCPeerConnection()
    with pytest.raises(RuntimeError):
        AutomaticRestart(pc).start()
    loop.run_until_complete(pc.close())
    loop.close()


async def test_leaves_no_listener_behind() -> None:
    pc = RTCPeerConnection()
    async with AutomaticRestart(pc) as restart:
        restart.start()  # without effect
        await asyncio.sleep(0)
        assert len(pc.listeners("iceconnectionstatechange")) == 1
    assert not pc.listeners("iceconnectionstatechange")
    assert not pc.listeners("signalingstatechange")
    await restart.close()
    await pc.close()


async def test_ends_when_the_connection_is_closed() -> None:
    pc = RTCPeerConnection()
    restart = AutomaticRestart(pc)
    restart.start()
    await asyncio.sleep(0)
    assert restart._watching is not None
    await pc.close()
    async with asyncio.timeout(60):
        await restart._watching
    await restart.close()
