"""Networks and peers for the tests of this directory."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from network.namespaces import SIDES, Network
from network.processes import Program
from requiring import require

Pair = tuple[Program, Program]
Connect = Callable[..., Awaitable[Pair]]


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """Two namespaces with two links."""
    require(os.geteuid() == 0, "root, for network namespaces")
    require(shutil.which("ip"), "iproute2")
    opened = await Network.open()
    yield opened
    await opened.close()


@pytest.fixture
async def start_peers(network: Network) -> AsyncIterator[Connect]:
    """Start a process in each namespace; returns when the data channel is open on both sides."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Pair:
            peers = []
            for side in SIDES:
                arguments = (side, network.signaling_url(side), json.dumps(options))
                peer = await Program.start(network.namespace(side), "peer.py", *arguments)
                stack.push_async_callback(peer.close)
                peers.append(peer)
            for peer in peers:
                await peer.wait_for("channel-open")
            return peers[0], peers[1]

        yield start
