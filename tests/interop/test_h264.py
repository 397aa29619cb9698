"""H.264 in packetization mode 0, which is all that some cameras and servers know."""

import pytest

from interop.cable import Cable
from interop.call import Call
from interop.scenario import Say, Scenario
from interop.stacks import STACKS, Stack

# Firefox would have to download its H.264.
PEERS = [stack for stack in STACKS if stack.name == "chromium"]
pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("stack", PEERS, ids=lambda s: s.name, indirect=True, scope="session"),
]
MODE_0 = "video/H264 packetization-mode=0"


async def test_mode_0_each_way(
    call: Call, stack: Stack, cable: Cable, record_property: Say
) -> None:
    """The peer offers nothing else; either side restarts."""
    scenario = Scenario(call, stack, cable, record_property)
    we, they = call.we, call.they
    await they.do("channel")
    await they.do("track", kind="video", codec=MODE_0)
    await we.do("track", kind="video")
    offer, answer = await call.negotiate(they)
    for description in (offer, answer):
        assert "packetization-mode=0" in description["sdp"]
        assert "packetization-mode=1" not in description["sdp"]
    await call.opened()
    for asker in (they, we):
        for end in (we, they):
            await scenario.more_frames(end, ["video"])
        await scenario.restart(asker)
    for end in (we, they):
        await scenario.more_frames(end, ["video"])
