"""The program that MDN shows for restartIce(): the network fails, and the call comes back. (S5)."""

import asyncio
import time

import pytest

from network.fixtures import Connect
from network.namespaces import Network, address

pytestmark = pytest.mark.network


async def test_the_program_on_mdn(network: Network, start_peers: Connect) -> None:
    """Whoever reaches `failed` first restarts, and both go on over the other link without loss."""
    # Otherwise the call would go over to the other link by itself, without any restart.
    ice = {"spares": 0}
    left, right = await start_peers(restart="application", CONSENT_INTERVAL=0.5, ice=ice)
    for peer in (left, right):
        await peer.order(do="send", interval=0.02)
    before = await left.order(do="report")
    cut_link = 0 if before["local"] == address("left", 0) else 1
    other_link = 1 - cut_link

    cut_at = time.monotonic()
    for peer in (left, right):
        await peer.order(do="notify", after=cut_at)
    await network.set_link(cut_link, loss=1.0)
    # Its offer may reach the other side a moment before that one has failed, too.
    failures = [
        asyncio.ensure_future(peer.wait_for("iceConnectionState", state="failed", since=cut_at))
        for peer in (left, right)
    ]
    done, pending = await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
    for failure in pending:
        failure.cancel()
    await asyncio.gather(*done)
    for peer in (left, right):
        await peer.wait_for("iceConnectionState", state="completed", since=cut_at)
        await peer.wait_for("data", since=cut_at)

    sent = [(await peer.order(do="stop_sending"))["sent"] for peer in (left, right)]
    for peer, count in ((left, sent[1]), (right, sent[0])):
        await peer.order(do="expect", count=count)
        await peer.wait_for("all-received")
        report = await peer.order(do="report")
        assert report["in_order"]
        assert report["channel"] == "open"
    assert not [event for event in left.events + right.events if event["event"] == "channel-closed"]
    report = await left.order(do="report")
    assert report["local"] == address("left", other_link)
    assert report["remote"] == address("right", other_link)
