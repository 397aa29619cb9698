"""The signaling server with one worker and with two, by the processor time that they take.

    python tests/benchmarks/load_workers.py

The clients need a core as well, so on a machine of two cores two workers can't have one each. What
they would relay if they had is what they relay in a second of processor time of the busiest one.
"""

import argparse
import asyncio
import resource
import statistics
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.load import Fleet, open_fleet
from benchmarks.load_clients import Peer
from benchmarks.processes import ServerProcess, start_signaling

WORKERS: Final = (1, 2)
MOST: Final = 100_000


class Measured:
    """What a server with some workers did."""

    def __init__(self) -> None:
        self.per_second: list[float] = []
        self.shares: list[float] = []
        self.memory = 0.0
        self.joined = 0.0

    def __str__(self) -> str:
        rate = statistics.median(self.per_second)
        share = statistics.median(self.shares)
        return (
            f"{rate:8.0f} messages/s of processor time of the busiest, which did {share:.0%}; "
            f"{self.memory:.1f} KiB a client; all had joined after {self.joined:.1f} s"
        )


async def measure(server: ServerProcess, fleet: Fleet, into: Measured, seconds: float) -> None:
    """Add a round at full speed."""
    processes = server.children() or [server]
    before = [process.cpu_time() for process in processes]
    received = fleet.received
    await fleet.send_fast(seconds)
    taken = [process.cpu_time() - b for process, b in zip(processes, before, strict=True)]
    into.per_second.append((fleet.received - received) / max(taken))
    into.shares.append(max(taken) / sum(taken))


async def run(rooms: int, seconds: float, rounds: int) -> dict[int, Measured]:
    """Measure each number of workers, one after the other."""
    found = {}
    loop = asyncio.get_running_loop()
    for count in WORKERS:
        measured = found[count] = Measured()
        async with start_signaling(
            f"--workers={count}", f"--max-connections={MOST}", f"--max-sessions={MOST}"
        ) as server:
            processes = server.children() or [server]
            memory, began = sum(process.memory() for process in processes), loop.time()
            fleet = await open_fleet(server.port, rooms, Peer)
            measured.joined = loop.time() - began
            try:
                clients = len(fleet.clients)
                measured.memory = (sum(p.memory() for p in processes) - memory) / clients
                for _ in range(rounds):
                    await measure(server, fleet, measured, seconds)
            finally:
                fleet.close()
    return found


def main() -> None:
    """Run, and print a line for each number of workers, and how much two do for one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=2_000, help="of two clients (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4, help="of each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="at full speed (%(default)s)")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = asyncio.run(run(options.rooms, options.seconds, options.rounds))
    for count, measured in found.items():
        print(f"{count} worker{'s' * (count > 1)}: {measured}")
    one, two = (statistics.median(found[count].per_second) for count in WORKERS)
    print(f"ratio: {two / one:.2f}")


if __name__ == "__main__":
    main()
