"""A peer of a call whose path is lost: `recovery_peer.py STACK`.

It speaks lines of JSON on stdin and stdout, which also stand for the signaling. Both peers send a
numbered message every 10 ms on a channel that repeats nothing. Where there is a restartIce(), the
near side calls it as soon as one of the two is `disconnected` or `failed`; restartice's also when
its NetworkMonitor says that an address is gone.
"""

import asyncio
import json
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.orders import read_orders
from benchmarks.stacks import Stack, load

INTERVAL = 0.01
LOST = {"disconnected", "failed"}


def tell(event: str, **values: Any) -> None:
    """Print an event."""
    print(json.dumps({"event": event, **values}), flush=True)


class Peer:
    """One end of the call."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pc = stack.make()
        self._arrivals: list[float] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self._negotiating = self._again = False
        stack.on(self._pc, "datachannel", self._use)
        stack.on(self._pc, "iceconnectionstatechange", lambda _: self._look())

    async def act_on(self, order: dict[str, Any]) -> None:
        """Do as told."""
        times: list[float] = []
        match order["do"]:
            case "call":
                channel = self._stack.unreliable(self._pc, "benchmark")
                self._stack.on(channel, "open", lambda _: self._use(channel))
                await self._offer()
            case "description":
                await self._describe(order)
            case "restart":
                await self._restart()
            case "report":
                times = self._arrivals
        tell("answer", order=order["number"], times=times)

    def watch_network(self) -> None:
        """Restart when an address is gone, too."""
        monitor = self._stack.module.NetworkMonitor()
        monitor.start()
        monitor.on("change", lambda change: self._ask_for_restart() if change.removed else None)

    async def _describe(self, order: dict[str, Any]) -> None:
        kind = order["type"]
        description = self._stack.module.RTCSessionDescription(sdp=order["sdp"], type=kind)
        await self._pc.setRemoteDescription(description)
        if kind == "offer":
            await self._send_description()
            return
        self._negotiating = False
        if self._again:
            self._again = False
            await self._restart()

    async def _restart(self) -> None:
        if self._negotiating:
            self._again = True
            return
        self._pc.restartIce()
        await self._offer()

    async def _offer(self) -> None:
        self._negotiating = True
        await self._send_description()

    async def _send_description(self) -> None:
        await self._pc.setLocalDescription()
        await self._stack.gathered(self._pc)
        description = self._pc.localDescription
        tell("description", sdp=description.sdp, type=str(description.type))

    def _look(self) -> None:
        state = str(self._pc.iceConnectionState)
        tell("state", state=state)
        if state in LOST and self._stack.restarts:
            self._ask_for_restart()

    def _ask_for_restart(self) -> None:
        tell("restart")

    def _use(self, channel: Any) -> None:
        tell("open")
        self._stack.on(channel, "message", lambda _: self._arrivals.append(time.monotonic()))
        sending = asyncio.ensure_future(self._send(channel))
        self._tasks.add(sending)

    async def _send(self, channel: Any) -> None:
        number = 0
        while True:
            with suppress(Exception):  # plain aiortc's channel closes
                channel.send(str(number))
            number += 1
            await asyncio.sleep(INTERVAL)


async def main() -> None:
    """Do as told until stdin ends."""
    stack = load(sys.argv[1])
    peer = Peer(stack)
    if stack.name == "restartice":
        peer.watch_network()
    tell("ready")
    async for order in read_orders():
        await peer.act_on(order)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(main())
    os._exit(0)
