"""Candidates whose addresses hide behind names of multicast DNS."""

import pytest

from network.namespaces import Network, address, interface
from network.processes import Program

pytestmark = pytest.mark.network


async def test_names_are_resolved_and_one_that_nobody_knows_is_harmless(network: Network) -> None:
    network.ip("left", "route", "add", "224.0.0.0/4", "dev", interface(0))
    program = await Program.start(
        network.namespace("left"), "names.py", address("left", 0), "published"
    )
    await program.wait_for("closed")
    connected = [event for event in program.events if event["event"] == "connected"]
    assert len(connected) == 2
    assert all(name.endswith(".local") for event in connected for name in event["remote"])
    assert await program.close() == 0


async def test_no_multicast_at_all_is_harmless(network: Network) -> None:
    # There is no route for it, so that not even the question can be asked.
    program = await Program.start(
        network.namespace("left"), "names.py", address("left", 0), "unknown"
    )
    await program.wait_for("closed")
    assert [event["event"] for event in program.events] == ["connected", "connected", "closed"]
    assert await program.close() == 0
