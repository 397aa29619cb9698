"""A data channel is open as soon as the other side has been told of it, as in browsers."""

import asyncio
from collections.abc import Mapping

import aiortc
import pytest

from conftest import Factory
from connecting import DEADLINE, Echo, connect, negotiate
from losing import DATA, Losses

MESSAGES = [f"message {number}" for number in range(20)]
FOREVER = 1 << 20


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("lost", [{}, {DATA: 1}], ids=str)
async def test_what_is_sent_at_once_comes_after_the_channel(
    make_pc: Factory, lost: Mapping[int, int], *, ordered: bool
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    channel = near.createDataChannel("prompt", ordered=ordered)
    received: asyncio.Queue[object] = asyncio.Queue()
    far.on("datachannel", lambda theirs: theirs.on("message", received.put_nowait))
    Losses(near, lost)

    @channel.on("open")
    def send() -> None:
        for message in MESSAGES:
            channel.send(message)

    async with asyncio.timeout(DEADLINE):
        assert [await received.get() for _ in MESSAGES] == MESSAGES


async def test_it_opens_before_the_other_side_answers(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    silent = Losses(far, {DATA: FOREVER})
    channel, opened = near.createDataChannel("prompt"), asyncio.Event()
    channel.on("open", opened.set)
    # The program may begin to listen in the same turn.
    assert channel.readyState == "connecting"
    async with asyncio.timeout(DEADLINE):
        await opened.wait()
    assert channel.readyState == "open"
    assert silent.left[DATA] >= FOREVER - 1


async def test_the_other_end_emits_open_after_datachannel(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    events: list[str] = []
    opened = asyncio.Event()

    @far.on("datachannel")
    def note(channel: aiortc.RTCDataChannel) -> None:
        events.append(f"datachannel, {channel.readyState}")
        channel.on("open", lambda: events.append("open"))
        channel.on("open", opened.set)

    near.createDataChannel("prompt")
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        await opened.wait()
    assert events == ["datachannel, open", "open"]


async def test_one_that_is_closed_at_once_does_not_emit_open(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    events: list[str] = []
    closed = asyncio.Event()

    @far.on("datachannel")
    def close(channel: aiortc.RTCDataChannel) -> None:
        channel.on("open", lambda: events.append("open"))
        channel.on("close", closed.set)
        channel.close()

    near.createDataChannel("prompt")
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        await closed.wait()
    assert events == []


@pytest.mark.parametrize("ours_offers", [True, False])
async def test_with_plain_aiortc(make_pc: Factory, *, ours_offers: bool) -> None:
    ours, theirs = make_pc(), aiortc.RTCPeerConnection()
    near, far = (ours, theirs) if ours_offers else (theirs, ours)
    try:
        echo = Echo(near, far)
        await negotiate(near, far)
        await echo.check()
    finally:
        await theirs.close()
