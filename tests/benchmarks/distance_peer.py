"""A peer of calls over a distance: `distance_peer.py STACK`.

It speaks lines of JSON on stdin and stdout, which also stand for the signaling, and makes a new
connection for each call. All times are those of the monotonic clock, which is that of the other
processes, too.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.orders import read_orders
from benchmarks.stacks import Stack, Switch, load

PIECE: Final = 10_000
HIGH_WATER: Final = 256 << 10
LOW_WATER: Final = 64 << 10


def tell(event: str, **values: Any) -> None:
    """Print an event, with the time."""
    print(json.dumps({"event": event, "at": time.monotonic(), **values}), flush=True)


class Peer:
    """One end of one call after the other."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pc: Any = None
        self._channels: dict[str, Any] = {}
        self._missing = 0
        self._watching = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def act_on(self, order: dict[str, Any]) -> None:
        """Do as told, and say what there is to signal."""
        answer: dict[str, Any] = {"begun": time.monotonic()}
        match order["do"]:
            case "call":
                await self._begin()
                self._use(self._pc.createDataChannel("benchmark"))
                answer |= await self._describe()
            case "wait":
                await self._begin()
            case "description":
                answer |= await self._take(order)
            case "restart":
                self._pc.restartIce()
                answer |= await self._describe()
            case "watch":
                self._begin_task(self._watch())
            case "open":
                self._use(self._pc.createDataChannel(order["label"]))
            case "expect":
                self._missing = order["size"]
            case "send":
                self._begin_task(self._send(order["size"]))
            case "send behind":
                answer["sent"] = self._send_behind(order["size"], order["label"])
        tell("answer", order=order["number"], **answer)

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _begin(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self._pc is not None:
            with suppress(Exception):
                await self._stack.close(self._pc)
        self._channels.clear()
        self._pc = self._stack.make()
        self._watching = False
        self._stack.on(self._pc, "datachannel", self._use)

    async def _take(self, order: dict[str, Any]) -> dict[str, Any]:
        kind = order["type"]
        description = self._stack.module.RTCSessionDescription(sdp=order["sdp"], type=kind)
        await self._pc.setRemoteDescription(description)
        self._watch_dtls()
        return await self._describe() if kind == "offer" else {}

    async def _describe(self) -> dict[str, Any]:
        await self._pc.setLocalDescription()
        await self._stack.gathered(self._pc)
        description = self._pc.localDescription
        return {"sdp": description.sdp, "type": str(description.type)}

    def _watch_dtls(self) -> None:
        """Tell the states of DTLS from now on."""
        if not self._watching:
            self._watching = True
            dtls = self._pc.sctp.transport
            self._stack.on(dtls, "statechange", lambda _: tell("DTLS", state=str(dtls.state)))

    async def _watch(self) -> None:
        await Switch(self._stack, self._pc).wait()
        tell("switched")

    async def _send(self, size: int) -> None:
        channel, low = self._channels["benchmark"], asyncio.Event()
        self._stack.on(channel, "bufferedamountlow", lambda _: low.set())
        channel.bufferedAmountLowThreshold = LOW_WATER
        for _ in range(size // PIECE):
            channel.send(bytes(PIECE))
            if channel.bufferedAmount > HIGH_WATER:
                low.clear()
                await low.wait()

    def _send_behind(self, size: int, label: str) -> float:
        for _ in range(size // PIECE):
            self._channels["benchmark"].send(bytes(PIECE))
        self._channels[label].send("small")
        return time.monotonic()

    def _use(self, channel: Any) -> None:
        label = str(channel.label)
        self._channels[label] = channel
        self._stack.on(channel, "message", self._receive)
        if str(channel.readyState) == "open":
            tell("open", label=label)
        else:
            self._stack.on(channel, "open", lambda _: tell("open", label=label))

    def _receive(self, message: bytes | str) -> None:
        if isinstance(message, str):
            tell("small")
            return
        self._missing -= len(message)
        if self._missing == 0:
            tell("received")


async def main() -> None:
    """Do as told until stdin ends."""
    peer = Peer(load(sys.argv[1]))
    tell("ready")
    async for order in read_orders():
        await peer.act_on(order)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(main())
    os._exit(0)
