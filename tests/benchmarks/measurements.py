"""What is measured within one process. Each function returns series of values by name.

The names end with the unit. Both peers are in the process, so the processor time is that of both.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

import aioice.ice
from aiortc import MediaStreamTrack
from av import Packet

from benchmarks import apart, ways
from benchmarks.causes import causes
from benchmarks.guarding import guard, soak
from benchmarks.memory import resident
from benchmarks.signaling import relay
from benchmarks.stacks import Link, Stack

__all__ = ["MEASUREMENTS", "Measured"]

Measured = dict[str, list[float]]
TRAFFIC_INTERVAL: Final = 0.005
# libwebrtc goes on with its checks for a while; the next restart shall not meet them.
SETTLING: Final = 0.5
HIGH_WATER, LOW_WATER = 256 << 10, 64 << 10
RTP_BURST: Final = 5
SILENT_OPUS: Final = b"\xf8\xff\xfe"


async def setup(
    stack: Stack, *, count: int, trickle: bool, dead_stun: bool = False, media: bool = False
) -> Measured:
    """Measure from making two connections to an open data channel."""
    taken, cpu = [], []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((own_address(), 0))
        host, port = deaf.getsockname()
        for _ in range(count):
            began, began_cpu = time.perf_counter(), time.process_time()
            stun = f"{host}:{port}" if dead_stun else None
            link = Link(stack, trickle=trickle, stun=stun, media=media)
            await link.open()
            taken.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - began_cpu))
            await link.close()
    return {"time (ms)": taken, "processor time (ms)": cpu}


async def restart(stack: Stack, *, count: int, trickle: bool, media: bool = False) -> Measured:
    """Measure restarts, and the gaps and losses of messages sent every 5 ms both ways."""
    link = Link(stack, trickle=trickle, media=media)
    traffic = Traffic(stack, await link.open(stack.unreliable))
    measured: Measured = {}
    try:
        for _ in range(count):
            await asyncio.sleep(SETTLING)
            quiet = traffic.longest_gap(time.perf_counter() - SETTLING)
            began, began_cpu = time.perf_counter(), time.process_time()
            taken = 1000 * await link.restart()
            cpu = 1000 * (time.process_time() - began_cpu)
            await asyncio.sleep(max(0.0, began + SETTLING - time.perf_counter()))
            busy = traffic.longest_gap(began)
            append(measured, {"time (ms)": taken, "processor time (ms)": cpu})
            append(measured, {"longest gap (ms)": busy, "longest gap, no restart (ms)": quiet})
    finally:
        await traffic.stop()
        await link.close()
    return measured | {"lost (messages)": [float(traffic.lost)]}


async def throughput(stack: Stack, *, count: int, size: int = 1024) -> Measured:
    """Measure a reliable data channel with messages of so many bytes."""
    link = Link(stack, trickle=False)
    near, far = await link.open()
    received, low, message = 0, asyncio.Event(), bytes(size)
    done = asyncio.get_running_loop().create_future()

    def receive(_: object) -> None:
        nonlocal received
        received += 1
        if received == count:
            done.set_result(None)

    stack.on(far, "message", receive)
    stack.on(near, "bufferedamountlow", lambda _: low.set())
    near.bufferedAmountLowThreshold = LOW_WATER
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        near.send(message)
        if near.bufferedAmount > HIGH_WATER:
            low.clear()
            await low.wait()
    await done
    taken, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    await link.close()
    return {
        "throughput (MB/s)": [count * size / taken / 1e6],
        "data per second of processor time (MB)": [count * size / cpu / 1e6],
        "processor time per message (µs)": [1e6 * cpu / count],
    }


async def rtp(stack: Stack, *, count: int) -> Measured:
    """Measure encoded audio, so nearly nothing but RTP, SRTP and ICE."""
    link = Link(stack, trickle=False)
    link.near.addTrack(EncodedSilence(count))
    tracks: list[Any] = []
    stack.on(link.far, "track", tracks.append)
    await link.open()
    began_cpu = time.process_time()
    received = 0
    async with asyncio.timeout(60):
        with suppress(Exception):  # the track's end, of which each version has its own kind
            while received < count:
                await tracks[0].recv()
                received += 1
    cpu = time.process_time() - began_cpu
    await link.close()
    return {"RTP packets per second of processor time": [received / cpu]}


async def growth(stack: Stack, *, count: int, idle: float = 10.0) -> Measured:
    """Measure so many pairs of connections: their set-up, memory, and what they take when idle."""
    warm_up = Link(stack, trickle=False)
    await warm_up.open()
    await warm_up.close()
    memory, began, began_cpu = resident(), time.perf_counter(), time.process_time()
    links = [Link(stack, trickle=False) for _ in range(count)]
    for link in links:
        await link.open()
    taken, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    grown = (resident() - memory) / (2 * count)
    await asyncio.sleep(SETTLING)
    began_cpu = time.process_time()
    await asyncio.sleep(idle)
    idle_cpu = time.process_time() - began_cpu
    await asyncio.gather(*(link.close() for link in links))
    return {
        "set-up of a pair (ms)": [1000 * taken / count],
        "processor time to set up a pair (ms)": [1000 * cpu / count],
        "memory per connection (KiB)": [grown],
        "idle processor time of a connection (ms/s)": [1000 * idle_cpu / idle / (2 * count)],
    }


async def signaling(_: Stack, *, count: int) -> Measured:
    """Measure the signaling server."""
    return await relay(count=count)


MEASUREMENTS: Final[dict[str, Callable[..., Coroutine[Any, Any, Measured]]]] = {
    "setup": setup,
    "causes": causes,
    "restart": restart,
    "apart": apart.near,
    "far": apart.far,
    "throughput": throughput,
    "rtp": rtp,
    "growth": growth,
    "guard": guard,
    "soak": soak,
    "relay": signaling,
    "relayed": ways.relayed,
    "addresses": ways.addresses,
}


class Traffic:
    """Numbered messages both ways on a channel that repeats nothing."""

    def __init__(self, stack: Stack, ends: tuple[Any, Any]) -> None:
        self._sent = self._received = 0
        self._arrivals: list[list[float]] = [[], []]
        for end, arrivals in zip(ends, self._arrivals, strict=True):
            stack.on(end, "message", partial(self._receive, arrivals))
        self._task = asyncio.ensure_future(self._send(ends))

    @property
    def lost(self) -> int:
        """How many messages didn't arrive, once it was stopped."""
        return self._sent - self._received

    def longest_gap(self, since: float) -> float:
        """Return the longest time between two messages of one direction, in ms, since then."""
        gaps: list[float] = []
        for arrivals in self._arrivals:
            recent = [at for at in arrivals if at >= since]
            gaps += [after - before for before, after in pairwise(recent)]
        return 1000 * max(gaps)

    async def stop(self) -> None:
        """Send no more, and wait for what is under way."""
        self._task.cancel()
        await asyncio.sleep(SETTLING)

    def _receive(self, arrivals: list[float], _: object) -> None:
        self._received += 1
        arrivals.append(time.perf_counter())

    async def _send(self, ends: tuple[Any, Any]) -> None:
        while True:
            for end in ends:
                end.send(str(self._sent))
                self._sent += 1
            await asyncio.sleep(TRAFFIC_INTERVAL)


class EncodedSilence(MediaStreamTrack):
    """Packets that need no encoder, in bursts, with a turn of the event loop in between."""

    kind = "audio"

    def __init__(self, count: int) -> None:
        super().__init__()
        self._sent, self._count = 0, count

    async def recv(self) -> "Packet[Any]":
        """Return the next packet; it goes on after the count, for those that were lost."""
        if self._sent % RTP_BURST == 0:
            await asyncio.sleep(0.001 if self._sent < 2 * self._count else 1)
        packet = Packet(SILENT_OPUS)
        packet.pts = packet.dts = 960 * self._sent
        packet.time_base = Fraction(1, 48000)
        self._sent += 1
        return packet


@asynccontextmanager
async def on_loopback() -> AsyncIterator[None]:
    """Let aiortc and restartice gather 127.0.0.1 only, for where there is no namespace."""
    with patch.object(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"]):
        yield


def append(measured: Measured, values: dict[str, float]) -> None:
    """Add one value to each series."""
    for name, value in values.items():
        measured.setdefault(name, []).append(value)


def own_address() -> str:
    """Return an address of this host that isn't loopback, or else 127.0.0.1. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.78.0.254", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
