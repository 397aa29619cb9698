"""Restarts leave nothing behind, and many connections get along in one process."""

import asyncio
import gc
import os
import statistics
import tracemalloc
from pathlib import Path
from typing import Self

from conftest import Factory, open_sockets, other_tasks
from connecting import connect, negotiate, transports, wait_sending_on_new_pair
from owntime import own_time
from restartice import IceSettings, RTCPeerConnection

RESTARTS = 200
CONNECTIONS = 50  # pairs of them
ROUNDS = 5
TICK = 0.01
QUICK_DRAIN = IceSettings(drain_time=0.1, drain_silence=0.1)


def open_descriptors() -> int:
    """Return how many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def resident_bytes() -> int:
    """Return how much memory this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class LagMeter:
    """Measures how late the event loop is, while it is entered."""

    def __init__(self) -> None:
        self.lags: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _measure(self) -> None:
        while True:
            due = own_time() + TICK
            await asyncio.sleep(TICK)
            self.lags.append(own_time() - due)


async def restart(near: RTCPeerConnection, far: RTCPeerConnection, times: int) -> None:
    """Restart ICE so many times, from either side in turn, and wait for the old sockets to go."""
    for number in range(times):
        offerer, answerer = (near, far) if number % 2 else (far, near)
        offerer.restartIce()
        await negotiate(offerer, answerer)
        await wait_sending_on_new_pair(near, far)
    async with asyncio.timeout(30):
        while any(
            t._core._draining or t._core._closing for pc in (near, far) for t in transports(pc)
        ):
            await asyncio.wait(other_tasks(), timeout=0.1)


async def test_two_hundred_restarts_leave_nothing_behind(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK_DRAIN), make_pc(iceSettings=QUICK_DRAIN)
    echo = await connect(near, far)
    await restart(near, far, 20)
    tasks, sockets, descriptors = len(other_tasks()), len(open_sockets()), open_descriptors()
    gc.collect()
    resident = resident_bytes()
    await restart(near, far, RESTARTS // 2)
    gc.collect()
    grown = resident_bytes() - resident
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await restart(near, far, RESTARTS)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await echo.check("still there")
    print(f"grown by {(after - before) / RESTARTS:.0f} bytes a restart, and resident by {grown}")
    assert len(open_sockets()) == sockets
    assert open_descriptors() == descriptors
    assert len(other_tasks()) <= tasks + 2
    # What a generation holds is more than ten times that; what remains is of the last one.
    assert (after - before) / RESTARTS < 1000
    # As the system sees it. A generation that stayed would make it ten times that.
    assert grown < 4 << 20


async def test_a_hundred_connections_stay_responsive(make_pc: Factory) -> None:
    pairs = [(make_pc(), make_pc()) for _ in range(CONNECTIONS)]
    echoes = [await connect(near, far) for near, far in pairs]
    delays = []
    async with LagMeter() as idle:
        for _ in range(ROUNDS):
            for echo in echoes:
                begin = own_time()
                await echo.check()
                delays.append(own_time() - begin)
    # All at once.
    async with LagMeter() as restarting:
        for near, _ in pairs:
            near.restartIce()
        await asyncio.gather(*(negotiate(near, far) for near, far in pairs))
        for pair in pairs:
            await wait_sending_on_new_pair(*pair)
        await asyncio.gather(*(echo.check("again") for echo in echoes))
    assert {pc.iceConnectionState for pair in pairs for pc in pair} == {"completed"}
    print(f"a message there and back: {statistics.median(delays) * 1000:.1f} ms")
    for what, meter in (("idle", idle), ("restarting", restarting)):
        print(
            f"{what}: the loop is late by {statistics.median(meter.lags) * 1000:.1f} ms, "
            f"at most {max(meter.lags) * 1000:.0f}"
        )
    assert statistics.median(delays) < 0.1
    assert statistics.median(idle.lags) < 0.05
    # One negotiation has its turn between those of others, so that nobody's lasts long.
    assert statistics.median(restarting.lags) < 0.5
