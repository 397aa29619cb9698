"""A message with a lifetime isn't delivered when that is over, however long an outage takes."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiortc
import pytest

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected
from cutting import Cut
from restartice import IceSettings, RTCPeerConnection

LIFETIME = 0.1
OUTAGE = 1.5
# By how much a message may be late that was sent in time.
TOLERANCE = 0.5
PACE = 0.005
SMALL, FRAGMENTED = 300, 5000


class Commands:
    """Sends messages with the time and a number, and notes how old each is that arrives."""

    def __init__(
        self, near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection, **kwargs: Any
    ) -> None:
        self.channel = near.createDataChannel("commands", **kwargs)
        self.sent = 0
        self.ages: dict[int, float] = {}
        self.order: list[int] = []
        far.on("datachannel", lambda channel: channel.on("message", self._take))

    def _take(self, message: str) -> None:
        number, sent_at, _ = message.split(":")
        self.ages[int(number)] = time.monotonic() - float(sent_at)
        self.order.append(int(number))

    async def send(self, seconds: float, size: int) -> None:
        """Send one after the other."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.channel.send(f"{self.sent}:{time.monotonic()}:" + "x" * size)
            self.sent += 1
            await asyncio.sleep(PACE)


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


def cut(*pcs: RTCPeerConnection) -> list[Cut]:
    return [Cut(pc) for pc in pcs]


@pytest.mark.parametrize("size", [SMALL, FRAGMENTED])
@pytest.mark.parametrize("ordered", [True, False])
async def test_nothing_stale_arrives_after_an_outage(
    make_pc: Factory, *, ordered: bool, size: int
) -> None:
    near, far = (make_pc(iceSettings=IceSettings(spares=0)) for _ in range(2))
    commands = Commands(near, far, ordered=ordered, maxPacketLifeTime=round(1000 * LIFETIME))
    await negotiate(near, far)
    await wait_connected(near, far)
    await eventually(lambda: commands.channel.readyState == "open")
    await commands.send(0.3, size)
    await eventually(lambda: len(commands.ages) == commands.sent)
    cuts = cut(near)
    await commands.send(OUTAGE, size)
    during = commands.sent
    for each in cuts:
        each.heal()
    await commands.send(0.5, size)
    # The last one arrives, also where what came before it has to be given up first.
    async with asyncio.timeout(DEADLINE):
        while commands.sent - 1 not in commands.ages:
            await commands.send(PACE, size)
            await asyncio.sleep(LIFETIME)
    assert max(commands.ages.values()) < LIFETIME + TOLERANCE
    assert len([number for number in commands.ages if number < during]) < during / 2
    assert not ordered or commands.order == sorted(commands.order)
    await eventually(lambda: commands.channel.bufferedAmount == 0)
    # Nothing is lost without a count. One that arrives is given up, too, if its acknowledgement
    # comes after its lifetime, as on a busy machine.
    assert len(commands.ages) < commands.sent
    sctp: Any = near.sctp
    await eventually(lambda: len(commands.ages) + sctp._core.given_up >= commands.sent)


async def test_plain_aiortc_gets_nothing_stale(make_pc: Factory) -> None:
    near, far = make_pc(), aiortc.RTCPeerConnection()
    try:
        commands = Commands(near, far, maxPacketLifeTime=round(1000 * LIFETIME))
        await negotiate(near, far)
        await eventually(lambda: commands.channel.readyState == "open")
        cuts = cut(near)
        await commands.send(OUTAGE, SMALL)
        for each in cuts:
            each.heal()
        async with asyncio.timeout(DEADLINE):
            while commands.sent - 1 not in commands.ages:
                await commands.send(PACE, SMALL)
                await asyncio.sleep(LIFETIME)
        assert max(commands.ages.values()) < LIFETIME + TOLERANCE
    finally:
        await far.close()


async def test_reliable_messages_beside_them_all_arrive(make_pc: Factory) -> None:
    near, far = (make_pc(iceSettings=IceSettings(spares=0)) for _ in range(2))
    arrived: list[str] = []
    reliable = near.createDataChannel("log")
    commands = Commands(near, far, maxPacketLifeTime=round(1000 * LIFETIME))

    @far.on("datachannel")
    def listen(channel: aiortc.RTCDataChannel) -> None:
        if channel.label == "log":
            channel.remove_all_listeners("message")
            channel.on("message", arrived.append)

    await negotiate(near, far)
    await wait_connected(near, far)
    await eventually(lambda: commands.channel.readyState == "open")
    cuts = cut(near, far)
    for number in range(100):
        reliable.send(f"{number}" + "y" * FRAGMENTED)
        await commands.send(PACE, SMALL)
    for each in cuts:
        each.heal()
    await eventually(lambda: len(arrived) == 100)
    assert [int(text.rstrip("y")) for text in arrived] == [*range(100)]
    assert max(commands.ages.values(), default=0) < LIFETIME + TOLERANCE
