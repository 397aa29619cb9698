"""An application that stands still, as one does that computes for long in its event loop."""

import time

from network.calls import call
from network.checks import check_nothing_is_lost, events_of, notify, seconds_until, send_numbers
from network.namespaces import SIDES


async def stand_still(side: str, seconds: float) -> None:
    """Let one side stand still: it must not take its own fault for that of the network."""
    async with call(restart="negotiator", media="video") as (_, peers):
        await send_numbers(peers)
        for peer in peers:
            await peer.wait_for("frame")
        began = time.monotonic()
        await peers[SIDES.index(side)].order(do="stand_still", seconds=seconds)
        awake = time.monotonic()
        assert awake - began >= seconds
        await notify(peers, awake)
        data = await seconds_until(peers, "data", awake)
        frame = await seconds_until(peers, "frame", awake)
        for peer in peers:
            await peer.wait_until_connected()
        await check_nothing_is_lost(peers)
        states = {
            of: [e["state"] for e in events_of([peer], "iceConnectionState") if e["at"] > began]
            for of, peer in zip(SIDES, peers, strict=True)
        }
        print(f"{side} stood still: data after {data:.2f} s, frame {frame:.2f} s; {states}")
        assert not {"disconnected", "failed"} & set(states[side])
        # The other side can't know what it is.
        assert not any("failed" in told for told in states.values())
