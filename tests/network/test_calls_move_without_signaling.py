"""Two networks, of which the one in use fails: the call goes over to the other one by itself.

No restart is made, so that only a spare helps. Times are generous, as the machine may be busy;
libwebrtc takes 5.8 s for a silent cut. What is measured is in the benchmarks.
"""

import time

import pytest

from network.checks import (
    Peers,
    check_nothing_is_lost,
    events_of,
    link_in_use,
    listen,
    longest_silence,
    notify,
    seconds_until,
    send_numbers,
    wait_until_ready,
)
from network.fixtures import Connect
from network.namespaces import SIDES, Network, address, interface

pytestmark = pytest.mark.network

# A tenth of what libwebrtc takes.
SOON = 0.58


def check_nobody_was_disconnected(peers: Peers) -> None:
    """Check that no state told of any of this."""
    for state in ("disconnected", "failed"):
        assert not events_of(peers, "iceConnectionState", state=state)


async def test_a_silent_cut(network: Network, start_peers: Connect) -> None:
    """And back again when the other link is cut, too, which the first one has outlived."""
    peers = await start_peers()
    await send_numbers(peers)
    for _ in range(2):
        await wait_until_ready(peers)
        link = await link_in_use(peers)
        await listen(peers)
        cut_at = time.monotonic()
        await network.set_link(link, loss=1.0)
        for peer in peers:
            await peer.wait_for("pair", since=cut_at)
        await notify(peers, time.monotonic())
        await seconds_until(peers, "data", cut_at)
        assert await longest_silence(peers) < SOON
        assert await link_in_use(peers) != link
        await network.set_link(link)
        received = (await peers[0].order(do="report"))["received"]
        await wait_until_ready(peers, received + 150)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


async def test_one_direction_is_cut(network: Network, start_peers: Connect) -> None:
    """Who still hears the other side comes along with it."""
    peers = await start_peers()
    await send_numbers(peers)
    await wait_until_ready(peers)
    link = await link_in_use(peers)
    await listen(peers)
    cut_at = time.monotonic()
    await network.set_link(link, "right", loss=1.0)
    for peer in peers:
        await peer.wait_for("pair", since=cut_at)
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", cut_at)
    assert await longest_silence(peers) < SOON
    assert await link_in_use(peers) != link
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
    peers = await start_peers()
    await send_numbers(peers)
    await wait_until_ready(peers)
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
    peers = await start_peers()
    await send_numbers(peers)
    await wait_until_ready(peers)
    link = await link_in_use(peers)
    await listen(peers)
    cut_at = time.monotonic()
    network.remove_interface(side, link)
    for peer in peers:
        await peer.wait_for("pair", since=cut_at)
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", cut_at)
    assert await longest_silence(peers) < SOON
    assert await link_in_use(peers) != link
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


async def test_a_network_that_comes_up_with_the_cut(network: Network, start_peers: Connect) -> None:
    """A new address joins, and takes over from the one that is cut silently."""
    place = (f"{address('left', 1)}/24", "dev", interface(1))
    network.ip("left", "addr", "del", *place)
    peers = await start_peers()
    await send_numbers(peers)
    await wait_until_ready(peers, working=1)
    assert await link_in_use(peers) == 0
    await listen(peers)
    cut_at = time.monotonic()
    await network.set_link(0, loss=1.0)
    network.ip("left", "addr", "add", *place)
    for peer in peers:
        await peer.wait_for("pair", since=cut_at)
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", cut_at)
    assert await longest_silence(peers) < 2 * SOON
    assert await link_in_use(peers) == 1
    await check_nothing_is_lost(peers)
