"""However many candidates the remote side tells, the event loop goes on."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable

import pytest
from aioice.ice import CandidatePair

from conftest import Factory
from connecting import DEADLINE, Echo, transports, wait_connected, wait_for_state
from restartice import IceSettings, RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from restartice.ice.remote import DESCRIBED_LIMIT, LIMIT

COUNT = 3000
# In seconds of processor time. A virtual machine counts the time that its host gives to others, so
# that a turn counts as long only if one is in each of the rounds.
LONGEST_TURN = 0.2
ROUNDS = 3


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


class TurnMeter:
    """Measures the longest turn of the event loop in the parts of a test that it is entered for."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def _watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)

    async def __aenter__(self) -> None:
        # What earlier tests left behind is not collected in one of these turns.
        gc.collect()
        gc.freeze()
        self._watching = asyncio.create_task(self._watch())

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.sleep(0)
        self._watching.cancel()
        gc.unfreeze()


def pairs(pc: RTCPeerConnection) -> list[CandidatePair]:
    return [pair for t in transports(pc) for pair in t._core.generations[-1].connection.check_list]


async def a_description_with_thousands(make_pc: Factory, meter: TurnMeter) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    offer = with_more(near.localDescription, COUNT)
    async with meter:
        await far.setRemoteDescription(offer)
        await far.setLocalDescription()
        assert len(transports(far)[0].getRemoteCandidates()) == LIMIT
        await wait_for_state(far, "iceConnectionState", "checking")
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


async def thousands_one_by_one(make_pc: Factory, meter: TurnMeter) -> None:
    # On a busy machine adding them may take longer than checks do usually.
    settings = IceSettings(check_timeout=DEADLINE)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    async with meter:
        await add(far, COUNT)
        await far.setLocalDescription()
        await add(far, COUNT)
    assert len(pairs(far)) == LIMIT
    assert far.remoteDescription.sdp.count("a=candidate:") == DESCRIBED_LIMIT
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    await echo.check()


async def thousands_before_the_description(make_pc: Factory, meter: TurnMeter) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    async with meter:
        await add(near, COUNT)
    assert len(transports(near)[0].getRemoteCandidates()) == LIMIT
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    async with meter:
        await near.setRemoteDescription(far.localDescription)
        await echo.check()
    assert len(transports(near)[0].getRemoteCandidates()) <= LIMIT


@pytest.mark.parametrize(
    "call", [a_description_with_thousands, thousands_one_by_one, thousands_before_the_description]
)
async def test_the_event_loop_goes_on(
    make_pc: Factory, call: Callable[[Factory, TurnMeter], Awaitable[None]]
) -> None:
    longest: list[float] = []
    while not longest or (longest[-1] >= LONGEST_TURN and len(longest) < ROUNDS):
        meter = TurnMeter()
        await call(make_pc, meter)
        longest.append(meter.longest)
    assert longest[-1] < LONGEST_TURN, longest
