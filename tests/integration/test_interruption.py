"""Operations that are cancelled, or overtaken by close(), at any point of their way."""

import asyncio
import copy
import functools
import pickle
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conftest import Factory
from connecting import DEADLINE, Echo, connect, negotiate, ufrags, wait_sending_on_new_pair
from restartice import (
    AudioStreamTrack,
    InvalidStateError,
    RTCPeerConnection,
    RTCSessionDescription,
    SdpSyntaxError,
    VideoStreamTrack,
)

Step = Callable[[], Awaitable[None]]
TURNS = [0, 1, 2, 3, 5, 8, 13, 21]  # of the event loop, after which the operation is interrupted
INTERRUPTIONS = pytest.mark.parametrize(
    ("first", "at"), [(f, n) for f in (True, False) for n in range(4)]
)


def add_tracks(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    far.addTrack(AudioStreamTrack())


async def steps_to(at: int, near: RTCPeerConnection, far: RTCPeerConnection) -> list[Step]:
    """Begin a negotiation, and return what is left of it from a given step on."""
    steps: list[Step] = [
        near.setLocalDescription,
        lambda: far.setRemoteDescription(near.localDescription),
        far.setLocalDescription,
        lambda: near.setRemoteDescription(far.localDescription),
    ]
    for step in steps[:at]:
        await step()
    return steps[at:]


async def begin(make_pc: Factory, at: int, *, first: bool) -> tuple[Any, Any, Echo, list[Step]]:
    """Return two connections in the middle of the first negotiation, or of a restart."""
    near, far = make_pc(), make_pc()
    add_tracks(near, far)
    if first:
        echo = Echo(near, far)
    else:
        echo = await connect(near, far)
        near.addTransceiver("video")
        near.restartIce()
    return near, far, echo, await steps_to(at, near, far)


async def start(step: Step, turns: int) -> asyncio.Future[None]:
    """Let a step run for that many turns of the event loop."""
    task = asyncio.ensure_future(step())
    for _ in range(turns):
        await asyncio.sleep(0)
    return task


def negotiated(pc: RTCPeerConnection) -> tuple[object, ...]:
    return (
        pc.signalingState,
        pc.currentLocalDescription,
        pc.pendingLocalDescription,
        pc.currentRemoteDescription,
        pc.pendingRemoteDescription,
        [(t, t.mid, t.currentDirection, t.receiver.transport) for t in pc.getTransceivers()],
        pc.sctp and pc.sctp.mid,
        ufrags(pc),
    )


@INTERRUPTIONS
async def test_what_is_cancelled_is_done_whole_or_not_at_all(
    make_pc: Factory, *, first: bool, at: int
) -> None:
    for turns in TURNS:
        near, far, echo, rest = await begin(make_pc, at, first=first)
        pc = (near, far, far, near)[at]
        before = negotiated(pc)
        state = pc.signalingState
        task = await start(rest[0], turns)
        task.cancel()
        await asyncio.wait([task])
        if pc.signalingState == state:
            assert negotiated(pc) == before
            await rest[0]()
        for step in rest[1:]:
            await step()
        await wait_sending_on_new_pair(near, far)
        await echo.check("after")
        await asyncio.gather(near.close(), far.close())


@INTERRUPTIONS
async def test_close_ends_an_operation_under_way(make_pc: Factory, *, first: bool, at: int) -> None:
    for turns in TURNS:
        near, far, _, rest = await begin(make_pc, at, first=first)
        pc = (near, far, far, near)[at]
        task = await start(rest[0], turns)
        await pc.close()
        async with asyncio.timeout(DEADLINE):
            (error,) = await asyncio.gather(task, return_exceptions=True)
        assert error is None or isinstance(error, InvalidStateError)
        assert {pc.signalingState, pc.iceConnectionState, pc.connectionState} == {"closed"}
        await asyncio.gather(near.close(), far.close())


async def test_a_cancelled_rollback_is_one(make_pc: Factory) -> None:
    for turns in TURNS:
        near, far, _, rest = await begin(make_pc, 2, first=False)
        task = await start(
            functools.partial(far.setRemoteDescription, RTCSessionDescription("", "rollback")),
            turns,
        )
        task.cancel()
        await asyncio.wait([task])
        if far.signalingState == "stable":
            assert len(far.getTransceivers()) == 2
            assert far.pendingRemoteDescription is None
        else:
            assert far.signalingState == "have-remote-offer"
            await rest[0]()
        await asyncio.gather(near.close(), far.close())


async def test_an_offer_that_is_taken_in_part_and_rolled_back_leaves_no_transceiver(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    near.addTrack(AudioStreamTrack())
    await near.setLocalDescription()
    good = near.localDescription
    audio = good.sdp.partition("m=audio")[2]
    unknown = re.sub(r"(UDP/TLS/RTP/SAVPF) .*", r"\1 96", audio)
    bad = good.sdp.replace(audio, re.sub(r"a=(rtpmap|fmtp|rtcp-fb).*\r\n", "", unknown))
    await far.setRemoteDescription(RTCSessionDescription(bad, "offer"))
    assert [transceiver.kind for transceiver in far.getTransceivers()] == ["video"]
    await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
    assert far.getTransceivers() == []
    await negotiate(near, far)


async def test_close_goes_on_when_its_caller_is_cancelled(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    for turns in range(4):
        closing = await start(near.close, turns)
        closing.cancel()
        await asyncio.wait([closing])
    async with asyncio.timeout(DEADLINE):
        await near.close()
    assert near.connectionState == "closed"


def test_a_syntax_error_can_be_copied_and_sent_to_another_process() -> None:
    error = SdpSyntaxError("no SDP in line 3", 3)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  our own
        assert (str(twin), twin.sdpLineNumber) == (str(error), 3)


async def test_close_takes_effect_before_it_waits(make_pc: Factory) -> None:
    near, far, _, _ = await begin(make_pc, 0, first=False)
    operation = await start(near.setLocalDescription, 1)
    closing = asyncio.ensure_future(near.close())
    await asyncio.sleep(0)
    assert not closing.done()
    assert {near.signalingState, near.iceConnectionState, near.connectionState} == {"closed"}
    with pytest.raises(InvalidStateError):
        near.addTrack(AudioStreamTrack())
    with pytest.raises(InvalidStateError):
        await operation
    await closing
    await far.close()
