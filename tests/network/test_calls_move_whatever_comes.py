"""Addresses that come and go, and restarts in the middle of it: no message is lost."""

import asyncio
import time

import pytest

from network.calls import call
from network.checks import (
    Peers,
    check_nothing_is_lost,
    events_of,
    link_in_use,
    notify,
    seconds_until,
    send_numbers,
    wait_until_ready,
)
from network.fixtures import Connect
from network.namespaces import Network, address, interface

pytestmark = pytest.mark.network

# How long an address is away.
AWAY = 1.0


async def check_it_goes_on(peers: Peers, since: float) -> None:
    """Check that what is sent from now on arrives, and that nobody has given the call up."""
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", since)
    for peer in peers:
        await peer.wait_until_connected()
    assert not events_of(peers, "iceConnectionState", state="failed")


@pytest.mark.usefixtures("namespaces")
async def test_the_only_address_comes_and_goes() -> None:
    """With the socket that was bound to it, as there is nothing else to go over to."""
    async with call(links=1) as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers, working=1)
        place = (f"{address('left', 0)}/24", "dev", interface(0))
        for _ in range(3):
            network.ip("left", "addr", "del", *place)
            await asyncio.sleep(AWAY)
            network.ip("left", "addr", "add", *place)
            await check_it_goes_on(peers, time.monotonic())
        await check_nothing_is_lost(peers)


async def test_both_networks_go_and_come_back(network: Network, start_peers: Connect) -> None:
    """And after that the call still goes over to the other one when one is cut."""
    peers = await start_peers()
    await send_numbers(peers)
    await wait_until_ready(peers)
    places = [(f"{address('left', link)}/24", "dev", interface(link)) for link in (0, 1)]
    for place in places:
        network.ip("left", "addr", "del", *place)
    await asyncio.sleep(AWAY)
    for place in places:
        network.ip("left", "addr", "add", *place)
    await check_it_goes_on(peers, time.monotonic())
    received = (await peers[0].order(do="report"))["received"]
    await wait_until_ready(peers, received + 300)
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(link, loss=1.0)
    for peer in peers:
        await peer.wait_for("pair", since=cut_at)
    await check_it_goes_on(peers, cut_at)
    assert await link_in_use(peers) != link
    await check_nothing_is_lost(peers)


@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_a_restart_meets_a_move(network: Network, start_peers: Connect, pause: float) -> None:
    """The network in use is cut when a restart begins, or shortly before."""
    peers = await start_peers(restart="nobody")
    await send_numbers(peers)
    await wait_until_ready(peers)
    link = await link_in_use(peers)
    cut_at = time.monotonic()
    await network.set_link(link, loss=1.0)
    await asyncio.sleep(pause)
    await peers[0].order(do="restart")
    for peer in peers:
        await peer.wait_for("switched", since=cut_at)
    await check_it_goes_on(peers, cut_at)
    assert await link_in_use(peers) != link
    await check_nothing_is_lost(peers)
