"""The benchmark's calls over a distance connect, with all of its stacks."""

import pytest

from benchmarks.distance import Distance, measure
from interop.stacks import STACKS
from requiring import require

pytestmark = [pytest.mark.network, pytest.mark.browser]

DISTANCE = Distance(round_trip=0.02, calls=1)


@pytest.mark.parametrize("name", ["restartice", "aiortc", "libwebrtc", "Chromium", "Pion"])
async def test_a_call_is_set_up(name: str, namespaces: None) -> None:  # noqa: ARG001
    kind = {"libwebrtc": "wrtc"}.get(name, name.lower())
    missing = next((stack.missing() for stack in STACKS if stack.name == kind), "")
    require(not missing, missing)
    found = await measure(name, DISTANCE)
    # No packet comes earlier, and DTLS alone takes two round trips.
    assert found["set-up (round trips)"][0] > 2
