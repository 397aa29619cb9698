"""One link that loses and delays, with two families of addresses: no other path is any better."""

import asyncio
import time

import pytest

from network.calls import call
from network.checks import check_nothing_is_lost, events_of, send_numbers, wait_until_ready

pytestmark = pytest.mark.network

PAUSES = 6


@pytest.mark.usefixtures("namespaces")
async def test_no_switch_where_pauses_heal() -> None:
    """The spares are on the same link, so that they are silent when it is."""
    async with call(links=1, families=(4, 6)) as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers)
        began_at = time.monotonic()
        for _ in range(PAUSES):
            await network.set_link(0, loss=0.05, delay=0.05, jitter=0.3)
            await asyncio.sleep(1.5)
            await network.set_link(0, loss=1.0)
            await asyncio.sleep(0.4)
        await network.set_link(0)
        assert not [event for event in events_of(peers, "pair") if event["at"] > began_at]
        await check_nothing_is_lost(peers)
