"""Signaling under load: 2,000 clients in 1,000 rooms of one server, and a bare echo beside it.

    python tests/benchmarks/load.py

Server and echo are processes of their own; the clients are here, and are written for this, so that
they cost little. First each room sends two messages a second, then 20, and in the end all send as
fast as they can. Both servers get the same frames in the same run, by turns.
"""

import argparse
import asyncio
import json
import resource
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.load_clients import Client, EchoClient, Peer
from benchmarks.processes import ServerProcess, start_echo, start_signaling

DEADLINE: Final = 60.0
# How many connections are opened at a time.
OPENING: Final = 100
# What is under way in a room when it sends as fast as it can.
WINDOW: Final = 4

Figures = dict[str, dict[str, float]]


class Fleet:
    """Clients in rooms of two, all of one server."""

    def __init__(self, rooms: list[tuple[Client, Client]]) -> None:
        self.rooms = rooms
        self.clients = [client for room in rooms for client in room]

    @property
    def received(self) -> int:
        return sum(client.received for client in self.clients)

    async def send_steadily(self, rate: float, seconds: float) -> tuple[float, list[float]]:
        """Let each room send at a rate; return what arrived per second, and the latencies."""
        for client in self.clients:
            client.latencies.clear()
        loop = asyncio.get_running_loop()
        interval = 1 / (rate * len(self.rooms))
        received, began = self.received, loop.time()
        count = int(seconds / interval)
        for number in range(count):
            due = began + number * interval
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            room, turn = number % len(self.rooms), number // len(self.rooms) % 2
            # From when it was due: what is late is the server's, or ours, and counts.
            self.rooms[room][turn].send(due)
        await self._settle(received + count)
        taken = loop.time() - began
        latencies = [latency for client in self.clients for latency in client.latencies]
        return (self.received - received) / taken, latencies

    async def send_fast(self, seconds: float) -> float:
        """Keep some messages under way in all rooms; return what arrived per second."""
        loop = asyncio.get_running_loop()
        for client in self.clients:
            client.answering = True
        for first, second in self.rooms:
            for client in (first, second):
                for _ in range(WINDOW // 2):
                    client.send(loop.time())
        # Until all are at it.
        await asyncio.sleep(seconds / 4)
        received, began = self.received, loop.time()
        await asyncio.sleep(seconds)
        rate = (self.received - received) / (loop.time() - began)
        for client in self.clients:
            client.answering = False
        await asyncio.sleep(seconds / 4)
        return rate

    async def _settle(self, count: int) -> None:
        """Wait for what is still under way."""
        async with asyncio.timeout(DEADLINE):
            while self.received < count:  # noqa: ASYNC110  what counts is cheap
                await asyncio.sleep(0.01)

    def close(self) -> None:
        for client in self.clients:
            client.close()


async def open_fleet(port: int, rooms: int, kind: type[Client]) -> Fleet:
    """Connect all clients."""
    gate = asyncio.Semaphore(OPENING)

    async def open_room(number: int) -> tuple[Client, Client]:
        async with gate, asyncio.timeout(DEADLINE):
            first = await kind.open(port, f"room-{number}", "a")
            second = await kind.open(port, f"room-{number}", "b")
            return first, second

    return Fleet(list(await asyncio.gather(*map(open_room, range(rooms)))))


@dataclass
class Measured:
    """What one server did."""

    memory: float
    steady: dict[float, tuple[float, list[float]]]
    fast: list[float]
    cpu: list[float]

    def summary(self) -> dict[str, float]:
        """Return the figures, in the units of their names."""
        figures = {"memory per client (KiB)": self.memory}
        for offered, (rate, latencies) in self.steady.items():
            percentiles = statistics.quantiles(latencies, n=100)
            figures |= {
                f"of {offered:g} messages/s (messages/s)": rate,
                f"of {offered:g} messages/s, latency, median (ms)": 1000 * percentiles[49],
                f"of {offered:g} messages/s, latency, 99 % (ms)": 1000 * percentiles[98],
            }
        return figures | {
            "at most (messages/s)": statistics.median(self.fast),
            "processor time (us/message)": 1e6 * statistics.median(self.cpu),
        }


@asynccontextmanager
async def fleet_of(
    process: ServerProcess, rooms: int, kind: type[Client]
) -> AsyncIterator[tuple[Fleet, float]]:
    """Connect the clients of a server; yield them with the memory that one takes, in KiB."""
    before = process.memory()
    fleet = await open_fleet(process.port, rooms, kind)
    try:
        yield fleet, (process.memory() - before) / len(fleet.clients)
    finally:
        fleet.close()


async def measure_fast(
    process: ServerProcess, fleet: Fleet, into: Measured, seconds: float
) -> None:
    """Add a round at full speed."""
    began, received = process.cpu_time(), fleet.received
    into.fast.append(await fleet.send_fast(seconds))
    into.cpu.append((process.cpu_time() - began) / (fleet.received - received))


async def run(rooms: int, rates: list[float], seconds: float, rounds: int) -> Figures:
    """Measure both; return their figures."""
    async with (
        start_signaling() as server,
        start_echo() as echo,
        fleet_of(server, rooms, Peer) as (peers, peer_memory),
        fleet_of(echo, rooms, EchoClient) as (echoes, echo_memory),
    ):
        relay, bare = (Measured(memory, {}, [], []) for memory in (peer_memory, echo_memory))
        pairs = ((server, peers, relay), (echo, echoes, bare))
        for rate in rates:
            for _, fleet, measured in pairs:
                measured.steady[rate * rooms] = await fleet.send_steadily(rate, seconds)
        for _ in range(rounds):
            for process, fleet, measured in pairs:
                await measure_fast(process, fleet, measured, seconds / 2)
    return {"relay": relay.summary(), "echo": bare.summary()}


def table(figures: Figures) -> str:
    """Return a table with both, and their ratio."""
    lines = [f"{'':<46}{'relay':>12}{'bare echo':>12}{'ratio':>8}"]
    for name, relay in figures["relay"].items():
        echo = figures["echo"][name]
        ratio = f"{relay / echo:8.2f}" if echo > 0 else ""
        lines.append(f"{name:<46}{relay:>12.1f}{echo:>12.1f}{ratio}")
    return "\n".join(lines)


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=1000, help="of two clients (%(default)s)")
    parser.add_argument(
        "--rate",
        type=float,
        action="append",
        help="messages/s of a room; may be given several times (2 and 20)",
    )
    parser.add_argument("--seconds", type=float, default=3, help="of each part (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="at full speed (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rates = options.rate or [2, 20]
    figures = asyncio.run(run(options.rooms, rates, options.seconds, options.rounds))
    print(json.dumps(figures) if options.json else table(figures))


if __name__ == "__main__":
    main()
