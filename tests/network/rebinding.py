"""A NAT that forgets its mappings in mid-call.

The other side sees packets from ports that no candidate told of, and can't answer to the old ones.
"""

import time

from network.calls import call
from network.checks import check_nothing_is_lost, events_of, notify, seconds_until, send_numbers


async def rebind_in_mid_call(behind: str) -> None:
    """Let the NAT of one side forget its mappings; the call goes on without any loss."""
    async with call(restart="negotiator", media="video") as (network, peers):
        await send_numbers(peers)
        for peer in peers:
            await peer.wait_for("frame")
        rebound_at = time.monotonic()
        await network.rebind(0, behind, 3000)
        await notify(peers, rebound_at + 0.5)
        data = await seconds_until(peers, "data", rebound_at)
        frame = await seconds_until(peers, "frame", rebound_at)
        for peer in peers:
            await peer.wait_until_connected()
        restarts = len(events_of(peers, "RestartStarted"))
        losses = events_of(peers, "iceConnectionState", state="disconnected")
        noticed = min(e["at"] for e in losses if e["at"] > rebound_at) - rebound_at
        await check_nothing_is_lost(peers)
        print(
            f"NAT of {behind}: noticed after {noticed:.2f} s, data after {data:.2f} s, "
            f"frame {frame:.2f} s, {restarts} restarts"
        )
        assert not events_of(peers, "iceConnectionState", state="failed")
        assert data < 10
