"""Many messages come through restarts and outages: all of them, once, and in order.

RESTARTICE_MESSAGES says how many; with a million there are 200 restarts and 50 outages.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any

import pytest
from aiortc import RTCDataChannel

from connecting import negotiate, sending_ufrags, wait_connected, wait_restarted
from cutting import QUICK, Cut
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]
MESSAGES = int(os.environ.get("RESTARTICE_MESSAGES", "100000"))
RESTARTS, OUTAGES = MESSAGES // 5000, MESSAGES // 20_000
# At which an ICE transport takes the path for lost, or doesn't notice it yet.
SECONDS = (0.2, 1.0)
MOST_WAITING = 1 << 18
DEADLINE = 120 + MESSAGES / 1000


def message(number: int) -> str:
    """Return a message, most of which are small; some need several packets."""
    return f"{number}:" + "x" * (5000 if number % 1000 == 0 else number % 100)


class Receiver:
    """Checks that what arrives is what comes next."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.count = 0
        self.wrong: str | None = None
        self._changed = asyncio.Event()
        pc.on("datachannel", lambda channel: channel.on("message", self._take))

    def _take(self, text: str) -> None:
        if text != message(self.count):
            self.wrong = self.wrong or f"{text[:20]} in place of {self.count}"
        self.count += 1
        if self.wrong is not None or self.count % 100 == 0:
            self._changed.set()

    async def wait_for(self, count: int) -> None:
        """Return when so many have arrived."""
        while self.count < count and self.wrong is None:
            self._changed.clear()
            await self._changed.wait()
        assert self.wrong is None


async def send_all(channel: RTCDataChannel) -> None:
    """Send all messages, of which few wait at a time."""
    low = asyncio.Event()
    channel.bufferedAmountLowThreshold = MOST_WAITING // 2
    channel.on("bufferedamountlow", low.set)
    for number in range(MESSAGES):
        if channel.bufferedAmount > MOST_WAITING:
            low.clear()
            await low.wait()
        channel.send(message(number))


@pytest.mark.timeout(2 * DEADLINE)
async def test_all_messages_arrive_once_and_in_order(make_pc: Factory) -> None:
    near, far = (make_pc(iceSettings=QUICK) for _ in range(2))
    receiver = Receiver(far)
    channel, opened = near.createDataChannel("numbers"), asyncio.Event()
    channel.on("open", opened.set)
    await negotiate(near, far)
    await wait_connected(near, far)
    offerers, seconds = cycle([(near, far), (far, near)]), cycle(SECONDS)

    async def restart() -> None:
        offerer, answerer = next(offerers)
        before = [sending_ufrags(pc) for pc in (near, far)]
        offerer.restartIce()
        await negotiate(offerer, answerer)
        await wait_restarted(near, far, since=before)

    async def outage() -> None:
        cuts = [Cut(near), Cut(far)]
        await asyncio.sleep(next(seconds))
        for cut in cuts:
            cut.heal()

    async def repeat(action: Callable[[], Awaitable[None]], times: int) -> None:
        for number in range(times):
            await receiver.wait_for(MESSAGES * (2 * number + 1) // (2 * times + 1))
            async with acting:
                await action()

    acting = asyncio.Lock()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        await opened.wait()
        group.create_task(send_all(channel))
        group.create_task(repeat(restart, RESTARTS))
        group.create_task(repeat(outage, OUTAGES))
        await receiver.wait_for(MESSAGES)
    assert receiver.count == MESSAGES
    sctp: Any = near.sctp
    assert sctp.transport.transport._core.restarts == RESTARTS
    assert channel.bufferedAmount == 0
