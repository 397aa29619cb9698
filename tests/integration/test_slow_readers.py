"""A program that reads slowly: the other side waits, memory is bounded, and nothing is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiortc
import pytest

from connecting import DEADLINE, negotiate
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]
COUNT = 400
SIZE = 16384
WINDOW = 1 << 20
# What is taken of what was under way when the window closed.
UNDER_WAY = 1 << 18


def numbered(number: int) -> bytes:
    """Return a message that is large, and tells its number."""
    return b"%08d" % number + bytes(SIZE - 8)


class Reader:
    """Reads the messages of all channels of one end by a coroutine, and only if it may."""

    def __init__(self, pc: aiortc.RTCPeerConnection) -> None:
        self.may_read = asyncio.Event()
        self.done = asyncio.Event()
        self.waiting = self.most = 0
        self.read: list[bytes] = []
        self.came = asyncio.Event()
        pc.on("datachannel", self.listen)

    def listen(self, channel: aiortc.RTCDataChannel) -> None:
        """Listen to a channel."""
        channel.on("message", self.take)

    async def take(self, message: bytes) -> None:
        """Take a message when it may be read."""
        self.waiting += len(message)
        self.most = max(self.most, self.waiting)
        self.came.set()
        await self.may_read.wait()
        self.waiting -= len(message)
        self.read.append(message[:8])
        if message.startswith(b"%08d" % (COUNT - 1)):
            self.done.set()

    async def until_nothing_comes(self) -> None:
        """Wait until nothing has come for a second, which is when the window is closed."""
        while True:
            self.came.clear()
            try:
                async with asyncio.timeout(1):
                    await self.came.wait()
            except TimeoutError:
                return


async def open_channel(near: Any, far: Any) -> aiortc.RTCDataChannel:
    """Return a channel that is open."""
    channel: aiortc.RTCDataChannel = near.createDataChannel("bulk")
    opened = asyncio.Event()
    channel.on("open", opened.set)
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        await opened.wait()
    return channel


async def test_the_window_follows_listeners_that_are_coroutines(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    reader = Reader(far)
    channel = await open_channel(near, far)
    for number in range(COUNT):
        channel.send(numbered(number))
    async with asyncio.timeout(DEADLINE):
        await reader.until_nothing_comes()
    assert WINDOW / 2 < reader.waiting <= WINDOW + UNDER_WAY + SIZE
    assert channel.bufferedAmount > COUNT * SIZE / 2
    reader.may_read.set()
    async with asyncio.timeout(DEADLINE):
        await reader.done.wait()
    assert reader.read == [numbered(n)[:8] for n in range(COUNT)]
    # Nothing is left of it.
    sctp: Any = far.sctp
    await asyncio.sleep(0)
    assert sctp._core.unread == 0
    assert sctp._advertised_rwnd == WINDOW


async def test_a_slow_reader_gets_all_in_order(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    lock, done = asyncio.Lock(), asyncio.Event()
    read: list[bytes] = []
    most = 0

    async def take(message: bytes) -> None:
        nonlocal most
        # As the guide says.
        async with lock:
            await asyncio.sleep(0.001)
            most = max(most, sctp._core.unread)
            read.append(message[:8])
            if len(read) == COUNT:
                done.set()

    far.on("datachannel", lambda channel: channel.on("message", take))
    channel = await open_channel(near, far)
    sctp: Any = far.sctp
    for number in range(COUNT):
        channel.send(numbered(number))
    async with asyncio.timeout(DEADLINE):
        await done.wait()
    assert read == [numbered(n)[:8] for n in range(COUNT)]
    assert most <= WINDOW + UNDER_WAY + 2 * SIZE


@pytest.mark.parametrize("end", ["cancelled", "raising"])
async def test_a_listener_that_fails_has_read(make_pc: Factory, end: str) -> None:
    near, far = make_pc(), make_pc()
    came = asyncio.Event()
    begun: list[aiortc.RTCDataChannel] = []

    async def fail(_: bytes) -> None:
        came.set()
        if end == "cancelled":
            await asyncio.Event().wait()
        raise ValueError("as tested")

    def listen(channel: aiortc.RTCDataChannel) -> None:
        begun.append(channel)
        channel.on("message", fail)
        channel.on("error", lambda _: None)

    far.on("datachannel", listen)
    channel = await open_channel(near, far)
    channel.send(bytes(SIZE))
    async with asyncio.timeout(DEADLINE):
        await came.wait()
    sctp: Any = far.sctp
    if end == "cancelled":
        assert sctp._core.unread > SIZE
        begun[0].cancel()
    async with asyncio.timeout(DEADLINE):
        while sctp._core.unread:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.001)
    assert sctp._advertised_rwnd == WINDOW


async def test_listeners_that_are_functions_read_at_once(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox: asyncio.Queue[bytes] = asyncio.Queue()
    far.on("datachannel", lambda channel: channel.on("message", inbox.put_nowait))
    channel = await open_channel(near, far)
    channel.send(bytes(SIZE))
    async with asyncio.timeout(DEADLINE):
        await inbox.get()
    sctp: Any = far.sctp
    assert sctp._core.unread == 0
    assert sctp._advertised_rwnd == WINDOW
