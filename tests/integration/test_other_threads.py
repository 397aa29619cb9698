"""Calls from other threads are refused with a word, and leave no trace; reading is allowed."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from conftest import Factory, open_sockets
from connecting import DEADLINE, Echo, connect, negotiate, wait_connected
from restartice import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

WORDS = "outside the thread of the connection's event loop.*call_soon_threadsafe"


async def in_thread(call: Callable[[], Any]) -> Any:
    """Call something in a thread without an event loop; return what it returns."""
    return await asyncio.to_thread(call)


async def in_other_loop(job: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run something in the event loop of another thread; return what it returns."""
    return await asyncio.to_thread(lambda: asyncio.run(job()))


def set_direction(pc: RTCPeerConnection) -> None:
    pc.getTransceivers()[0].direction = "inactive"


CALLS: dict[str, Callable[[RTCPeerConnection], Any]] = {
    "restartIce": lambda pc: pc.restartIce(),
    "setConfiguration": lambda pc: pc.setConfiguration(RTCConfiguration(iceServers=[])),
    "addTrack": lambda pc: pc.addTrack(AudioStreamTrack()),
    "removeTrack": lambda pc: pc.removeTrack(pc.getSenders()[0]),
    "addTransceiver": lambda pc: pc.addTransceiver("video"),
    "createDataChannel": lambda pc: pc.createDataChannel("other"),
    "direction": set_direction,
    "setCodecPreferences": lambda pc: pc.getTransceivers()[0].setCodecPreferences([]),
    "stop": lambda pc: pc.getTransceivers()[0].stop(),
    "setStreams": lambda pc: pc.getSenders()[0].setStreams("stream"),
    "replaceTrack": lambda pc: pc.getSenders()[0].replaceTrack(None),
}
COROUTINES: dict[str, Callable[[RTCPeerConnection], Coroutine[Any, Any, Any]]] = {
    "createOffer": lambda pc: pc.createOffer(),
    "createAnswer": lambda pc: pc.createAnswer(),
    "setLocalDescription": lambda pc: pc.setLocalDescription(),
    "setRemoteDescription": lambda pc: pc.setRemoteDescription(pc.localDescription),
    "addIceCandidate": lambda pc: pc.addIceCandidate(None),
    "setParameters": lambda pc: pc.getSenders()[0].setParameters(
        pc.getSenders()[0].getParameters()
    ),
    "close": lambda pc: pc.close(),
}


async def make_call(make_pc: Factory) -> tuple[RTCPeerConnection, Echo]:
    near, far = make_pc(RTCConfiguration(iceServers=[])), make_pc()
    near.addTrack(AudioStreamTrack())
    echo = await connect(near, far)
    await wait_connected(near, far)
    return near, echo


def seen(pc: RTCPeerConnection) -> tuple[object, ...]:
    """Return all that the calls might change."""
    transceivers = tuple(pc.getTransceivers())
    return (
        pc.signalingState,
        pc.connectionState,
        pc.localDescription.sdp,
        pc.remoteDescription.sdp,
        transceivers,
        tuple((t.direction, t.sender.track, t.stopped) for t in transceivers),
        set(pc._core.state.local_ice_credentials_to_replace),
    )


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_from_a_thread(make_pc: Factory, name: str) -> None:
    near, echo = await make_call(make_pc)
    before = seen(near)
    with pytest.raises(RuntimeError, match=f"{name}.*{WORDS}"):
        await in_thread(lambda: CALLS[name](near))
    with pytest.raises(RuntimeError, match=f"{name}.*{WORDS}"):
        await in_other_loop(lambda: as_coroutine(lambda: CALLS[name](near)))
    assert seen(near) == before
    await echo.check()
    # In the right thread nothing is refused.
    CALLS[name](near)


async def as_coroutine(call: Callable[[], Any]) -> None:
    call()


@pytest.mark.parametrize("name", COROUTINES)
async def test_a_coroutine_in_another_loop(make_pc: Factory, name: str) -> None:
    near, echo = await make_call(make_pc)
    before = seen(near)
    with pytest.raises(RuntimeError, match=f"{name}.*{WORDS}"):
        await in_other_loop(lambda: COROUTINES[name](near))
    assert seen(near) == before
    await echo.check()


async def test_data_channels(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    theirs: asyncio.Queue[RTCDataChannel] = asyncio.Queue()
    far.on("datachannel", theirs.put_nowait)
    echo = await connect(near, far)
    async with asyncio.timeout(DEADLINE):
        far_end = await theirs.get()
    for channel in (echo.channel, far_end):
        for call in (lambda c=channel: c.send("lost"), lambda c=channel: c.close()):
            with pytest.raises(RuntimeError, match=WORDS):
                await in_thread(call)
        assert channel.bufferedAmount == 0
        assert channel.readyState == "open"
        assert isinstance(channel, RTCDataChannel)
    await echo.check("the first that arrives")


async def test_reading_is_allowed(make_pc: Factory) -> None:
    near, echo = await make_call(make_pc)

    def read() -> list[object]:
        names = [name for name in dir(RTCPeerConnection) if name.endswith(("State", "Description"))]
        read = [getattr(near, name) for name in names]
        read += [near.getTransceivers(), near.getSenders(), near.getReceivers()]
        read += [near.getConfiguration(), echo.channel.readyState, echo.channel.bufferedAmount]
        return read

    assert len(await in_thread(read)) > 10


async def test_the_ways_that_the_error_tells(make_pc: Factory) -> None:
    near, _ = await make_call(make_pc)
    loop = asyncio.get_running_loop()
    needed = asyncio.Event()
    near.on("negotiationneeded", needed.set)
    await in_thread(lambda: loop.call_soon_threadsafe(near.restartIce))
    async with asyncio.timeout(DEADLINE):
        await needed.wait()
    await in_thread(lambda: asyncio.run_coroutine_threadsafe(near.close(), loop).result(DEADLINE))
    assert near.signalingState == "closed"


async def test_what_a_thread_has_made_belongs_to_the_loop_that_uses_it_first(
    make_pc: Factory,
) -> None:
    near = await in_thread(make_pc)
    await connect(near, make_pc())
    with pytest.raises(RuntimeError, match=WORDS):
        await in_thread(near.restartIce)


async def test_what_one_loop_has_made_belongs_to_the_loop_that_uses_it_first() -> None:
    near = RTCPeerConnection()
    calls = CallThread()
    try:
        for job in (near.createOffer(), near.close()):
            await asyncio.to_thread(calls.run, job)
        with pytest.raises(RuntimeError, match=WORDS):
            near.restartIce()
    finally:
        calls.stop()


def test_before_and_between_runs_of_the_loop() -> None:
    sockets = open_sockets()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        # Without a loop that runs, as aiortc's programs may.
        near, far = RTCPeerConnection(), RTCPeerConnection()
        channel = near.createDataChannel("chat")
        near.addTrack(AudioStreamTrack())
        runner.run(negotiate(near, far))
        near.restartIce()
        near.addTransceiver("video")
        runner.run(negotiate(near, far))
        runner.run(wait_connected(near, far))
        assert channel.label == "chat"
        near.getTransceivers()[0].direction = "inactive"

        async def end() -> None:
            await asyncio.gather(near.close(), far.close())

        runner.run(end())
    assert open_sockets() == sockets


class CallThread:
    """An event loop in a thread of its own, as in the documentation."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_a_program_whose_loop_is_in_a_thread() -> None:
    sockets = open_sockets()
    calls = CallThread()
    try:
        near, far = RTCPeerConnection(), RTCPeerConnection()

        async def call() -> None:
            echo = await connect(near, far)
            await echo.check()

        calls.run(call())
        with pytest.raises(RuntimeError, match=WORDS):
            near.restartIce()
        calls.run(near.setLocalDescription())
        calls.run(near.setLocalDescription(RTCSessionDescription("", "rollback")))
        calls.run(near.close())
        calls.run(far.close())
    finally:
        calls.stop()
    assert open_sockets() == sockets
