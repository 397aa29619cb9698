"""Data channels that end with data waiting, whose ids are used again, and a thousand at a time."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiortc
import pytest

from connecting import DEADLINE, Echo, connect
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]
WAITING = 100
PIECE = bytes(10_000)
THOUSAND = 1000
ROUNDS = 5


class FarChannels:
    """The channels that one end is told of, and what arrives on each."""

    def __init__(self, pc: aiortc.RTCPeerConnection) -> None:
        self.channels: asyncio.Queue[aiortc.RTCDataChannel] = asyncio.Queue()
        self.arrived: dict[str, list[object]] = {}
        pc.on("datachannel", self._take)

    async def next(self) -> aiortc.RTCDataChannel:
        """Return the next channel."""
        async with asyncio.timeout(DEADLINE):
            return await self.channels.get()

    def _take(self, channel: aiortc.RTCDataChannel) -> None:
        messages = self.arrived.setdefault(channel.label, [])
        channel.on("message", messages.append)
        self.channels.put_nowait(channel)


async def closed(*channels: aiortc.RTCDataChannel) -> None:
    """Return when all are closed."""
    for channel in channels:
        done = asyncio.Event()
        channel.on("close", done.set)
        if channel.readyState != "closed":
            async with asyncio.timeout(DEADLINE):
                await done.wait()


@pytest.fixture
async def ends(make_pc: Factory) -> tuple[RTCPeerConnection, FarChannels, Echo]:
    near, far = make_pc(), make_pc()
    far_channels = FarChannels(far)
    echo = await connect(near, far)
    await far_channels.next()
    return near, far_channels, echo


async def test_what_was_sent_before_close_arrives(
    ends: tuple[RTCPeerConnection, FarChannels, Echo],
) -> None:
    near, far, echo = ends
    channel = near.createDataChannel("full")
    other = await far.next()
    for _ in range(WAITING):
        channel.send(PIECE)
    channel.send("last")
    assert channel.bufferedAmount > len(PIECE)
    channel.close()
    assert channel.readyState == "closing"
    with pytest.raises(aiortc.InvalidStateError):
        channel.send("too late")
    await closed(channel, other)
    assert far.arrived["full"] == [PIECE] * WAITING + ["last"]
    assert channel.bufferedAmount == 0
    await echo.check()


async def test_the_id_of_a_closed_channel_is_used_again(
    ends: tuple[RTCPeerConnection, FarChannels, Echo],
) -> None:
    near, far, echo = ends
    numbers = set()
    for turn in range(ROUNDS):
        channel = near.createDataChannel(f"turn {turn}")
        other = await far.next()
        numbers.add(channel.id)
        for number in range(10):
            channel.send(f"{turn}.{number}")
        other.close()
        await closed(channel, other)
        # Streams begin again with the number 0. What came before the end has arrived in order.
        arrived = far.arrived[f"turn {turn}"]
        assert arrived == [f"{turn}.{number}" for number in range(len(arrived))]
    assert len(numbers) == 1
    channel = near.createDataChannel("after all")
    await far.next()
    channel.send("")
    channel.send(b"")
    channel.send("text")
    async with asyncio.timeout(DEADLINE):
        while len(far.arrived["after all"]) < 3:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert far.arrived["after all"] == ["", b"", "text"]
    await echo.check()


async def test_a_thousand_channels_work_at_a_time(
    ends: tuple[RTCPeerConnection, FarChannels, Echo],
) -> None:
    near, far, echo = ends
    channels = [near.createDataChannel(str(number)) for number in range(THOUSAND)]
    others = [await far.next() for _ in channels]
    assert [other.label for other in others] == [str(number) for number in range(THOUSAND)]
    for channel in channels:
        channel.send(channel.label)
    async with asyncio.timeout(DEADLINE):
        while not all(map(far.arrived.get, map(str, range(THOUSAND)))):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert all(far.arrived[str(number)] == [str(number)] for number in range(THOUSAND))
    for channel in channels:
        channel.close()
    await closed(*channels, *others)
    sctp: Any = near.sctp
    assert len(sctp._data_channels) == 1
    await echo.check()
