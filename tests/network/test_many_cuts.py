"""Two links that are cut and come back again and again: the call always goes over to the other one.

In short, and at random with `RESTARTICE_CUTS=10` (as many cuts, some two minutes).
"""

import asyncio
import os
import random
from collections.abc import Iterator

import pytest

from network.checks import (
    Peers,
    check_nobody_was_disconnected,
    check_nothing_is_lost,
    link_in_use,
    listen,
    longest_silence,
    start_flowing,
)
from network.fixtures import Connect
from network.namespaces import Network

pytestmark = pytest.mark.network

CUTS = int(os.environ.get("RESTARTICE_CUTS", "0"))
# Without a spare whose answers are known, or is asked at once, it takes 1.5 s at least.
SOON = 1.16
# When it is seen if the call has gone over.
SEEN = 2.0
# A link that is cut is asked four times in 2 s, and then rests for 4 s, 8 s and 16 s.
RESTING = 3.0

# For how long a link is cut, and how long it is until the next cut.
Cut = tuple[float, float]


def cuts() -> Iterator[Cut]:
    """Return how links are cut."""
    if not CUTS:
        yield RESTING, 1.0
        yield SEEN, 0.0
    for _ in range(CUTS):
        yield SEEN + random.uniform(0.0, 8.0), random.uniform(1.0, 8.0)


async def cut(network: Network, peers: Peers, link: int, seconds: float) -> float:
    """Cut a link for a while; return how long no message came at most."""
    await listen(peers)
    await network.set_link(link, loss=1.0)
    await asyncio.sleep(SEEN)
    silence = await longest_silence(peers)
    await asyncio.sleep(seconds - SEEN)
    await network.set_link(link)
    return silence


@pytest.mark.timeout(300 + 20 * CUTS)
async def test_the_call_always_goes_over(network: Network, start_peers: Connect) -> None:
    """Also while the link that was cut before isn't known to work again."""
    peers = await start_flowing(start_peers, media=True)
    for seconds, pause in cuts():
        in_use = await link_in_use(peers)
        link = random.choice([0, 1]) if CUTS else in_use
        silence = await cut(network, peers, link, seconds)
        what = "in use" if link == in_use else "not in use"
        print(f"link {link}, {what}, cut for {seconds:.1f} s: silence {silence:.2f} s")
        assert silence < SOON
        assert await link_in_use(peers) == (1 - link if link == in_use else in_use)
        await asyncio.sleep(pause)
    check_nobody_was_disconnected(peers)
    await check_nothing_is_lost(peers)
