"""close() ends all transports and tasks, whatever fails, hangs or is cancelled meanwhile. (W2)."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

import restartice.negotiation.closing
from conftest import Factory, leave_nothing, open_sockets
from connecting import connect, negotiate, wait_connected
from restartice import (
    AudioStreamTrack,
    InvalidStateError,
    RTCPeerConnection,
    RTCRtpTransceiver,
    VideoStreamTrack,
)

DEADLINE = 60.0
TURNS = 40

Call = tuple[RTCPeerConnection, RTCPeerConnection]


@pytest.fixture
async def call(make_pc: Factory) -> Call:
    """Return both sides of a call with audio, video and data."""
    return await make_call(make_pc)


async def make_call(make_pc: Callable[[], RTCPeerConnection]) -> Call:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
    await connect(near, far)
    await wait_connected(near, far)
    return near, far


async def check_ended(pc: RTCPeerConnection) -> None:
    """Check that nothing of a connection goes on, and that it is closed for its users."""
    assert (pc.signalingState, pc.connectionState, pc.iceConnectionState) == ("closed",) * 3
    for transport in pc._core.transports.made:
        assert transport.transport.state == "closed"
        assert transport.transport._core.generations
    assert all(t.currentDirection == "stopped" for t in pc.getTransceivers())
    async with asyncio.timeout(DEADLINE):
        await pc.close()


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_a_listener_stops_everything(call: Call) -> None:
    near, far = call
    refused: list[InvalidStateError] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: refused.append(context["exception"])
    )
    for pc in call:
        for transceiver in pc.getTransceivers():

            @transceiver.receiver.track.on("ended")
            def stop_all(pc: RTCPeerConnection = pc) -> None:
                for other in pc.getTransceivers():
                    other.stop()

    await near.close()
    await far.close()
    await check_ended(near)
    await check_ended(far)
    assert refused
    assert {type(error) for error in refused} == {InvalidStateError}


async def test_transceivers_are_stopped_at_any_moment() -> None:
    sockets = open_sockets()
    for turns in range(TURNS):
        near, far = await make_call(RTCPeerConnection)
        closing = asyncio.ensure_future(near.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        for transceiver in near.getTransceivers():
            if turns:
                with pytest.raises(InvalidStateError, match="closed"):
                    await transceiver.stop()
            else:
                transceiver.stop()
        await closing
        await check_ended(near)
        await far.close()
        await leave_nothing(sockets)


def receiver_of(pc: RTCPeerConnection) -> object:
    return pc.getReceivers()[0]


def sender_of(pc: RTCPeerConnection) -> object:
    return pc.getSenders()[0]


def transceiver_of(pc: RTCPeerConnection) -> RTCRtpTransceiver:
    return pc.getTransceivers()[0]


def sctp_of(pc: RTCPeerConnection) -> object:
    return pc.sctp


def dtls_of(pc: RTCPeerConnection) -> object:
    return next(iter(pc._core.transports.made))


def ice_of(pc: RTCPeerConnection) -> object:
    return next(iter(pc._core.transports.made)).transport


PARTS: list[Callable[[RTCPeerConnection], Any]] = [
    receiver_of,
    sender_of,
    sctp_of,
    dtls_of,
    ice_of,
]


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("find", PARTS)
async def test_a_part_fails_to_stop(
    call: Call,
    find: Callable[[RTCPeerConnection], Any],
    for_good: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    near, _ = call
    part = find(near)
    calls: list[None] = []
    stop = part.stop

    async def fail() -> None:
        calls.append(None)
        if for_good or len(calls) == 1:
            raise ValueError("it can't be stopped")
        await stop()

    part.stop = fail
    with caplog.at_level(logging.ERROR):
        await near.close()
    assert "it can't be stopped" in caplog.text
    # All else has ended, and the second time what is left is tried.
    assert not other_decoders(call)
    await check_ended(near)
    assert len(calls) >= 2
    # The fixture looks for tasks and sockets.


def other_decoders(call: Call) -> list[threading.Thread]:
    """Return the threads that decode for the first side."""
    theirs = len(call[1].getReceivers())
    return decoders()[theirs:]


async def test_a_part_fails_to_stop_in_mid_call(call: Call) -> None:
    near, _ = call
    transceiver = transceiver_of(near)

    async def fail() -> None:
        raise ValueError("it can't be stopped")

    transceiver.receiver.stop = fail  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="can't be stopped"):
        await transceiver.stop()
    # The sender is stopped even so, and the tasks of the receiver are none's of close().
    await near.close()
    await check_ended(near)


async def test_all_tasks_are_cancelled_at_any_moment() -> None:
    sockets = open_sockets()
    for turns in range(TURNS):
        near, far = await make_call(RTCPeerConnection)
        await far.close()
        closing = asyncio.ensure_future(near.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "pytest" not in repr(task.get_coro()):
                task.cancel()
        await asyncio.wait([closing])
        await leave_nothing(sockets)
        assert not decoders()
        await check_ended(near)


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 10])
def test_a_program_ends_while_it_closes(turns: int) -> None:
    sockets = open_sockets()
    failed: list[dict[str, Any]] = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, c: failed.append(c))
        near, far = await make_call(RTCPeerConnection)
        tasks = [asyncio.ensure_future(pc.close()) for pc in (near, far)]
        for _ in range(turns):
            await asyncio.sleep(0)
        assert tasks

    asyncio.run(program())
    assert open_sockets() == sockets
    assert not decoders()
    assert not failed


class StubbornTrack(AudioStreamTrack):
    """A track that takes no cancellation."""

    def __init__(self) -> None:
        super().__init__()
        self.enough = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def recv(self) -> Any:
        while not self.enough.is_set():
            try:
                await self.enough.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
        return await super().recv()


async def test_a_track_that_does_not_end(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restartice.negotiation.closing, "LIMIT", 0.3)
    near, far = make_pc(), make_pc()
    track = StubbornTrack()
    near.addTrack(track)
    await negotiate(near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        await near.close()
    assert track.cancelled.is_set()
    assert "end()" in caplog.text
    await check_ended(near)
    track.enough.set()
