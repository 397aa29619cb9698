"""Hosts with many addresses, as with a bridge for each container, of which one leads across."""

import time
from collections.abc import AsyncIterator

import pytest

from network.calls import peers_in
from network.namespaces import SIDES, Network, address

pytestmark = pytest.mark.network

BRIDGES = 32
# Of what took 15 s and more, or failed, where pairs were checked in the order they were made in.
SOON = 4.0


class Bridged(Network):
    """A network whose sides have links to nowhere first, the same ones, and then one across."""

    def add_interface(self, side: str, link: int) -> None:
        add_bridges(self, side)
        super().add_interface(side, link)


@pytest.fixture
async def bridged(namespaces: None) -> AsyncIterator[Network]:  # noqa: ARG001
    opened = await Bridged.open(links=1)
    yield opened
    await opened.close()


async def test_the_pair_that_leads_across_is_found_soon(bridged: Network) -> None:
    async with peers_in(bridged) as (left, right):
        for peer in (left, right):
            await peer.wait_for("iceConnectionState", state="completed")
            completed = [e["at"] for e in peer.events if e.get("state") == "completed"]
            checking = [e["at"] for e in peer.events if e.get("state") == "checking"]
            assert completed[0] - checking[0] < SOON
            report = await peer.order(do="report")
            assert {report["local"], report["remote"]} == {address(side, 0) for side in SIDES}
        restarted_at = time.monotonic()
        await left.order(do="restart")
        for peer in (left, right):
            switched = await peer.wait_for("switched", since=restarted_at)
            assert switched["at"] - restarted_at < SOON


def add_bridges(network: Network, side: str) -> None:
    """Give a side links to nowhere, with addresses that the other side has as well."""
    for number in range(BRIDGES):
        name, end = f"bridge{number}", f"container{number}"
        network.ip(side, "link", "add", name, "type", "veth", "peer", "name", end)
        for link in (name, end):
            network.ip(side, "link", "set", link, "up")
        network.ip(side, "addr", "add", f"172.{17 + number}.0.1/16", "dev", name)
