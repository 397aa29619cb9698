"""The queue of what has come in."""

import asyncio
import logging

import pytest

from restartice.ice.datagrams import DatagramQueue
from restartice.ice.incoming.guard import Discards
from restartice.logs import ObjectLogger

LOG = ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(1/0)")


async def test_datagrams_come_in_order_to_a_reader_that_waits_and_to_one_that_is_late() -> None:
    queue = DatagramQueue(Discards(LOG))
    reading = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not reading.done()
    for datagram in (b"first", b"second", b"third"):
        queue.put(datagram)
    assert await reading == b"first"
    assert [await queue.get(), await queue.get()] == [b"second", b"third"]


async def test_a_reader_that_is_cancelled_takes_nothing_along() -> None:
    queue = DatagramQueue(Discards(LOG))
    reading = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    # It is cancelled in the moment in which something comes in.
    queue.put(b"kept")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await queue.get() == b"kept"


async def test_what_came_in_before_the_end_is_read_before_it() -> None:
    queue = DatagramQueue(Discards(LOG))
    queue.put(b"last")
    queue.close()
    assert await queue.get() == b"last"
    for _ in range(2):
        with pytest.raises(ConnectionError, match="closed"):
            await queue.get()


async def test_the_end_wakes_a_reader() -> None:
    queue = DatagramQueue(Discards(LOG))
    reading = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(ConnectionError):
        await reading


async def test_no_more_waits_than_there_is_room_for() -> None:
    queue = DatagramQueue(Discards(LOG))
    for number in range(5_000):
        queue.put(number.to_bytes(2, "big"))
    assert queue.discards.count == 5_000 - 1024
    assert await queue.get() == b"\0\0"
    queue.put(b"last")
    assert queue.discards.count == 5_000 - 1024
