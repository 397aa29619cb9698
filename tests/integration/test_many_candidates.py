"""However many candidates the remote side tells, the event loop goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aioice.ice import CandidatePair

from conftest import Factory
from connecting import Echo, transports, wait_connected
from restartice import RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from restartice.ice.remote import DESCRIBED_LIMIT, LIMIT

COUNT = 3000
# In seconds of processor time, in which other processes don't count.
LONGEST_TURN = 0.2


def candidates(count: int) -> list[RTCIceCandidate]:
    """Return that many on addresses of the loopback interface where nothing listens."""
    return [
        RTCIceCandidate(
            1,
            str(n),
            f"127.1.{n >> 8}.{n & 255}",
            9,
            (1 << 31) - n,
            "udp",
            "host",
            sdpMid="0",
            sdpMLineIndex=0,
        )
        for n in range(count)
    ]


def with_more(offer: RTCSessionDescription, count: int) -> RTCSessionDescription:
    """Return the offer with candidates behind its own."""
    lines = "".join(f"a={candidate.candidate}\r\n" for candidate in candidates(count))
    before, end, after = offer.sdp.partition("a=end-of-candidates")
    assert end
    return RTCSessionDescription(f"{before}{lines}{end}{after}", offer.type)


async def add(pc: RTCPeerConnection, count: int) -> None:
    """Add that many candidates, which come in one by one."""
    for candidate in candidates(count):
        await pc.addIceCandidate(candidate)
        await asyncio.sleep(0)


@asynccontextmanager
async def no_long_turns() -> AsyncIterator[None]:
    """Check that no turn of the event loop takes long."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        await asyncio.sleep(0)
        watching.cancel()
    assert longest < LONGEST_TURN


def pairs(pc: RTCPeerConnection) -> list[CandidatePair]:
    return [pair for t in transports(pc) for pair in t.generations[-1].connection.check_list]


async def test_a_description_with_thousands(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    offer = with_more(near.localDescription, COUNT)
    async with no_long_turns():
        await far.setRemoteDescription(offer)
        await far.setLocalDescription()
        assert len(transports(far)[0].getRemoteCandidates()) == LIMIT
        assert len(pairs(far)) == LIMIT
        await near.setRemoteDescription(far.localDescription)
        await echo.check()
        # The same ones come again, as in each offer of later negotiations.
        near.addTransceiver("audio")
        await near.setLocalDescription()
        await far.setRemoteDescription(with_more(near.localDescription, COUNT))
        await far.setLocalDescription()
        await near.setRemoteDescription(far.localDescription)
    assert len(transports(far)[0].getRemoteCandidates()) == LIMIT
    await echo.check("hello again")


async def test_thousands_one_by_one(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    async with no_long_turns():
        await add(far, COUNT)
        await far.setLocalDescription()
        await add(far, COUNT)
    assert len(pairs(far)) == LIMIT
    assert far.remoteDescription.sdp.count("a=candidate:") == DESCRIBED_LIMIT
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    await echo.check()


async def test_thousands_before_the_description(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    async with no_long_turns():
        await add(near, COUNT)
    assert len(transports(near)[0].getRemoteCandidates()) == LIMIT
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    async with no_long_turns():
        await near.setRemoteDescription(far.localDescription)
        await echo.check()
    assert len(transports(near)[0].getRemoteCandidates()) <= LIMIT
