"""Two networks, of which the one in use fails: the call goes over to the other one by itself.

No restart is made, so that only a spare helps. Times are generous, as the machine may be busy;
libwebrtc takes 5.8 s for a silent cut. What is measured is in the benchmarks.
"""

import time

import pytest

from network.checks import (
    check_gone_over,
    check_nobody_was_disconnected,
    check_nothing_is_lost,
    cut_link_in_use,
    events_of,
    link_in_use,
    listen,
    notify,
    seconds_until,
    send_numbers,
    start_flowing,
    wait_until_ready,
)
from network.fixtures import Connect
from network.namespaces import SIDES, Network, address, interface

pytestmark = pytest.mark.network

# A tenth of what libwebrtc takes.
SOON = 0.58


async def test_a_silent_cut(network: Network, start_peers: Connect) -> None:
    """And back again when the other link is cut, too, which the first one has outlived."""
    peers = await start_flowing(start_peers)
    for _ in range(2):
        link, cut_at = await cut_link_in_use(network, peers)
        await check_gone_over(peers, link, cut_at, SOON)
        await network.set_link(link)
        received = (await peers[0].order(do="report"))["received"]
        await wait_until_ready(peers, received + 150)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


async def test_one_direction_is_cut(network: Network, start_peers: Connect) -> None:
    """Who still hears the other side comes along with it."""
    peers = await start_flowing(start_peers)
    link, cut_at = await cut_link_in_use(network, peers, "right")
    await check_gone_over(peers, link, cut_at, SOON)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


async def test_nothing_is_sent(network: Network, start_peers: Connect) -> None:
    """A call without traffic goes over when consent isn't answered, before it is disconnected."""
    peers = await start_peers()
    await wait_until_ready(peers, messages=0)
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(link, loss=1.0)
    for peer in peers:
        await peer.wait_for("pair", since=cut_at)
    assert await link_in_use(peers) != link
    check_nobody_was_disconnected(peers)
    await send_numbers(peers)
    await wait_until_ready(peers)
    await check_nothing_is_lost(peers)


async def test_both_links_are_cut(network: Network, start_peers: Connect) -> None:
    """Then the call is disconnected, and comes back with the first one that heals."""
    peers = await start_flowing(start_peers)
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    for number in range(2):
        await network.set_link(number, loss=1.0)
    for peer in peers:
        await peer.wait_for("iceConnectionState", since=cut_at, state="disconnected")
    healed_at = time.monotonic()
    await network.set_link(1 - link)
    await notify(peers, healed_at)
    await seconds_until(peers, "data", healed_at)
    for peer in peers:
        await peer.wait_until_connected()
    assert await link_in_use(peers) != link
    await check_nothing_is_lost(peers)


async def test_without_spares(network: Network, start_peers: Connect) -> None:
    """Nothing helps where they are turned off, as ever."""
    peers = await start_peers(ice={"spares": 0}, CONSENT_INTERVAL=0.5)
    await send_numbers(peers)
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(link, loss=1.0)
    for peer in peers:
        await peer.wait_for("iceConnectionState", since=cut_at, state="failed")
    assert not [event for event in events_of(peers, "pair") if event["at"] > cut_at]


@pytest.mark.parametrize("side", SIDES)
async def test_an_interface_is_removed(network: Network, start_peers: Connect, side: str) -> None:
    """Each side leaves it at once, whichever controls; the other one comes along."""
    peers = await start_flowing(start_peers)
    link = await link_in_use(peers)
    await listen(peers)
    cut_at = time.monotonic()
    network.remove_interface(side, link)
    await check_gone_over(peers, link, cut_at, SOON)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


@pytest.mark.parametrize("side", SIDES)
async def test_the_negotiator_leaves_it_to_a_spare(
    network: Network, start_peers: Connect, side: str
) -> None:
    """It tells of the switches, and restarts nothing, whatever it is that fails."""
    peers = await start_flowing(start_peers, restart="negotiator")
    first = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(first, loss=1.0)
    told = [await peer.wait_for("PathSwitched", since=cut_at) for peer in peers]
    for name, event in zip(SIDES, told, strict=True):
        assert event["reason"] in {"silence", "peer"}
        assert 0 < event["silence"] < SOON
        for end, place in (("local", name), ("remote", SIDES[1 - SIDES.index(name)])):
            assert event["before"][end][0] == address(place, first)
            assert event["after"][end][0] == address(place, 1 - first)
    await network.set_link(first)
    received = (await peers[0].order(do="report"))["received"]
    await wait_until_ready(peers, received + 150)
    removed_at = time.monotonic()
    network.remove_interface(side, 1 - first)
    told = [await peer.wait_for("PathSwitched", since=removed_at) for peer in peers]
    assert told[SIDES.index(side)]["reason"] == "gone"
    # Time enough for a restart that should not have been.
    received = (await peers[0].order(do="report"))["received"]
    await wait_until_ready(peers, received + 100)
    assert not events_of(peers, "RestartStarted")
    await check_nothing_is_lost(peers)


async def test_the_negotiator_waits_for_a_spare(network: Network, start_peers: Connect) -> None:
    """One that was silent when it was asked last, and works again when the address is lost."""
    peers = await start_flowing(start_peers, restart="negotiator")
    link = await link_in_use(peers)
    await network.set_link(1 - link, loss=1.0)
    # It is asked every 4 s, and known not to work 1.6 s after that.
    received = (await peers[0].order(do="report"))["received"]
    await wait_until_ready(peers, received + 400)
    await network.set_link(1 - link)
    removed_at = time.monotonic()
    network.remove_interface("left", link)
    await peers[0].wait_for("PathSwitched", since=removed_at, reason="gone")
    await peers[1].wait_for("PathSwitched", since=removed_at)
    await wait_until_ready(peers, received + 500)
    assert not events_of(peers, "RestartStarted")
    await check_nothing_is_lost(peers)


async def test_a_network_that_comes_up_with_the_cut(network: Network, start_peers: Connect) -> None:
    """A new address joins, and takes over from the one that is cut silently."""
    place = (f"{address('left', 1)}/24", "dev", interface(1))
    network.ip("left", "addr", "del", *place)
    peers = await start_flowing(start_peers, working=1)
    assert await link_in_use(peers) == 0
    await listen(peers)
    cut_at = time.monotonic()
    await network.set_link(0, loss=1.0)
    network.ip("left", "addr", "add", *place)
    await check_gone_over(peers, 0, cut_at, 2 * SOON)
    await check_nothing_is_lost(peers)
