"""Two SCTP transports with a simulated path between them, in simulated time.

What happens depends on nothing but the seed, neither on the machine nor on what else it does.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest.mock import patch

import aiortc
from aiortc.rtcdatachannel import RTCDataChannelParameters

__all__ = ["Path", "connect", "open_channel", "simulate"]

T = TypeVar("T")
START = 1000.0
LARGEST = aiortc.RTCSctpCapabilities(maxMessageSize=1 << 16)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when there is nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def skip(timeout: float | None = None) -> Any:
            assert timeout is not None, "nothing is left to wait for"
            self.now += max(0.0, timeout)
            return select(0)

        selector.select = skip

    def time(self) -> float:
        """Return the simulated time."""
        return self.now


@contextmanager
def simulated_time() -> Iterator[SimulatedLoop]:
    """Let all clocks tell the time of an event loop."""
    loop = SimulatedLoop()
    try:
        with (
            patch.object(time, "monotonic", loop.time),
            patch.object(time, "time", loop.time),
            patch.object(time, "perf_counter", loop.time),
        ):
            yield loop
    finally:
        loop.close()


def simulate(work: Coroutine[Any, Any, T]) -> T:
    """Run something in simulated time."""
    with simulated_time() as loop:
        return loop.run_until_complete(work)


@dataclass
class Path:
    """What is between the two.

    Attributes:
        round_trip: In seconds.
        loss: Which part of the packets gets lost, each way.
        rate: How many bytes a second pass; others wait in a queue. None is no limit.
        queue: How many seconds a packet waits in the queue at most, which is lost otherwise.
        seed: Which packets are lost.
    """

    round_trip: float = 0.05
    loss: float = 0.0
    rate: float | None = None
    queue: float = 0.2
    seed: int = 0


class _Ice:
    """What SCTP looks at of ICE."""

    def __init__(self, role: str) -> None:
        self.role = role


class Wire:
    """One end, in place of a DTLS transport; each packet that is sent is counted by its kind."""

    state = "connected"

    def __init__(self, path: Path, role: str) -> None:
        self.transport = _Ice(role)
        self._role = "server" if role == "controlling" else "client"
        self.sent: Counter[int] = Counter()
        self.other: Wire
        self.receiver: Any = None
        self._path = path
        self._random = random.Random(f"{path.seed} {role}")
        self._free = self._last = 0.0
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._reading = asyncio.ensure_future(self._read())

    def _register_data_receiver(self, receiver: Any) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, _: Any) -> None:
        self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        loop, path = asyncio.get_running_loop(), self._path
        self.sent[data[12]] += 1
        if self._random.random() < path.loss:
            return
        begin = loop.time()
        if path.rate is not None:
            begin = max(begin, self._free)
            if begin - loop.time() > path.queue:
                return
            self._free = begin = begin + len(data) / path.rate
        # Timers of the same moment have no order.
        self._last = max(begin + path.round_trip / 2, self._last + 1e-6)
        loop.call_at(self._last, self.other._arrived.put_nowait, data)

    async def _read(self) -> None:
        while True:
            data = await self._arrived.get()
            if self.receiver is not None:
                await self.receiver._handle_data(data)

    def close(self) -> None:
        """Read no more."""
        self._reading.cancel()


async def connect(near: type[Any], far: type[Any], path: Path) -> tuple[Any, Any]:
    """Return two SCTP transports of these classes that are connected."""
    wires = Wire(path, "controlling"), Wire(path, "controlled")
    wires[0].other, wires[1].other = wires[1], wires[0]
    ends = []
    for kind, wire in zip((near, far), wires, strict=True):
        sctp = kind(wire)
        # aiortc's asks for the loop of the thread.
        sctp._loop = asyncio.get_running_loop()
        ends.append(sctp)
    for sctp in ends:
        await sctp.start(LARGEST, 5000)
    while any(sctp.state != "connected" for sctp in ends):  # noqa: ASYNC110  no event tells
        await asyncio.sleep(0.01)
    return ends[0], ends[1]


def open_channel(sctp: Any, label: str) -> aiortc.RTCDataChannel:
    """Return a new data channel."""
    return aiortc.RTCDataChannel(sctp, RTCDataChannelParameters(label=label))
