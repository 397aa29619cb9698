"""NATs that let in only what comes from where somebody behind them has sent to."""

import time

import pytest

from network.checks import (
    check_gone_over,
    check_nobody_was_disconnected,
    check_nothing_is_lost,
    cut_link_in_use,
    events_of,
    link_in_use,
    notify,
    seconds_until,
    start_flowing,
)
from network.fixtures import Connect
from network.namespaces import SIDES, Network, address, interface, management_address

pytestmark = pytest.mark.network

SHIFT = 3000
# Without a spare it would be 1.5 s at least.
SOON = 1.16


@pytest.mark.parametrize("behind", SIDES)
async def test_a_spare_has_opened_its_nat(
    network: Network, start_peers: Connect, behind: str
) -> None:
    """Each of two networks has a NAT in front of it, and the one in use is cut silently."""
    for link in (0, 1):
        await network.rebind(link, behind, SHIFT, filters=True)
    peers = await start_flowing(start_peers)
    link, cut_at = await cut_link_in_use(network, peers)
    await check_gone_over(peers, link, cut_at, SOON)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)


async def test_a_new_address_is_not_let_in(network: Network, start_peers: Connect) -> None:
    """The NAT of the other side knows nothing of it, so that signaling is needed for the call."""
    await network.rebind(1, "right", SHIFT, filters=True)
    place = (f"{address('left', 1)}/24", "dev", interface(1))
    network.ip("left", "addr", "del", *place)
    peers = await start_flowing(start_peers, working=1, restart="negotiator")
    assert await link_in_use(peers) == 0
    # Nobody tells the other side of the address now, which would then send there itself.
    signaling = (f"{management_address('left', 'left')}/24", "dev", "mgmt")
    network.ip("left", "addr", "del", *signaling)
    await network.set_link(0, loss=1.0)
    cut_at = time.monotonic()
    network.ip("left", "addr", "add", *place)
    for peer in peers:
        await peer.wait_for("iceConnectionState", since=cut_at, state="disconnected")
    assert not [event for event in events_of(peers, "pair") if event["at"] > cut_at]
    network.ip("left", "addr", "add", *signaling)
    back_at = time.monotonic()
    await notify(peers, back_at)
    await seconds_until(peers, "data", back_at)
    for peer in peers:
        await peer.wait_until_connected()
    assert await link_in_use(peers) == 1
    assert events_of(peers, "RestartStarted")
    await check_nothing_is_lost(peers)
