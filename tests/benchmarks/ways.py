"""Ways that are found late: by a relay of the side that offers, and between many addresses."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.stacks import Stack
from turnserver import turn_server

__all__ = ["relayed"]

DEADLINE: Final = 60.0


async def relayed(stack: Stack, *, count: int) -> dict[str, list[float]]:
    """Measure from the answer until both sides can send, where the offerer uses coturn only.

    The answerer's first check comes before the relay lets it pass.
    """
    module = stack.module
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        async with turn_server(Path(folder)) as server:
            policy = module.RTCIceTransportPolicy.RELAY
            configuration = module.RTCConfiguration(
                iceServers=[server.turn()], iceTransportPolicy=policy
            )
            for _ in range(count):
                near, far = module.RTCPeerConnection(configuration), stack.make()
                taken.append(1000 * await time_of_checks(near, far))
                await stack.close(near, far)
    return {"time (ms)": taken}


async def time_of_checks(near: Any, far: Any) -> float:
    """Connect; return the seconds from the answer until both sides can send."""
    near.createDataChannel("benchmark")
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    began = time.perf_counter()
    await near.setRemoteDescription(far.localDescription)
    for pc in (near, far):
        await happened(pc, "iceconnectionstatechange", partial(is_completed, pc))
    return time.perf_counter() - began


def is_completed(pc: Any) -> bool:
    """Say if both sides can send."""
    return bool(pc.iceConnectionState == "completed")


async def happened(emitter: Any, event: str, condition: Callable[[], bool]) -> None:
    """Return when a condition holds, which is looked at whenever the event is emitted."""
    changed = asyncio.Event()
    emitter.on(event, lambda *_: changed.set())
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await changed.wait()
            changed.clear()
