"""close() in any turn of the event loop leaves no task, thread, socket or object behind. (W2)."""

import asyncio
import contextlib
import gc
import itertools
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from conftest import leave_nothing, open_sockets
from connecting import connect, negotiate, transports, wait_connected, wait_sending_on_new_pair
from restartice import (
    AudioStreamTrack,
    InvalidStateError,
    RTCIceCandidate,
    RTCPeerConnection,
    VideoStreamTrack,
)

Pair = tuple[RTCPeerConnection, RTCPeerConnection]
# Beyond which every so many turns are left out, because most of them only wait.
EACH, STEP = 150, 7
LONGEST = 2000


Job = Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[None]]


def add_everything(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Let there be all that a call can have."""
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("chat")
    far.addTrack(AudioStreamTrack())


async def call(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Set up a call."""
    add_everything(near, far)
    await negotiate(near, far)
    await wait_connected(near, far)


async def call_with_trickling(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Set up a call whose candidates come after the descriptions."""
    add_everything(near, far)
    ours, theirs = trickling(near), trickling(far)
    await negotiate(near, far)
    await asyncio.gather(hand_over(ours, far), hand_over(theirs, near))
    await wait_connected(near, far)


def trickling(pc: RTCPeerConnection) -> asyncio.Queue[RTCIceCandidate | None]:
    """Let candidates trickle; return where they are to be found."""
    candidates: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
    pc.on("icecandidate", candidates.put_nowait)
    return candidates


async def hand_over(
    candidates: asyncio.Queue[RTCIceCandidate | None], other: RTCPeerConnection
) -> None:
    """Hand candidates over, up to the last."""
    while (candidate := await candidates.get()) is not None:
        await other.addIceCandidate(candidate)


async def restart(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Restart, both at once, so that one of them rolls back."""
    near.restartIce()
    far.restartIce()
    await asyncio.gather(near.setLocalDescription(), far.setLocalDescription())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)


def objects(pair: Pair) -> list[object]:
    """Return what must not outlive a connection."""
    found: list[object] = []
    for pc in pair:
        found += [pc, *pc.getTransceivers(), *pc.getSenders(), *pc.getReceivers()]
        found += transports(pc)
        found += [] if pc.sctp is None else [pc.sctp, pc.sctp.transport]
    return found


async def close_after(turns: int, pair: Pair, job: Job) -> tuple[bool, list[weakref.ref[object]]]:
    """Close in mid-job; return whether it had ended, and what must be gone soon."""
    running = asyncio.ensure_future(job(*pair))
    for _ in range(turns):
        await asyncio.sleep(0)
    ended = running.done()
    left = [weakref.ref(thing) for thing in objects(pair)]
    for pc in pair:
        await pc.close()
    running.cancel()
    with contextlib.suppress(InvalidStateError, asyncio.CancelledError):
        await running
    return ended, left


@pytest.mark.timeout(900)
@pytest.mark.parametrize("job", [call, call_with_trickling, restart])
async def test_closing_at_any_moment(job: Job) -> None:
    sockets, threads = open_sockets(), running_threads()
    left: dict[int, list[weakref.ref[object]]] = {}
    for turns in itertools.chain(range(EACH), range(EACH, LONGEST, STEP)):
        pair = RTCPeerConnection(), RTCPeerConnection()
        if job is restart:
            await connect(*pair)
        ended, left[turns] = await close_after(turns, pair, job)
        await leave_nothing(sockets)
        assert running_threads() == threads, turns
        if ended:
            break
    else:
        pytest.fail(f"it takes more than {LONGEST} turns")
    del pair
    gc.collect()
    alive = {turns: [ref() for ref in refs if ref()] for turns, refs in left.items()}
    assert {turns: things for turns, things in alive.items() if things} == {}


def running_threads() -> set[threading.Thread]:
    """Return the threads but for those that asyncio keeps for looking up names."""
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}
