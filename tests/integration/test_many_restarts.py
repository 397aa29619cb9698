"""Restarts leave nothing behind, and many connections get along in one process."""

import asyncio
import gc
import statistics
import time
import tracemalloc

from conftest import Factory, open_sockets, other_tasks
from connecting import connect, negotiate, transports, wait_sending_on_new_pair
from restartice import IceSettings, RTCPeerConnection

RESTARTS = 200
CONNECTIONS = 50  # pairs of them
QUICK_DRAIN = IceSettings(drain_time=0.1, drain_silence=0.1)


async def restart(near: RTCPeerConnection, far: RTCPeerConnection, times: int) -> None:
    """Restart ICE so many times, from either side in turn, and wait for the old sockets to go."""
    for number in range(times):
        offerer, answerer = (near, far) if number % 2 else (far, near)
        offerer.restartIce()
        await negotiate(offerer, answerer)
        await wait_sending_on_new_pair(near, far)
    async with asyncio.timeout(30):
        while any(transport._draining for pc in (near, far) for transport in transports(pc)):
            await asyncio.wait(other_tasks(), timeout=0.1)


async def test_two_hundred_restarts_leave_nothing_behind(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=QUICK_DRAIN), make_pc(iceSettings=QUICK_DRAIN)
    echo = await connect(near, far)
    await restart(near, far, 20)
    tasks, sockets = len(other_tasks()), len(open_sockets())
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await restart(near, far, RESTARTS)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await echo.check("still there")
    print(f"grown by {(after - before) / RESTARTS:.0f} bytes a restart")
    assert len(open_sockets()) == sockets
    assert len(other_tasks()) <= tasks + 2
    # What a generation holds is more than ten times that; what remains is of the last one.
    assert (after - before) / RESTARTS < 1000


async def test_a_hundred_connections_stay_responsive(make_pc: Factory) -> None:
    pairs = [(make_pc(), make_pc()) for _ in range(CONNECTIONS)]
    echoes = [await connect(near, far) for near, far in pairs]
    delays = []
    for echo in echoes:
        begin = time.monotonic()
        await echo.check()
        delays.append(time.monotonic() - begin)
    # All at once.
    for near, _ in pairs:
        near.restartIce()
    await asyncio.gather(*(negotiate(near, far) for near, far in pairs))
    for pair in pairs:
        await wait_sending_on_new_pair(*pair)
    await asyncio.gather(*(echo.check("again") for echo in echoes))
    assert {pc.iceConnectionState for pair in pairs for pc in pair} == {"completed"}
    print(f"a message there and back: {statistics.median(delays) * 1000:.1f} ms")
    assert statistics.median(delays) < 0.1
