"""A call whose signaling server is gone: what a data channel can't negotiate waits for it."""

import asyncio
import time

import pytest

from network.checks import check_nothing_is_lost, link_in_use, send_numbers, wait_until_ready
from network.fixtures import Connect
from network.namespaces import Network

pytestmark = pytest.mark.network

# How long the server is away, in seconds.
AWAY = 60.0
# So that a path without traffic is given up within seconds.
ICE = {"consent_interval": 0.5, "consent_lifetime": 5.0}


async def test_a_call_without_its_server(network: Network, start_peers: Connect) -> None:
    peers = await start_peers(restart="negotiator", in_band=True, media="video", ice=ICE)
    left, right = peers
    await send_numbers(peers)
    for peer in peers:
        await peer.wait_for("frame")
    await wait_until_ready(peers, in_band=True)
    await network.stop_signaling()
    killed_at = time.monotonic()

    # What can be done in band is done: a track, a restart, and one over the path that is left.
    added_at = time.monotonic()
    await left.order(do="add_audio")
    await right.wait_for("first", kind="audio", since=added_at)
    restarted_at = time.monotonic()
    await right.order(do="restart")
    for peer in peers:
        await peer.wait_for("switched", since=restarted_at)
    await wait_until_ready(peers, in_band=True)
    cut_at = time.monotonic()
    link = await link_in_use(peers)
    await network.set_link(link, loss=1.0)
    await left.order(do="restart")
    for peer in peers:
        await peer.wait_for("switched", since=cut_at)
    assert await link_in_use(peers) == 1 - link

    # No path is left, and the one that comes back isn't in use any more.
    await network.set_link(1 - link, loss=1.0)
    lost_at = time.monotonic()
    for peer in peers:
        await peer.wait_for("iceConnectionState", state="failed", since=lost_at)
    await network.set_link(1 - link)
    await right.order(do="add_audio")
    await right.wait_for("signalingState", state="have-local-offer", since=lost_at)
    await asyncio.sleep(killed_at + AWAY - time.monotonic())
    assert not [e for e in left.events if e["event"] == "switched" and e["at"] > lost_at]
    assert not [e for e in left.events if e["event"] == "first" and e["at"] > lost_at]

    returned_at = time.monotonic()
    await network.start_signaling()
    for peer in peers:
        await peer.wait_for("switched", since=returned_at)
        await peer.wait_until_connected()
    await left.wait_for("first", kind="audio", since=returned_at)
    print(f"all done {time.monotonic() - returned_at:.1f} s after the server's return")
    await check_nothing_is_lost(peers)
