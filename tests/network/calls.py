"""Calls between two processes, each in a network of its own, so that many can be tried at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from network.namespaces import SIDES, Network
from network.processes import Program

Peers = tuple[Program, Program]


@asynccontextmanager
async def peers_in(network: Network, **options: Any) -> AsyncIterator[Peers]:
    """Run a peer in each namespace, from when the data channel is open on both sides.

    Options that have the name of a side are for that one only.
    """
    async with AsyncExitStack() as stack:
        peers = []
        for side in SIDES:
            common = {name: value for name, value in options.items() if name not in SIDES}
            own = {**common, **options.get(side, {})}
            arguments = (side, network.signaling_url(side), json.dumps(own))
            peer = await Program.start(network.namespace(side), "peer.py", *arguments)
            stack.push_async_callback(peer.close)
            peers.append(peer)
        for peer in peers:
            await peer.wait_for("channel-open")
        yield peers[0], peers[1]


@asynccontextmanager
async def call(
    links: int = 1, families: Sequence[int] = (4,), **options: Any
) -> AsyncIterator[tuple[Network, Peers]]:
    """Make a network and run two peers in it."""
    network = await Network.open(links, families)
    try:
        async with peers_in(network, **options) as peers:
            yield network, peers
    finally:
        await network.close()


async def at_once(*calls: Coroutine[Any, Any, None]) -> None:
    """Run tests of calls side by side; when one fails, the others clean up, too."""
    async with asyncio.TaskGroup() as group:
        for one in calls:
            group.create_task(one)
