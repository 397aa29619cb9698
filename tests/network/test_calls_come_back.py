"""Calls come back by themselves: nothing acts here but the Negotiators of two processes."""

import math
import statistics
import time

import pytest

from network.calls import Peers, at_once, call
from network.checks import (
    check_nothing_is_lost,
    elapsed,
    events_of,
    link_in_use,
    notify,
    seconds_until,
    send_numbers,
)
from network.fixtures import Connect
from network.namespaces import Network

pytestmark = pytest.mark.network


@pytest.mark.parametrize("side", ["left", "right"])
async def test_interface_removed(network: Network, start_peers: Connect, side: str) -> None:
    """Data flows again over the other link within a second."""
    # Where no spare is kept, as with a network that came up only now.
    peers = await start_peers(restart="negotiator", ice={"spares": 0})
    await send_numbers(peers)
    link = await link_in_use(peers)
    removed_at = time.monotonic()
    await notify(peers, removed_at)
    network.remove_interface(side, link)
    delay = await seconds_until(peers, "data", removed_at)
    await seconds_until(peers, "RestartSucceeded", removed_at)
    assert await link_in_use(peers) == 1 - link
    assert len(events_of(peers, "RestartStarted", reason="address lost")) == 1
    await check_nothing_is_lost(peers)
    print(f"interface removed: data flowed again after {delay:.3f} s")
    assert delay < 1.0


async def test_silent_blackhole_with_media(network: Network, start_peers: Connect) -> None:
    """Disconnected within 2.3 s on both sides, and back within a second after the restart."""
    peers = await start_peers(restart="negotiator", media=True, ice={"spares": 0})
    await send_numbers(peers)
    for peer in peers:
        await peer.wait_for("frame")
    # The median of three, since this machine may have other things to do, also the one beneath it.
    figures = [await swallow_link_in_use(network, peers) for _ in range(3)]
    await check_nothing_is_lost(peers)
    noticed, data, frame = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"blackhole: disconnected after {noticed:.3f} s; data {data:.3f}, frame {frame:.3f} s on")
    assert noticed < 2.3
    assert data < 1.0
    assert frame < 1.5


async def swallow_link_in_use(network: Network, peers: Peers) -> tuple[float, float, float]:
    """Let a link swallow everything, until the other one is in use.

    Returns:
        The seconds until both sides noticed, and from the restart to data and to a picture. One
        that is so late to notice that the other one has restarted already hasn't noticed at all.
    """
    link = await link_in_use(peers)
    await network.set_link(link, loss=1.0)
    cut_at = time.monotonic()
    # What comes in that late has come over the other link.
    await notify(peers, cut_at + 0.5)
    await seconds_until(peers, "RestartSucceeded", cut_at)
    lost = [events_of([peer], "iceConnectionState", state="disconnected") for peer in peers]
    times = [min((e["at"] for e in es if e["at"] > cut_at), default=math.inf) for es in lost]
    noticed = max(elapsed(peer, cut_at, at) for peer, at in zip(peers, times, strict=True))
    began = min(e["at"] for e in events_of(peers, "RestartStarted") if e["at"] > cut_at)
    data = await seconds_until(peers, "data", began)
    frame = await seconds_until(peers, "frame", began)
    assert await link_in_use(peers) == 1 - link
    await network.set_link(link)
    return noticed, data, frame


@pytest.mark.usefixtures("namespaces")
async def test_silent_blackhole_without_traffic() -> None:
    """Two calls at once, as nearly all of this is waiting."""
    await at_once(notice_without_traffic(), recover_without_traffic())


async def notice_without_traffic() -> None:
    """Nothing is sent, and yet both sides notice within 8 seconds."""
    async with call(links=2, restart="never", ice={"spares": 0}) as (network, peers):
        cut_at = await let_swallow_all(network, peers)
        noticed = await seconds_until(peers, "iceConnectionState", cut_at, state="disconnected")
        print(f"idle: disconnected after {noticed:.3f} s")
        assert noticed < 8.0


async def recover_without_traffic() -> None:
    """Whoever notices first restarts, perhaps before the other one does."""
    async with call(links=2, restart="negotiator", ice={"spares": 0}) as (network, peers):
        link = await link_in_use(peers)
        cut_at = await let_swallow_all(network, peers)
        await seconds_until(peers, "RestartSucceeded", cut_at)
        assert await link_in_use(peers) == 1 - link
        await send_numbers(peers)
        await check_nothing_is_lost(peers)


async def let_swallow_all(network: Network, peers: Peers) -> float:
    """Let the link in use swallow everything; return the time."""
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(link, loss=1.0)
    return cut_at
