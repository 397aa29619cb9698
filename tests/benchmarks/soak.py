"""What a fleet of signaling servers meets: cuts, dead servers, a Redis without its data, and abuse.

    tests/benchmarks/soak 3.11 3.13

It ends with 1 if a message was lost without a word, or something was left, or a target was missed.
"""

import argparse
import asyncio
import contextlib
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.abuse import KINDS
from benchmarks.load_clients import Peer
from restartice_signaling import BackendLimits, CustomReceived, WebSocketSignaling
from signalingnode import Node
from soaking import Plan, soak

OPENING: Final = 50
MEMORY_TARGET: Final = 25.0
ROUND_TRIP_TARGET: Final = 2.0
# What strangers may take of the memory of a server, in MiB: what the settings say, and some more.
ABUSE_TARGET: Final = BackendLimits().max_total_buffered / 2**20 + 64
ROUND_TRIPS: Final = 300
PAUSE: Final = 0.01
OPTIONS: Final = ("--port=0", "--max-connections=20000")


async def measure_idle(clients: int) -> float:
    """Return what a client takes that is connected and says nothing, in KiB of the server."""
    node = await Node.start(*OPTIONS)
    opened: list[Peer] = []
    try:
        before = node.resident()
        for start in range(0, clients, OPENING):
            numbers = range(start, min(start + OPENING, clients))
            opened += await asyncio.gather(
                *(Peer.open(node.port, f"room-{number // 2}", f"p-{number}") for number in numbers)
            )
        # Until nothing is under way any more.
        await asyncio.sleep(3)
        return (node.resident() - before) / clients
    finally:
        for client in opened:
            client.close()
        await node.kill()


@asynccontextmanager
async def honest(url: str) -> AsyncIterator[tuple[WebSocketSignaling, WebSocketSignaling]]:
    async with (
        WebSocketSignaling(url, room="honest", peer="a") as first,
        WebSocketSignaling(url, room="honest", peer="b") as second,
    ):
        await first.wait_for_peer()
        answering = asyncio.create_task(answer(second))
        try:
            yield first, second
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def answer(signaling: WebSocketSignaling) -> None:
    async for event in signaling:
        if isinstance(event, CustomReceived):
            await signaling.send_custom(event.value)


async def round_trips(signaling: WebSocketSignaling) -> float:
    """Return the median time from a message to its answer, in milliseconds."""
    taken = []
    events = signaling.events()
    for number in range(ROUND_TRIPS):
        began = time.perf_counter()
        await signaling.send_custom(number)
        async for event in events:
            if event == CustomReceived("b", number):
                break
        taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE)
    return statistics.median(taken)


@contextlib.asynccontextmanager
async def abused(kind: str, port: int) -> AsyncIterator[None]:
    """Let another process abuse a server."""
    program = Path(__file__).with_name("abuse.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(program), kind, str(port))
    try:
        # The first burst is let through.
        await asyncio.sleep(2)
        yield
    finally:
        assert process.returncode is None, "the strangers have ended"
        process.kill()
        await process.wait()


async def measure_abuse(kind: str) -> tuple[float, float, float]:
    """Return round trips without and with abuse, in ms, and how much memory that took, in MiB."""
    node = await Node.start(*OPTIONS)
    try:
        async with honest(node.url) as (first, _):
            await round_trips(first)
            before, memory = await round_trips(first), node.resident()
            async with abused(kind, node.port):
                beside = await round_trips(first)
                more = node.resident() - memory
        return before, beside, more / 1024
    finally:
        await node.kill()


def report_soak(options: argparse.Namespace) -> Iterator[str]:
    """Soak; yield what went wrong."""
    plan = Plan(options.clients, options.messages, options.seconds, seed=options.seed)
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(soak(plan, Path(directory)))
    print(
        f"soak: {outcome.received} received, {outcome.missing} missing and told, "
        f"{outcome.cuts} cuts, SIGTERM under load {outcome.drained:.1f} s; {dict(outcome.told)}"
    )
    yield from outcome.wrong


def report_idle(options: argparse.Namespace) -> Iterator[str]:
    """Measure idle clients; yield what went wrong."""
    memory = asyncio.run(measure_idle(options.idle))
    print(f"idle: {memory:.1f} KiB for each of {options.idle} clients")
    if memory > MEMORY_TARGET:
        yield f"an idle client takes {memory:.1f} KiB"


def report_abuse(kinds: list[str]) -> Iterator[str]:
    """Measure each kind of abuse; yield what went wrong."""
    for kind in kinds:
        before, beside, memory = asyncio.run(measure_abuse(kind))
        print(
            f"{kind}: round trip {before:.2f} ms without, {beside:.2f} ms with "
            f"({beside / before:.2f}), {memory:.0f} MiB more",
            flush=True,
        )
        if beside / before > ROUND_TRIP_TARGET:
            yield f"{kind}: a round trip takes {beside / before:.2f} of its time"
        if memory > ABUSE_TARGET:
            yield f"{kind}: the server takes {memory:.0f} MiB more"


def main() -> int:
    """Do what is asked; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=int, default=5_000)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="of abuse (all)")
    parser.add_argument("--only", choices=["soak", "idle", "abuse"])
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"Python {platform.python_version()}")
    wrong: list[str] = []
    if options.only in {None, "soak"}:
        wrong += report_soak(options)
    if options.only in {None, "idle"}:
        wrong += report_idle(options)
    if options.only in {None, "abuse"}:
        wrong += report_abuse(options.kind or sorted(KINDS))
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
