"""Firefox and restartice interleave messages (RFC 8260)."""

import pytest

from interop.scenario import Scenario
from interop.stacks import STACKS

FIREFOX = next(stack for stack in STACKS if stack.name == "firefox")
LARGE = "x" * 200_000

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
    # All tests share the fixture of one peer.
    pytest.mark.parametrize("stack", [FIREFOX], ids=["firefox"], indirect=True, scope="session"),
]


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_messages_are_interleaved_both_ways(scenario: Scenario, offerer: str) -> None:
    await scenario.connect(getattr(scenario, offerer))
    assert (await scenario.we.do("state"))["interleaves"]
    for source in (scenario.we, scenario.they):
        sink = scenario.call.other(source)
        await source.do("send", text=LARGE)
        await source.do("send", text="after it")
        await sink.wait("message", text=LARGE)
        await sink.wait("message", text="after it")
