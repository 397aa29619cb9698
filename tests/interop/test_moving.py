"""Two cables, of which the one in use is cut, and nobody to carry descriptions.

The call goes over to the other cable because we see to that, in either role.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from interop.cable import CABLE, SIDES, SPARE, Cable, address
from interop.call import Call
from interop.process import End, PeerProcess
from interop.stacks import STACKS, WE, Stack
from requiring import require

# A fifth of the 5.8 s that libwebrtc takes by itself, in milliseconds, as the machine may be busy.
SOON = 1200
INTERVAL = 0.02
# Chromium gathers at the default route's address only, and checks no other pair once it has
# nominated one, so that there is no spare where it offers.
CASES = [("wrtc", "we"), ("wrtc", "they"), ("chromium", "we"), ("aiortc", "we")]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}-offer")
def case(request: pytest.FixtureRequest) -> tuple[Stack, str]:
    """Return the other stack, and who offers, and so controls."""
    name, offerer = request.param
    stack = next(stack for stack in STACKS if stack.name == name)
    require(not stack.missing(), stack.missing())
    return stack, offerer


@pytest.fixture
async def cables() -> AsyncIterator[Cable]:
    """Two cables of their own."""
    made = Cable()
    made.lay_spare()
    yield made
    made.close()


async def flowed(end: End) -> dict[str, float]:
    """Return what an end tells of the messages that come and go."""
    result: dict[str, float] = await end.do("flowed")
    return result


async def until_received(end: End, messages: float) -> float:
    """Return when an end has received so many messages: the longest time without any, in ms."""
    longest = 0.0
    async with asyncio.timeout(60):
        while True:
            told = await flowed(end)
            longest = max(longest, told["gap"])
            if told["received"] >= messages:
                return longest
            await asyncio.sleep(0.1)


async def test_the_cable_in_use_is_cut(cables: Cable, case: tuple[Stack, str]) -> None:
    """Messages come again on the other cable, none is lost, and all are in order."""
    stack, offerer = case
    commands = dict(zip(SIDES, (WE, stack.command), strict=True))
    we, they = [await PeerProcess.start(cables.namespace(s), commands[s]) for s in SIDES]
    try:
        call = Call(await we.new(), await they.new())
        ends = (call.we, call.they)
        first = call.we if offerer == "we" else call.they
        await first.do("channel")
        await call.negotiate(first)
        await call.opened()
        for end in ends:
            await end.do("flow", interval=INTERVAL)
        await until_received(call.we, 4 / INTERVAL)
        in_use = (await call.we.do("state"))["sendingTo"]
        cables.cut(CABLE if in_use == address("they", CABLE) else SPARE)
        before = await flowed(call.we)
        assert await until_received(call.we, before["received"] + 3 / INTERVAL) < SOON
        state = await call.we.do("state")
        assert state["sendingTo"] != in_use
        assert state["role"] == "controlling"
        for end in ends:
            await end.do("flow", interval=0)
        sent = [(await flowed(end))["sent"] for end in ends]
        for end, count in zip(ends, reversed(sent), strict=True):
            await until_received(end, count)
            told = await flowed(end)
            assert told["received"] == count
            assert told["inOrder"]
        await call.close()
    finally:
        await we.close()
        await they.close()
