"""Networks and peers for the tests of this directory."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from network.calls import Peers, peers_in
from network.namespaces import Network
from requiring import require

Connect = Callable[..., Awaitable[Peers]]


@pytest.fixture
def namespaces() -> None:
    """Skip where no network namespaces can be made."""
    require(os.geteuid() == 0, "root, for network namespaces")
    require(shutil.which("ip"), "iproute2")


@pytest.fixture
async def network(namespaces: None) -> AsyncIterator[Network]:  # noqa: ARG001
    """Two namespaces with two links."""
    opened = await Network.open()
    yield opened
    await opened.close()


@pytest.fixture
async def start_peers(network: Network) -> AsyncIterator[Connect]:
    """Start a process in each namespace; returns when the data channel is open on both sides."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Peers:
            return await stack.enter_async_context(peers_in(network, **options))

        yield start
