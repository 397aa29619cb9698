"""Links that lose and delay: one with two families of addresses, where no other path is any better.

And two, each of which loses a part in its turn.

In short, and with `RESTARTICE_MINUTES=10` for so many minutes.
"""

import asyncio
import os
import time

import pytest

from network.calls import call
from network.checks import (
    check_nothing_is_lost,
    events_of,
    send_numbers,
    start_flowing,
    wait_until_ready,
)
from network.fixtures import Connect
from network.namespaces import Network

pytestmark = pytest.mark.network

MINUTES = float(os.environ.get("RESTARTICE_MINUTES", "0"))
GOOD, PAUSE = 1.5, 0.4
TURNS, TURN = 4, 2.0
PAUSES = max(6, round(60 * MINUTES / (GOOD + PAUSE)))


@pytest.mark.timeout(300 + 90 * MINUTES)
@pytest.mark.usefixtures("namespaces")
async def test_no_switch_where_pauses_heal() -> None:
    """The spares are on the same link, so that they are silent when it is."""
    async with call(links=1, families=(4, 6)) as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers)
        began_at = time.monotonic()
        for _ in range(PAUSES):
            await network.set_link(0, loss=0.05, delay=0.05, jitter=0.3)
            await asyncio.sleep(GOOD)
            await network.set_link(0, loss=1.0)
            await asyncio.sleep(PAUSE)
        await network.set_link(0)
        assert not [event for event in events_of(peers, "pair") if event["at"] > began_at]
        await check_nothing_is_lost(peers)


async def test_two_links_are_bad_in_turn(network: Network, start_peers: Connect) -> None:
    """Whichever is in use, the call goes on."""
    peers = await start_flowing(start_peers)
    began_at = time.monotonic()
    for turn in range(TURNS):
        bad = turn % 2
        await network.set_link(bad, loss=0.2)
        await network.set_link(1 - bad)
        await asyncio.sleep(TURN)
    for link in (0, 1):
        await network.set_link(link)
    moves = [event for event in events_of(peers, "pair") if event["at"] > began_at]
    print(f"two bad links: the call went over {len(moves) / 2:g} times")
    assert not events_of(peers, "iceConnectionState", state="failed")
    for peer in peers:
        await peer.wait_until_connected()
    await check_nothing_is_lost(peers)
