"""A path that fails for a while: both ways or one way only, and heals again.

There is one link only, so that nothing but its healing helps. The calls run side by side.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass

import pytest

from network.calls import call
from network.checks import (
    check_nothing_is_lost,
    events_of,
    notify,
    seconds_until,
    send_numbers,
)

pytestmark = [pytest.mark.network, pytest.mark.timeout(240), pytest.mark.usefixtures("namespaces")]

WAYS = ("both", "left", "right")


@dataclass
class Outage:
    """An outage, and how long it took after it, in seconds.

    The first message comes soon; the first that was sent after the outage comes behind all those
    that were sent while it lasted.
    """

    seconds: float
    way: str
    media: bool = False
    begins: float = 0.0
    message: float = 0.0
    new_message: float = 0.0
    frame: float = 0.0
    restarts: int = 0
    failed: bool = False


async def suffer(outage: Outage) -> Outage:
    """Go through an outage, and check that everything arrives."""
    # Not all at the same moment, since that is about the path and not about the machine.
    await asyncio.sleep(outage.begins)
    async with call(restart="negotiator", media=outage.media) as (network, peers):
        await send_numbers(peers, interval=0.1)
        if outage.media:
            for peer in peers:
                await peer.wait_for("frame")
        cut_at = time.monotonic()
        await network.set_link(0, outage.way, loss=1.0)
        await asyncio.sleep(outage.seconds)
        await network.set_link(0)
        healed_at = time.monotonic()
        # On the way that works messages that were sent before are already there.
        await notify(peers, healed_at)
        outage.message = await seconds_until(peers, "flow", healed_at)
        outage.new_message = await seconds_until(peers, "data", healed_at)
        if outage.media:
            outage.frame = await seconds_until(peers, "frame", healed_at)
        for peer in peers:
            await peer.wait_until_connected()
        await check_nothing_is_lost(peers)
        outage.restarts = len(events_of(peers, "RestartStarted"))
        failures = events_of(peers, "iceConnectionState", state="failed")
        outage.failed = any(event["at"] > cut_at for event in failures)
    return outage


async def test_outages() -> None:
    """All at once, since the longest takes a minute."""
    short = [Outage(seconds, way) for seconds in (1, 5, 20) for way in WAYS]
    long = [Outage(60, way, media=True, begins=3.0 * n) for n, way in enumerate(WAYS)]
    results = await asyncio.gather(*map(suffer, short + long), return_exceptions=True)
    for outage in short + long:
        print(outage)
    if errors := [result for result in results if isinstance(result, BaseException)]:
        raise BaseExceptionGroup("outages", errors)
    assert statistics.median(outage.message for outage in short) < 1.5
    # Consent outlasts these, and doesn't outlast those.
    assert not [outage for outage in short if outage.failed]
    assert all(outage.failed for outage in long)
    assert statistics.median(outage.message for outage in long) < 1.5
    assert statistics.median(outage.frame for outage in long) < 1.5
