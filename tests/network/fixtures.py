"""Networks and peers for the tests of this directory."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from network.calls import Peers, peers_in
from network.namespaces import Network, left_behind, run_ip
from requiring import require

Connect = Callable[..., Awaitable[Peers]]


@pytest.fixture
def namespaces() -> Iterator[None]:
    """Skip where no network namespaces can be made; check that none is left behind."""
    require(os.geteuid() == 0, "root, for network namespaces")
    require(shutil.which("ip"), "iproute2")
    yield
    left = left_behind()
    for name in left:
        run_ip("netns", "del", name)
    assert not left


@pytest.fixture
async def network(namespaces: None) -> AsyncIterator[Network]:  # noqa: ARG001
    """Two namespaces with two links."""
    opened = await Network.open()
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def start_peers(network: Network) -> AsyncIterator[Connect]:
    """Start a process in each namespace; returns when the data channel is open on both sides."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Peers:
            return await stack.enter_async_context(peers_in(network, **options))

        yield start
