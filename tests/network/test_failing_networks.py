"""Networks that fail for a while, or lose and delay all the time, NATs that forget, and stalls.

All calls at once, since the longest outage lasts a minute, and nearly all of that is waiting.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from network.badnetworks import restart_on
from network.namespaces import SIDES
from network.outages import WAYS, Outage, check_long, check_short, suffer_all
from network.rebinding import rebind_in_mid_call
from network.stalls import stand_still

pytestmark = [pytest.mark.network, pytest.mark.timeout(600), pytest.mark.usefixtures("namespaces")]

# Loss, and delay each way in seconds.
CONDITIONS = [(0.05, 0.0), (0.2, 0.0), (0.2, 0.15), (0.0, 0.15), (0.0, 0.6)]
STAGGER = 1.5
STALL = 10.0


async def test_outages_and_bad_networks_and_nats_and_stalls() -> None:
    long = [Outage(60, way) for way in WAYS]
    short = {way: [Outage(seconds, way) for seconds in (20, 5, 1)] for way in WAYS}
    # The longest first; not at the same moment, since this is about paths, not about the machine.
    scenarios = [
        *(suffer_all([outage]) for outage in long),
        *(restart_on(loss, delay) for loss, delay in CONDITIONS),
        *(suffer_all(outages) for outages in short.values()),
        *(rebind_in_mid_call(side) for side in SIDES),
        *(stand_still(side, STALL) for side in SIDES),
    ]
    results = await asyncio.gather(
        *(begin_later(n * STAGGER, scenario) for n, scenario in enumerate(scenarios)),
        return_exceptions=True,
    )
    if errors := [result for result in results if isinstance(result, BaseException)]:
        raise BaseExceptionGroup("failing networks", errors)
    check_long(long)
    check_short([outage for outages in short.values() for outage in outages])


async def begin_later(seconds: float, scenario: Coroutine[Any, Any, None]) -> None:
    await asyncio.sleep(seconds)
    await scenario
