"""Many clients of two servers on one Redis, while all of that is cut, killed and emptied.

Whatever happens, a message arrives once and in order, or who has sent it or should have had it is
told; and when the clients are gone, nothing of them is left.
"""

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from forwarder import Forwarder
from ports import free_port
from redisserver import RedisServer, redis_server
from restartice_signaling import CustomReceived, Reconnected, Refused, WebSocketSignaling
from signalingnode import Node

__all__ = ["Outcome", "Plan", "soak"]

END = "end"
# Connections to Redis are opened as they are needed, and stay.
POOL = 24
TASKS = 12


@dataclass(frozen=True)
class Plan:
    """How much there is of everything.

    Attributes:
        clients: How many, in rooms of two.
        messages: How many all of them send.
        seconds: How long each of them takes for its own.
        window: The resume window.
        drain: The drain time of the servers.
        seed: What chance begins with.
        deadline: When it has failed, in seconds.
    """

    clients: int = 200
    messages: int = 10_000
    seconds: float = 40.0
    window: float = 5.0
    drain: float = 20.0
    seed: int = 1
    deadline: float = 300.0


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        received: How many messages arrived.
        missing: How many didn't, of which somebody was told.
        wrong: What must not be, as sentences.
        told: What clients were told, and how often.
        cuts: How many connections were cut.
        drained: How long the server took to end at SIGTERM, under load.
    """

    received: int = 0
    missing: int = 0
    wrong: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    drained: float = 0.0


class Talker:
    """A client that sends numbers to another one, and notes what it gets."""

    def __init__(self, signaling: WebSocketSignaling, other: str, count: int) -> None:
        self.signaling = signaling
        self.count = count
        self.received: list[int] = []
        self.sent = 0
        self.told: Counter[str] = Counter()
        self.ended = asyncio.Event()
        self._other = other

    async def send(self, seconds: float, chance: random.Random) -> None:
        for number in range(self.count):
            await asyncio.sleep(chance.random() * 2 * seconds / self.count)
            await self.signaling.send_custom(number, self._other)
            self.sent += 1

    async def say_end(self, heard: asyncio.Event) -> None:
        """Say that this is all, until the other one has heard it."""
        while not heard.is_set():
            await self.signaling.send_custom(END, self._other)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await heard.wait()

    async def flood(self) -> None:
        while True:
            await self.signaling.send_custom("more", self._other)
            await asyncio.sleep(0)

    async def receive(self) -> None:
        async for event in self.signaling:
            if isinstance(event, CustomReceived):
                if isinstance(event.value, int):
                    self.received.append(event.value)
                elif event.value == END:
                    self.ended.set()
            elif isinstance(event, Reconnected):
                self.told["resumed" if event.resumed else "begun again"] += 1
            elif isinstance(event, Refused):
                self.told[f"refused: {event.error}"] += 1


class _Soak:
    def __init__(self, plan: Plan, store: RedisServer) -> None:
        self._plan = plan
        self._store = store
        self._chance = random.Random(plan.seed)
        self._options = (
            f"--redis={store.url}",
            f"--resume-window={plan.window}",
            f"--drain-timeout={plan.drain}",
        )
        self._nodes: list[Node] = []
        self._forwarders: list[Forwarder] = []
        self._pairs: list[tuple[Talker, Talker]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._before: list[tuple[int, float]] = []
        self.outcome = Outcome()

    @property
    def _talkers(self) -> Iterator[Talker]:
        for pair in self._pairs:
            yield from pair

    async def run(self) -> None:
        for _ in range(2):
            node = await Node.start(f"--port={free_port()}", *self._options)
            self._nodes.append(node)
            forwarder = Forwarder(node.port, lambda: self._chance.randrange(2_000, 15_000))
            await forwarder.start()
            self._forwarders.append(forwarder)
        self._before = [(node.descriptors(), await tasks_of(node)) for node in self._nodes]
        try:
            async with asyncio.timeout(self._plan.deadline):
                await self._talk()
                await self._drain_under_load()
                await self._go()
                await self._check_nothing_is_left()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for forwarder in self._forwarders:
                await forwarder.close()
            for node in self._nodes:
                await node.kill()

    async def _talk(self) -> None:
        await self._join()
        sending = [
            asyncio.create_task(talker.send(self._plan.seconds, self._chance))
            for talker in self._talkers
        ]
        chaos = asyncio.create_task(self._disturb())
        await asyncio.gather(*sending, chaos)
        for forwarder in self._forwarders:
            forwarder.cut_after = None
        ends = [
            step
            for first, second in self._pairs
            for step in (first.say_end(second.ended), second.say_end(first.ended))
        ]
        await asyncio.gather(*ends)
        self._judge()

    async def _join(self) -> None:
        plan = self._plan
        count = plan.messages // plan.clients
        for number in range(plan.clients // 2):
            talkers = []
            for name, other in (("a", "b"), ("b", "a")):
                urls = [forwarder.url for forwarder in self._forwarders]
                self._chance.shuffle(urls)
                signaling = WebSocketSignaling(urls, room=f"room-{number}", peer=name)
                await signaling.connect()
                talkers.append(Talker(signaling, other, count))
                self._tasks.append(asyncio.create_task(talkers[-1].receive()))
            self._pairs.append((talkers[0], talkers[1]))

    async def _disturb(self) -> None:
        await self._sent(0.2)
        await self._nodes[0].kill()
        self._nodes[0] = await Node.start(f"--port={self._nodes[0].port}", *self._options)
        await self._sent(0.45)
        await self._store.kill()
        await self._store.start()
        await self._sent(0.7)
        await self._store.kill()
        await self._store.start(empty=True)

    async def _sent(self, share: float) -> None:
        """Return when that share of all messages is sent."""
        while sum(talker.sent for talker in self._talkers) < share * self._plan.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    def _judge(self) -> None:
        outcome = self.outcome
        outcome.cuts = sum(forwarder.cuts for forwarder in self._forwarders)
        for number, (first, second) in enumerate(self._pairs):
            for sender, receiver in ((first, second), (second, first)):
                self._judge_one(f"room {number}", sender, receiver)
            outcome.told += first.told + second.told

    def _judge_one(self, room: str, sender: Talker, receiver: Talker) -> None:
        numbers = receiver.received
        self.outcome.received += len(numbers)
        if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
            self.outcome.wrong.append(f"{room}: twice, or out of order: {numbers}")
        missing = sender.count - len(numbers)
        self.outcome.missing += missing
        begun = sender.told["begun again"] + receiver.told["begun again"]
        refused = sum(n for what, n in sender.told.items() if what.startswith("refused"))
        if missing > refused and not begun:
            self.outcome.wrong.append(f"{room}: {missing} are missing, and nobody was told")

    async def _drain_under_load(self) -> None:
        floods = [asyncio.create_task(talker.flood()) for talker in self._talkers]
        await asyncio.sleep(1)
        ending, port = self._nodes[1], self._nodes[1].port
        # This loop is too busy to look at the clock.
        self.outcome.drained = await asyncio.to_thread(end_by_sigterm, ending.process.pid)
        status = await ending.process.wait()
        if status != 0 or self.outcome.drained > self._plan.drain:
            self.outcome.wrong.append(
                f"SIGTERM under load took {self.outcome.drained:.1f} s, status {status}"
            )
        self._nodes[1] = await Node.start(f"--port={port}", *self._options)
        await asyncio.sleep(1)
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)

    async def _go(self) -> None:
        """Let half of the clients say that they go, and the others vanish."""
        await asyncio.gather(*(first.signaling.close() for first, _ in self._pairs))
        for forwarder in self._forwarders:
            forwarder.target = 1
            forwarder.cut()
        await asyncio.gather(*(second.signaling.close() for _, second in self._pairs))

    async def _check_nothing_is_left(self) -> None:
        wrong = self.outcome.wrong
        async with redis.asyncio.from_url(self._store.url, decode_responses=True) as store:
            # Which is looked after in a round of 5 s.
            deadline = time.monotonic() + self._plan.window + 30
            while True:
                left = [name async for name in store.scan_iter("rtc-signal:[sqrgx]:*")]
                nodes = [await self._left_in(number) for number in range(2)]
                if not left and not any(nodes):
                    break
                if time.monotonic() > deadline:
                    wrong += [f"left in Redis: {left[:10]}"] if left else []
                    wrong += [node for node in nodes if node]
                    break
                await asyncio.sleep(0.5)
            for node in self._nodes:
                node.process.terminate()
                await node.process.wait()
            deadline = time.monotonic() + self._plan.window + 20
            while left := await store.keys("*"):
                if time.monotonic() > deadline:
                    wrong.append(f"left in Redis after the last server: {left[:10]}")
                    break
                await asyncio.sleep(0.5)

    async def _left_in(self, number: int) -> str:
        """Return what a server still has of the clients, or nothing."""
        node, (descriptors, tasks) = self._nodes[number], self._before[number]
        metrics = await metrics_of(node)
        if metrics["rtc_signal_connections"] > 1:
            return f"server {number} has {metrics['rtc_signal_connections']} connections"
        if metrics["rtc_signal_tasks"] > tasks + TASKS:
            return f"server {number} has {metrics['rtc_signal_tasks']} tasks, at first {tasks}"
        if node.descriptors() > descriptors + POOL:
            return f"server {number} has {node.descriptors()} descriptors, at first {descriptors}"
        return ""


def end_by_sigterm(pid: int) -> float:
    """Ask a process to end; return after how many seconds it has."""
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    # Whoever has started it waits for it, or will.
    with contextlib.suppress(FileNotFoundError):
        while Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.02)
    return time.monotonic() - began


async def metrics_of(node: Node) -> dict[str, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return {
        name: float(value)
        for name, value in re.findall(r"^(rtc_signal_\w+) (\d+)$", text, re.MULTILINE)
    }


async def tasks_of(node: Node) -> float:
    return (await metrics_of(node))["rtc_signal_tasks"]


async def soak(plan: Plan, directory: Path) -> Outcome:
    """Do it all; return what came of it.

    Args:
        plan: How much there is of everything.
        directory: For the files of Redis.
    """
    async with redis_server(directory) as store:
        run = _Soak(plan, store)
        await run.run()
        return run.outcome
