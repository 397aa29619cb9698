"""Chromium and restartice set SCTP up by the INITs of their descriptions."""

import re

import pytest

from interop.scenario import Scenario
from interop.stacks import Stack, python

CHROMIUM = Stack(
    "chromium-snap",
    "Chromium, with the INIT of SCTP in its descriptions",
    python("browser_peer.py", "chromium-snap"),
    needs="chromium",
    ends_each=False,
)
INIT_LINE = re.compile(r"^a=sctp-init:\S+", re.MULTILINE)

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
    # All tests share the fixture of one peer.
    pytest.mark.parametrize("stack", [CHROMIUM], ids=["chromium"], indirect=True, scope="session"),
]


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_both_tell_their_init_and_keep_it(scenario: Scenario, offerer: str) -> None:
    first = getattr(scenario, offerer)
    descriptions = await scenario.connect(first)
    before = [INIT_LINE.findall(description["sdp"]) for description in descriptions]
    assert [len(lines) for lines in before] == [1, 1]
    # Both go on with the same association, whoever offers, and with the same lines.
    for asker in (first, scenario.call.other(first)):
        again = await scenario.call.negotiate(asker)
        await scenario.call.talk()
        lines = [INIT_LINE.findall(description["sdp"]) for description in again]
        assert lines == (before if asker is first else before[::-1])
    for asker in (scenario.we, scenario.they):
        await scenario.restart(asker)
        await scenario.call.talk()
