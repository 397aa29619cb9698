"""A path that fails for a while: both ways or one way only, and heals again.

There is one link only, so that nothing but its healing helps.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from network.calls import call
from network.checks import (
    check_nothing_is_lost,
    events_of,
    notify,
    seconds_until,
    send_numbers,
)

WAYS = ("both", "left", "right")


@dataclass
class Outage:
    """An outage, and how long it took after it, in seconds.

    The first message comes soon; the first that was sent after the outage comes behind all those
    that were sent while it lasted.
    """

    seconds: float
    way: str
    message: float = 0.0
    new_message: float = 0.0
    frame: float = 0.0
    restarts: int = 0
    failed: bool = False


async def suffer(outage: Outage) -> Outage:
    """Go through an outage, and check that everything arrives."""
    async with call(restart="negotiator", media="video") as (network, peers):
        await send_numbers(peers, interval=0.1)
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
        outage.frame = await seconds_until(peers, "frame", healed_at)
        for peer in peers:
            await peer.wait_until_connected()
        await check_nothing_is_lost(peers)
        outage.restarts = len(events_of(peers, "RestartStarted"))
        failures = events_of(peers, "iceConnectionState", state="failed")
        outage.failed = any(event["at"] > cut_at for event in failures)
    return outage


async def suffer_all(outages: Sequence[Outage]) -> None:
    """Go through outages one after the other, each in a call of its own."""
    for outage in outages:
        await suffer(outage)
        print(outage)


def check_short(outages: Sequence[Outage]) -> None:
    """Check what is asked of outages that consent to send outlasts."""
    assert not [outage for outage in outages if outage.failed]
    check_times(outages)


def check_long(outages: Sequence[Outage]) -> None:
    """Check what is asked of those that it doesn't."""
    assert all(outage.failed for outage in outages)
    check_times(outages)


def check_times(outages: Sequence[Outage]) -> None:
    """Check how soon after it data and pictures come again."""
    assert statistics.median(outage.message for outage in outages) < 1.5
    assert statistics.median(outage.frame for outage in outages) < 1.5
