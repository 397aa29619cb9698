"""Ways that are found late: by a relay of the side that offers, and between many addresses."""

import asyncio
import tempfile
import time
from asyncio import selector_events
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import aioice.ice

from benchmarks.stacks import Link, Stack
from turnserver import turn_server

__all__ = ["addresses", "relayed"]

Measured = dict[str, list[float]]

DEADLINE: Final = 60.0
DatagramTransport: Final[Any] = vars(selector_events)["_SelectorDatagramTransport"]


async def relayed(stack: Stack, *, count: int) -> Measured:
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


async def addresses(stack: Stack, *, count: int, number: int, restarts: int) -> Measured:
    """Measure set-up and restarts with that many addresses, of which only the last leads across."""
    taken: list[float] = []
    again: list[float] = []
    names = [f"127.0.0.{n}" for n in range(1, number + 1)]
    with (
        patch.object(aioice.ice, "get_host_addresses", lambda **_: names),
        patch.object(DatagramTransport, "sendto", only_by(names[-1])),
    ):
        for _ in range(count):
            link = Link(stack, trickle=False)
            taken.append(1000 * await time_of_checks(link.near, link.far))
            again += [1000 * await link.restart() for _ in range(restarts)]
            await link.close()
    return {"time (ms)": taken} | ({"restart (ms)": again} if again else {})


def only_by(address: str) -> Callable[..., None]:
    """Return a function that sends, as a datagram transport does, only from and to an address."""
    send = DatagramTransport.sendto

    def send_if_possible(transport: Any, data: bytes, to: tuple[str, int] | None = None) -> None:
        if to is None or {transport.get_extra_info("sockname")[0], to[0]} == {address}:
            send(transport, data, to)

    return send_if_possible


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
