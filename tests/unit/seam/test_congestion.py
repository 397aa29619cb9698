"""How much is in flight: after losses, and to a peer that takes little. Time is simulated."""

import asyncio
from typing import Any

import aiortc
from aiortc.rtcsctptransport import USERDATA_MAX_LENGTH

from restartice.transports.sctp import RTCSctpTransport
from simulating import Path, connect, open_channel, simulate

DATA, I_DATA = 0, 64
# Chunks of either kind are full.
PIECE = bytes(8 * (USERDATA_MAX_LENGTH - 4))
LOSSY = Path(round_trip=0.05, loss=0.01)
RATE = 500_000
# Twice the bytes that are under way fit into the queue.
NARROW = Path(round_trip=0.05, rate=RATE, queue=0.1)


async def send(near: Any, far: Any, count: int) -> float:
    """Send so many pieces; return after how many seconds they have arrived."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    left = count

    def take(_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            arrived.set()

    far.on("datachannel", lambda channel: channel.on("message", take))
    channel, low = open_channel(near, "bulk"), asyncio.Event()
    channel.bufferedAmountLowThreshold = len(PIECE)
    channel.on("bufferedamountlow", low.set)
    if channel.readyState != "open":
        opened = asyncio.Event()
        channel.on("open", opened.set)
        await opened.wait()
    begun = loop.time()
    for _ in range(count):
        low.clear()
        channel.send(PIECE)
        if channel.bufferedAmount > 5 * len(PIECE):
            await low.wait()
    await arrived.wait()
    return loop.time() - begun


def packets_of(end: Any) -> int:
    """Return how many packets with data an end has sent."""
    sent = end.transport.sent
    return int(sent[DATA] + sent[I_DATA])


async def transfer(kind: type[Any], path: Path, count: int) -> tuple[float, int]:
    """Return after how many seconds pieces have arrived, and in how many packets they were sent."""
    near, far = await connect(kind, kind, path)
    try:
        return await send(near, far, count), packets_of(near)
    finally:
        for end in (near, far):
            end.transport.close()


def test_losses_that_are_not_due_to_congestion_cost_little() -> None:
    def taken(kind: type[Any]) -> float:
        paths = (Path(LOSSY.round_trip, LOSSY.loss, seed=seed) for seed in range(3))
        return sum(simulate(transfer(kind, path, 100))[0] for path in paths)

    assert taken(RTCSctpTransport) < taken(aiortc.RTCSctpTransport) / 1.7


def test_a_queue_that_overflows_halves_the_window() -> None:
    count = 200
    seconds, packets = simulate(transfer(RTCSctpTransport, NARROW, count))
    # The path is nearly always in use, and little is sent in vain.
    assert seconds < 1.3 * count * len(PIECE) / RATE
    assert packets < 1.04 * count * len(PIECE) / USERDATA_MAX_LENGTH


def test_no_more_is_in_flight_than_the_other_side_takes() -> None:
    async def run(window: int) -> tuple[int, float, int]:
        near, far = await connect(RTCSctpTransport, aiortc.RTCSctpTransport, Path())
        loop, most, limited_until = asyncio.get_running_loop(), 0, 0.0
        transmit, begun = near._transmit, loop.time()

        async def note() -> None:
            nonlocal most
            await transmit()
            if limited_until > loop.time() > begun + 1:
                most = max(most, near._flight_size)

        near._transmit = note
        far._advertised_rwnd = window
        limited_until = begun + 10
        loop.call_at(limited_until, setattr, far, "_advertised_rwnd", 1 << 20)
        sending = asyncio.ensure_future(send(near, far, 300))
        await asyncio.sleep(9.9)
        before = packets_of(near)
        taken = await sending
        for end in (near, far):
            end.transport.close()
        return most, taken, before

    # One packet asks at a time, also if something else fits.
    for window, flight in (
        (0, USERDATA_MAX_LENGTH),
        (3 * USERDATA_MAX_LENGTH, 3 * USERDATA_MAX_LENGTH),
    ):
        most, taken, before = simulate(run(window))
        assert most == flight
        assert 100 <= before <= 10.5 / 0.05 * max(1, window // USERDATA_MAX_LENGTH)
        # When it takes more, the rest comes soon.
        assert 10 < taken < 15
