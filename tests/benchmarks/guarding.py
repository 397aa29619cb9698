"""What the guard in front of a connection's sockets costs, and what it is good for."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Final

from aioice.ice import StunProtocol

import strangers
from benchmarks.memory import resident
from benchmarks.stacks import Link, Stack

__all__ = ["guard", "soak"]

Measured = dict[str, list[float]]

MESSAGE: Final = bytes(1024)
HIGH_WATER, LOW_WATER = 256 << 10, 64 << 10
# An RTP packet that is anybody's.
NOISE: Final = bytes([0x80]) + bytes(199)
DROPS: Final = 20_000
QUIET: Final = 5.0
# How many datagrams the stranger sends to each socket in a second.
RATE: Final = 2000


async def guard(stack: Stack, *, count: int, rounds: int = 20) -> Measured:
    """Measure a reliable data channel, by turns with the guard and without it.

    Both ends are in this process, which does nothing else, so that the throughput is what there is
    in a second of processor time; the rest is what other processes take.

    Args:
        stack: Ours, as others have none.
        count: How many messages of 1 KiB are sent each time.
        rounds: How many times with the guard, and how many without.
    """
    link = Link(stack, trickle=False)
    near, far = await link.open()
    connections = [stack.ice(pc)._connection for pc in (link.near, link.far)]
    rates: list[list[float]] = [[], []]
    await send(stack, near, far, count)
    for number in range(2 * rounds):
        # In the order with, without, without, with, as what comes later may be slower or faster.
        without = number % 4 in {1, 2}
        with unguarded(connections) if without else nullcontext():
            rates[without].append(await send(stack, near, far, count))
    (protocol,) = connections[0].protocols
    began = time.process_time()
    for _ in range(DROPS):
        protocol.datagram_received(NOISE, ("192.0.2.1", 9))
    dropping = time.process_time() - began
    await link.close()
    pairs = zip(*rates, strict=True)
    return {
        "throughput (MB per second of processor time)": rates[False],
        "throughput, no guard (MB per second of processor time)": rates[True],
        "lost to the guard (%)": [100 * (1 - ours / bare) for ours, bare in pairs],
        "processor time to drop a datagram (µs)": [1e6 * dropping / DROPS],
    }


async def soak(stack: Stack, *, count: int, quiet: float = QUIET) -> Measured:
    """Measure a call with audio and video both ways while a stranger sends to all of its sockets.

    The stranger is another process.

    Args:
        stack: Ours.
        count: How many datagrams each socket gets.
        quiet: How many seconds to look at the call before.
    """
    link = Link(stack, trickle=False, media=True)
    frames: list[float] = []
    viewers: list[asyncio.Task[None]] = []
    for pc in (link.near, link.far):
        stack.on(pc, "track", lambda track: viewers.append(asyncio.create_task(see(track, frames))))
    await link.open()
    await asyncio.sleep(quiet)
    before = len(frames)
    await asyncio.sleep(quiet)
    usual, memory, began = (len(frames) - before) / quiet, resident(), time.perf_counter()
    sent = await send_noise(count, [*strangers.ports(link.near), *strangers.ports(link.far)])
    taken = time.perf_counter() - began
    during = [at for at in frames if at >= began]
    dropped = sum([await strangers.discarded(pc) for pc in (link.near, link.far)])
    grown, state = resident() - memory, {pc.connectionState for pc in (link.near, link.far)}
    for viewer in viewers:
        viewer.cancel()
    await link.close()
    if state != {"connected"}:
        raise RuntimeError(f"the call is {state}")
    return {
        "datagrams of a stranger": [float(sent)],
        "dropped (%)": [100 * dropped / sent],
        "frames per second": [len(during) / taken],
        "frames per second before": [usual],
        "memory grown (KiB)": [grown],
    }


async def send_noise(count: int, to: list[strangers.Address]) -> int:
    """Let a process send datagrams; return how many that were."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, strangers.__file__, str(count), str(RATE)),
        *(f"{host}:{port}" for host, port in to),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return int(out)


async def see(track: Any, frames: list[float]) -> None:
    """Take note of when each frame of a track comes."""
    while True:
        await track.recv()
        frames.append(time.perf_counter())


@contextmanager
def unguarded(connections: list[Any]) -> Iterator[None]:
    """Let aioice read everything, and take for traffic what it can't read."""
    for connection in connections:
        connection.data_received = partial(hand_over, connection)
        for protocol in connection.protocols:
            protocol.datagram_received = partial(StunProtocol.datagram_received, protocol)
    try:
        yield
    finally:
        for connection in connections:
            del connection.data_received
            for protocol in connection.protocols:
                del protocol.datagram_received


def hand_over(connection: Any, data: bytes, _: int) -> None:
    """Take a datagram for the other end's."""
    connection.take(data, heard=True)


async def send(stack: Stack, near: Any, far: Any, count: int) -> float:
    """Send messages; return the throughput, in megabytes per second of processor time."""
    received, low = 0, asyncio.Event()
    done = asyncio.get_running_loop().create_future()

    def receive(_: object) -> None:
        nonlocal received
        received += 1
        if received == count:
            done.set_result(None)

    far.remove_all_listeners("message")
    near.remove_all_listeners("bufferedamountlow")
    stack.on(far, "message", receive)
    stack.on(near, "bufferedamountlow", lambda _: low.set())
    near.bufferedAmountLowThreshold = LOW_WATER
    began = time.process_time()
    for _ in range(count):
        near.send(MESSAGE)
        if near.bufferedAmount > HIGH_WATER:
            low.clear()
            await low.wait()
    await done
    return count * len(MESSAGE) / (time.process_time() - began) / 1e6
