"""Connections older than their event loop, or older than it gets, or never closed. (W2)."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import open_sockets
from connecting import DEADLINE, Echo, negotiate, wait_connected, wait_for_state
from losing import DATA, Losses
from restartice import AudioStreamTrack, MediaStreamTrack, RTCPeerConnection, VideoStreamTrack

TESTS = Path(__file__).parents[1]
Pair = tuple[RTCPeerConnection, RTCPeerConnection]


def make_pair() -> tuple[RTCPeerConnection, RTCPeerConnection, Echo]:
    near, far = RTCPeerConnection(), RTCPeerConnection()
    near.addTrack(VideoStreamTrack())
    far.addTrack(AudioStreamTrack())
    return near, far, Echo(near, far)


def make_without_loop() -> tuple[RTCPeerConnection, RTCPeerConnection, Echo]:
    # aiortc takes this one, which is never run.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return make_pair()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def as_coroutine() -> tuple[RTCPeerConnection, RTCPeerConnection, Echo]:
    return make_pair()


@pytest.mark.filterwarnings("ignore:coroutine .*_data_channel_flush:RuntimeWarning")
@pytest.mark.parametrize("make", [make_without_loop, lambda: asyncio.run(as_coroutine())])
def test_what_is_made_first_works_in_the_loop_that_is_used(make: Callable[[], Any]) -> None:
    near, far, echo = make()
    received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()

    async def program() -> None:
        far.on("track", received.put_nowait)
        await negotiate(near, far)
        losses = Losses(near, {DATA: 1})
        await echo.check()
        assert losses.left[DATA] == 0
        async with asyncio.timeout(DEADLINE):
            await (await received.get()).recv()
        near.restartIce()
        await negotiate(near, far)
        await echo.check()
        await asyncio.gather(near.close(), far.close())

    sockets = open_sockets()
    asyncio.run(program())
    assert open_sockets() == sockets


async def call() -> Pair:
    near, far, echo = make_pair()
    await negotiate(near, far)
    await echo.check()
    return near, far


async def call_with_a_listener() -> Pair:
    near, far = await call()
    for pc in (near, far):
        # As programs do.
        @pc.on("connectionstatechange")
        async def close(pc: RTCPeerConnection = pc) -> None:
            if pc.connectionState in {"failed", "closed"}:
                await pc.close()

    return near, far


async def call_that_is_restarted() -> Pair:
    near, far = await call()
    near.restartIce()
    await near.setLocalDescription()
    return near, far


@pytest.mark.parametrize("program", [call, call_with_a_listener, call_that_is_restarted])
def test_a_program_that_never_closes_ends_quietly(
    program: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    sockets = open_sockets()
    with caplog.at_level(logging.WARNING):
        near, far = asyncio.run(program())
        assert (near.connectionState, far.connectionState) == ("closed", "closed")
        assert open_sockets() == sockets
        asyncio.run(asyncio.wait_for(near.close(), DEADLINE))
        del near, far
    assert [record.getMessage() for record in caplog.records] == []


def test_the_other_side_is_told_when_a_program_ends_without_closing() -> None:
    with asyncio.Runner() as other:
        far = RTCPeerConnection()

        async def program() -> None:
            near = RTCPeerConnection()
            near.createDataChannel("chat")
            # The other side runs in a loop of its own, turn by turn.
            await near.setLocalDescription()
            offer = near.localDescription
            await asyncio.to_thread(other.run, far.setRemoteDescription(offer))
            await asyncio.to_thread(other.run, far.setLocalDescription())
            connected = asyncio.to_thread(other.run, wait_connected(far))
            await near.setRemoteDescription(far.localDescription)
            await connected
            await wait_connected(near)

        asyncio.run(program())
        other.run(wait_for_state(far, "connectionState", "closed"))


@pytest.mark.parametrize("ending", ["closed", "stopped"])
def test_closing_in_another_loop_than_the_one_that_has_stopped(ending: str) -> None:
    # A process of its own, since what asyncio can't close any more ends with it.
    command = [sys.executable, "-m", "outliving", ending]
    done = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, timeout=2 * DEADLINE, check=False
    )
    assert done.stdout.split() == ["closed"] * 4, done.stderr
    assert done.returncode == 0
