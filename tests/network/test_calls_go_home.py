"""Two networks, of which the program prefers one: a call that had to leave it goes back.

Messages go both ways every 20 ms on an ordered, reliable channel; a silence is how long none came.
"""

import asyncio
import time
from typing import Any

import pytest

from network.checks import (
    Peers,
    check_nothing_is_lost,
    events_of,
    link_in_use,
    listen,
    longest_silence,
    start_flowing,
)
from network.fixtures import Connect
from network.namespaces import SIDES, Network, address, interface
from restartice.ice.paths.preference import PROVING

pytestmark = pytest.mark.network

HOME, AWAY = 1, 0
PREFERENCE = [interface(HOME), "link*"]
# How much longer a silence may be than before, as the machine may be busy.
MORE = 0.1


async def wait_for_link(peers: Peers, link: int) -> float:
    """Return when both send on a link; return how long that took."""
    began = time.monotonic()
    for side, peer in zip(SIDES, peers, strict=True):
        if (await peer.order(do="report"))["local"] != address(side, link):
            await peer.wait_for("pair", since=began, local=address(side, link))
    return time.monotonic() - began


async def silence_of(peers: Peers, seconds: float) -> float:
    """Return the longest silence of so many seconds from now on."""
    await listen(peers)
    await asyncio.sleep(seconds)
    return await longest_silence(peers)


def switches(peers: Peers, since: float) -> list[int]:
    """Return how often the pair in use was changed since a time, on each side."""
    changes = [events_of([peer], "pair") for peer in peers]
    return [len([event for event in events if event["at"] >= since]) for events in changes]


async def start_at_home(start_peers: Connect, *sides: str) -> Peers:
    """Start a call of which these sides prefer a network, which it uses."""
    options: dict[str, Any] = {side: {"ice": {"prefer": PREFERENCE}} for side in sides}
    peers = await start_flowing(start_peers, **options)
    await wait_for_link(peers, HOME)
    return peers


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")], ids="+".join)
async def test_home_again(network: Network, start_peers: Connect, sides: tuple[str, ...]) -> None:
    """Whichever side prefers it: the left one controls."""
    peers = await start_at_home(start_peers, *sides)
    await network.set_link(HOME, loss=1.0)
    await wait_for_link(peers, AWAY)
    ordinary = await silence_of(peers, PROVING)
    await network.set_link(HOME)
    healed_at = time.monotonic()
    await listen(peers)
    took = await wait_for_link(peers, HOME)
    at_home = await silence_of(peers, 1.0)
    silence = max(at_home, await longest_silence(peers))
    print(f"home {took:.1f} s after it healed; silence {silence:.3f} s, before {ordinary:.3f} s")
    assert took >= PROVING
    assert silence < ordinary + MORE
    assert switches(peers, healed_at) == [1, 1]
    for state in ("disconnected", "failed"):
        assert not events_of(peers, "iceConnectionState", state=state)
    await check_nothing_is_lost(peers)


async def test_a_network_that_comes_and_goes(network: Network, start_peers: Connect) -> None:
    """The call stays away while it is never up for long enough."""
    peers = await start_at_home(start_peers, "left", "right")
    await network.set_link(HOME, loss=1.0)
    await wait_for_link(peers, AWAY)
    away_since = time.monotonic()
    for _ in range(4):
        await network.set_link(HOME)
        await asyncio.sleep(0.6 * PROVING)
        await network.set_link(HOME, loss=1.0)
        await asyncio.sleep(2.5)
    assert switches(peers, away_since) == [0, 0]
    await network.set_link(HOME)
    await wait_for_link(peers, HOME)
    await check_nothing_is_lost(peers)


async def test_an_interface_that_is_down_for_a_while(
    network: Network, start_peers: Connect
) -> None:
    """Its address is gone meanwhile."""
    peers = await start_at_home(start_peers, "left")
    network.ip("left", "link", "set", interface(HOME), "down")
    await wait_for_link(peers, AWAY)
    network.ip("left", "link", "set", interface(HOME), "up")
    up_at = time.monotonic()
    await wait_for_link(peers, HOME)
    assert time.monotonic() - up_at >= PROVING
    await check_nothing_is_lost(peers)


async def test_both_sides_want_something_else(start_peers: Connect) -> None:
    """The controlling side's preference holds: it doesn't come along, and the other one returns."""
    other = [interface(AWAY), "link*"]
    peers = await start_flowing(
        start_peers, left={"ice": {"prefer": PREFERENCE}}, right={"ice": {"prefer": other}}
    )
    await wait_for_link(peers, HOME)
    ordinary = await silence_of(peers, 1.0)
    began = time.monotonic()
    await listen(peers)
    await peers[1].wait_for("pair", since=began, local=address("right", AWAY))
    await asyncio.sleep(2 * PROVING)
    assert await link_in_use(peers) == HOME
    assert switches(peers, began) == [0, 2]
    silence = await longest_silence(peers)
    print(f"silence {silence:.3f} s, before {ordinary:.3f} s")
    assert silence < ordinary + MORE
    assert (await peers[0].order(do="report"))["role"] == "controlling"
    await check_nothing_is_lost(peers)
