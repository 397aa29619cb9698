"""An ICE restart whose offer is sent as the socket to the signaling server dies."""

import time

import pytest

from network.fixtures import Connect
from network.namespaces import Network, management_address

pytestmark = pytest.mark.network


@pytest.mark.parametrize("dying", ["left", "right"])
async def test_the_offer_arrives(network: Network, start_peers: Connect, dying: str) -> None:
    """The side that offers, or the one that is to answer, loses the address of its socket."""
    left, right = await start_peers()
    for peer in (left, right):
        await peer.order(do="send", interval=0.02)
    address = (f"{management_address(dying, dying)}/24", "dev", "mgmt")

    died_at = time.monotonic()
    # From here on the socket carries nothing, whether its owner has noticed that or not.
    network.ip(dying, "addr", "del", *address)
    await left.order(do="restart")
    await left.wait_for("signalingState", state="have-local-offer", since=died_at)
    assert not [e for e in right.events if e["event"] == "switched" and e["at"] >= died_at]
    network.ip(dying, "addr", "add", *address)

    for peer in (left, right):
        await peer.wait_for("switched", since=died_at)
        await peer.wait_for("signalingState", state="stable", since=died_at)
    sent = [(await peer.order(do="stop_sending"))["sent"] for peer in (left, right)]
    for peer, count in ((left, sent[1]), (right, sent[0])):
        await peer.order(do="expect", count=count)
        await peer.wait_for("all-received")
        assert (await peer.order(do="report"))["in_order"]
        await peer.wait_until_connected()
