"""How soon the other side goes on when a program has read. Time is simulated."""

import asyncio
from typing import Any

import aiortc
import pytest

from restartice.seam import follow_listeners
from restartice.transports.sctp import RTCSctpTransport
from simulating import Path, connect, open_channel, simulate

# Each is in a packet of its own, and takes as much room again.
SIZE = 1024
COUNT = 1000
PAUSE = 60.0
PATH = Path(round_trip=0.05)


async def pause(sender: type[Any]) -> tuple[int, float]:
    """Return how many messages came in a pause, and how long after it the next one came."""
    near, far = await connect(sender, RTCSctpTransport, PATH)
    loop, may_read, done = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    came: list[float] = []

    async def read(_: bytes) -> None:
        came.append(loop.time())
        if len(came) == COUNT:
            done.set()
        await may_read.wait()

    def listen(channel: aiortc.RTCDataChannel) -> None:
        follow_listeners(channel, far._core)
        channel.on("message", read)

    far.on("datachannel", listen)
    channel, opened = open_channel(near, "bulk"), asyncio.Event()
    channel.on("open", opened.set)
    if channel.readyState != "open":
        await opened.wait()
    for _ in range(COUNT):
        channel.send(bytes(SIZE))
    await asyncio.sleep(PAUSE)
    before, ended = len(came), loop.time()
    may_read.set()
    await done.wait()
    for end in (near, far):
        end.transport.close()
    return before, came[before] - ended


@pytest.mark.parametrize("sender", [RTCSctpTransport, aiortc.RTCSctpTransport])
def test_the_other_side_goes_on_within_a_round_trip(sender: type[Any]) -> None:
    before, delay = simulate(pause(sender))
    assert (1 << 20) / 2 < before * 2 * SIZE <= (1 << 20) + (1 << 18) + 2 * SIZE
    assert delay < PATH.round_trip
