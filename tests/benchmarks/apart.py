"""Restarts of a call between two processes, with data and audio both ways.

The near one measures; the far one is a process that it starts. Descriptions and candidates go from
one to the other as lines of JSON, on a pair of sockets.
"""

import asyncio
import json
import socket
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.stacks import DEADLINE, Stack, Switch

__all__ = ["far", "near"]

PROBE: Final = str(Path(__file__).with_name("probe.py"))
INTERVAL: Final = 0.005
SETTLING: Final = 0.5
# How often it is looked if all messages are there, with a pause in between: a process that gets no
# time looks less often, and doesn't give up any sooner.
LOOKS: Final = 50


class Peer:
    """One end of the call. What comes from the other one is acted on, or kept for `expect()`."""

    def __init__(self, stack: Stack, ours: socket.socket) -> None:
        self.stack, self.pc = stack, stack.make()
        self.opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.switch: Switch | None = None
        self._socket = ours
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._describing, self._candidates = False, list[dict[str, Any]]()
        self._sent, self._arrivals = 0, [time.perf_counter()]
        self._sending: asyncio.Future[None] | None = None
        self._reading: asyncio.Future[None] | None = None
        stack.on(self.pc, "datachannel", self._use)
        stack.on(self.pc, "icecandidate", self._pass_on)

    async def begin(self) -> None:
        """Send audio, and read what the other end says."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
        self._reading = asyncio.ensure_future(self._read())
        self.pc.addTrack(await self.stack.microphone())

    async def describe(self) -> None:
        """Make an offer or an answer, and tell it."""
        # A candidate must not arrive before the description it belongs to.
        self._describing = True
        await self.pc.setLocalDescription()
        description = self.pc.localDescription
        self.tell(description=description.sdp, type=str(description.type))
        self._describing = False
        while self._candidates:
            self.tell(candidate=self._candidates.pop(0))

    def open_channel(self) -> None:
        """Open the channel of the numbered messages."""
        channel = self.stack.unreliable(self.pc, "benchmark")
        self._receive(channel)
        self.stack.on(channel, "open", lambda _: self._begin_sending(channel))

    def tell(self, **values: Any) -> None:
        """Tell the other end something."""
        self._writer.write(json.dumps(values).encode() + b"\n")

    async def expect(self, name: str) -> Any:
        """Return what the other end tells under a name next."""
        async with asyncio.timeout(DEADLINE):
            while name not in (told := await self.next_told()):
                pass
        return told[name]

    async def next_told(self) -> dict[str, Any]:
        """Return the next thing that the other end tells; `end` at the end."""
        return await self._told.get()

    async def restart(self) -> float:
        """Restart ICE; return the milliseconds until both ends send on the new pair."""
        if self.switch is None:
            self.switch = Switch(self.stack, self.pc)
        began = time.perf_counter()
        self.pc.restartIce()
        await self.describe()
        async with asyncio.timeout(DEADLINE):
            await self.expect("answered")
            await self.switch.wait()
            await self.expect("switched")
        return 1000 * (time.perf_counter() - began)

    def longest_gap(self, seconds: float) -> float:
        """Return the longest time between two messages that came in of late, in ms."""
        since = time.perf_counter() - seconds
        recent = [at for at in self._arrivals if at >= since]
        return 1000 * max((b - a for a, b in pairwise(recent)), default=seconds)

    def stop(self) -> int:
        """Send no more data; return how many messages were sent."""
        if self._sending is not None:
            self._sending.cancel()
        return self._sent

    async def report(self, expected: int) -> dict[str, int]:
        """Wait for the messages that were sent, and return what was sent and what came in."""
        for _ in range(LOOKS):
            if len(self._arrivals) > expected:
                break
            await asyncio.sleep(SETTLING / LOOKS)
        stats = [s for s in (await self.pc.getStats()).values() if str(s.type) == "inbound-rtp"]
        return {
            "sent": self._sent,
            "received": len(self._arrivals) - 1,
            "packets": sum(s.packetsReceived for s in stats),
            "packets lost": sum(s.packetsLost for s in stats),
        }

    async def close(self) -> None:
        """End the call."""
        if self._reading is not None:
            self._reading.cancel()
        await self.stack.close(self.pc)
        self._writer.close()

    def _use(self, channel: Any) -> None:
        self._receive(channel)
        self._begin_sending(channel)

    def _receive(self, channel: Any) -> None:
        self.stack.on(channel, "message", lambda _: self._arrivals.append(time.perf_counter()))

    def _begin_sending(self, channel: Any) -> None:
        self._sending = asyncio.ensure_future(self._send(channel))
        self.opened.set_result(None)

    async def _send(self, channel: Any) -> None:
        while True:
            channel.send(str(self._sent))
            self._sent += 1
            await asyncio.sleep(INTERVAL)

    def _pass_on(self, candidate: Any) -> None:
        if candidate is None or not getattr(candidate, "candidate", True):
            return
        self._candidates.append(candidate.toJSON())
        while self._candidates and not self._describing:
            self.tell(candidate=self._candidates.pop(0))

    async def _read(self) -> None:
        async for line in self._reader:
            told = json.loads(line)
            if "description" in told:
                await self._take(told["description"], told["type"])
            elif "candidate" in told:
                await self.stack.add_candidate(self.pc, told["candidate"])
            else:
                self._told.put_nowait(told)
        self._told.put_nowait({"end": True})

    async def _take(self, sdp: str, kind: str) -> None:
        description = self.stack.module.RTCSessionDescription(sdp=sdp, type=kind)
        await self.pc.setRemoteDescription(description)
        if kind == "offer":
            await self.describe()
        self._told.put_nowait({"answered" if kind == "answer" else "offered": True})


async def near(stack: Stack, *, count: int) -> dict[str, list[float]]:
    """Measure restarts, gaps and losses."""
    ours, theirs = socket.socketpair()
    options = json.dumps({"descriptor": theirs.fileno()})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, PROBE, "far", stack.name, options),
        pass_fds=[theirs.fileno()],
        stdout=asyncio.subprocess.DEVNULL,
    )
    theirs.close()
    peer = Peer(stack, ours)
    try:
        await peer.begin()
        await peer.expect("ready")
        peer.open_channel()
        await peer.describe()
        async with asyncio.timeout(DEADLINE):
            await peer.opened
        await peer.expect("open")
        return await _measure(peer, count)
    finally:
        await peer.close()
        await process.wait()


async def _measure(peer: Peer, count: int) -> dict[str, list[float]]:
    taken, gaps, quiet = [], [], []
    for _ in range(count):
        await asyncio.sleep(SETTLING)
        quiet.append(await _gap(peer, SETTLING))
        began = time.perf_counter()
        taken.append(await peer.restart())
        await asyncio.sleep(max(0.0, began + SETTLING - time.perf_counter()))
        gaps.append(await _gap(peer, time.perf_counter() - began))
    peer.tell(do="stop")
    theirs = int(await peer.expect("stopped"))
    peer.tell(do="report", expected=peer.stop())
    one, other = await asyncio.gather(peer.report(theirs), peer.expect("report"))
    sent, received, packets, lost = (float(one[name] + other[name]) for name in one)
    return {
        "time (ms)": taken,
        "longest gap (ms)": gaps,
        "longest gap, no restart (ms)": quiet,
        "lost (messages)": [sent - received],
        "received (RTP packets)": [packets],
        "lost (RTP packets)": [lost],
    }


async def _gap(peer: Peer, seconds: float) -> float:
    peer.tell(do="gap", seconds=seconds)
    return max(peer.longest_gap(seconds), float(await peer.expect("gap")))


async def far(stack: Stack, *, descriptor: int) -> dict[str, list[float]]:
    """Be the other end, until the near one closes the socket."""
    peer = Peer(stack, socket.socket(fileno=descriptor))
    await peer.begin()
    peer.tell(ready=True)
    peer.opened.add_done_callback(lambda _: peer.tell(open=True))
    try:
        async with asyncio.timeout(DEADLINE):
            await peer.opened
        peer.switch = Switch(stack, peer.pc)
        orders = {"offered": partial(_tell_switched, peer), "do": partial(_obey, peer)}
        while "end" not in (told := await peer.next_told()):
            for name in orders.keys() & told.keys():
                await orders[name](told)
    finally:
        await peer.close()
    return {}


async def _tell_switched(peer: Peer, _: dict[str, Any]) -> None:
    assert peer.switch is not None
    await peer.switch.wait()
    peer.tell(switched=True)


async def _obey(peer: Peer, order: dict[str, Any]) -> None:
    if order["do"] == "gap":
        peer.tell(gap=peer.longest_gap(order["seconds"]))
    elif order["do"] == "stop":
        peer.tell(stopped=peer.stop())
    else:
        peer.tell(report=await peer.report(order["expected"]))
