"""Networks that lose and delay: nothing is taken for failed that isn't, and restarts complete."""

import asyncio
import time

from network.calls import call
from network.checks import check_nothing_is_lost, events_of, seconds_until, send_numbers

RESTARTS = 4
QUIET = 15.0


async def restart_on(loss: float, delay: float) -> None:
    """Restart from each side in turn on a bad network; print how long that took."""
    times = []
    # What the Negotiator would do by itself must not be needed.
    async with call(restart="nobody", media="video") as (network, peers):
        await send_numbers(peers, interval=0.05)
        for peer in peers:
            await peer.wait_for("frame")
        bad_since = time.monotonic()
        await network.set_link(0, loss=loss, delay=delay)
        for number in range(RESTARTS):
            begin = time.monotonic()
            await peers[number % 2].order(do="restart")
            times.append(await seconds_until(peers, "switched", begin))
        # Long enough for questions of liveness and consent to get lost.
        await asyncio.sleep(QUIET)
        failures = events_of(peers, "iceConnectionState", state="failed")
        assert not [event for event in failures if event["at"] > bad_since]
        interruptions = events_of(peers, "iceConnectionState", state="disconnected")
        await network.set_link(0)
        for peer in peers:
            await peer.wait_until_connected()
        await check_nothing_is_lost(peers)
    shown = ", ".join(f"{seconds:.2f}" for seconds in times)
    print(
        f"loss {loss:.0%}, delay {delay} s each way: restarts took {shown} s; "
        f"disconnected {len(interruptions)} times"
    )
