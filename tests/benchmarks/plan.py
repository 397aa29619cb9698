"""What the benchmark runs: cases, each with the command that measures it, and the targets."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.causes import CAUSES

__all__ = ["GROWTH", "OVERVIEW", "TARGETS", "Case", "Target", "plan"]

HERE: Final = Path(__file__).parent
GROWTH: Final = (1, 10, 50, 100)
OURS: Final = "restartice"
CHROMIUM: Final = "Chromium"
PION: Final = "Pion"
ALL: Final = (OURS, "aiortc", "libwebrtc")
# The function calls of a set-up, by their cause.
CALLS: Final = ("calls of a set-up", "calls with media")
PER_CPU: Final = "data per second of processor time (MB)"
# The messages of a data channel: how many bytes, and how many of them.
SIZES: Final = {
    "data, 64 B": (64, 20_000),
    "data, 1 KiB": (1024, 5000),
    "data, 16 KiB": (16_384, 500),
}


@dataclass(frozen=True)
class Case:
    """One thing to be measured, for one implementation.

    Attributes:
        name: What is measured.
        stack: Whose.
        command: The program and its arguments; it prints series of values as JSON.
        namespaces: Whether the command makes its own network namespaces.
        once: Whether it takes so long that one round does.
    """

    name: str
    stack: str
    command: tuple[str, ...]
    namespaces: bool = False
    once: bool = False


@dataclass(frozen=True)
class Target:
    """A ratio of restartice's median to another's that is aimed at."""

    name: str
    series: str
    against: str
    limit: float
    at_least: bool = False

    def is_met(self, ratio: float) -> bool:
        """Say if a ratio meets it."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit


TARGETS: Final = (
    Target("restart", "time (ms)", "libwebrtc", 0.05),
    Target("restart, two processes", "time (ms)", "libwebrtc", 0.05),
    Target("set-up", "time (ms)", "aiortc", 0.5),
    Target("set-up", "processor time (ms)", "aiortc", 1.0),
    Target("calls of a set-up", "all calls", "aiortc", 1.0),
    Target("over 100 ms", "set-up (round trips)", "aiortc", 0.6),
    Target("over 100 ms", "set-up (round trips)", "libwebrtc", 0.5),
    Target("at 10 % loss", "set-up (s)", "libwebrtc", 1.3),
    Target("checks, relayed offerer", "time (ms)", "aiortc", 0.1),
    Target("checks, 33 addresses each", "time (ms)", "aiortc", 0.25),
    Target("recovery, interface gone", "silence (s)", "libwebrtc", 0.15),
    Target("recovery, packets vanish", "silence (s)", "libwebrtc", 0.4),
    Target("data, 64 B", PER_CPU, "aiortc", 6, at_least=True),
    Target("data, 1 KiB", PER_CPU, "aiortc", 2.5, at_least=True),
    Target("data, 1 KiB", PER_CPU, "libwebrtc", 0.33, at_least=True),
    Target("data, 16 KiB", PER_CPU, "aiortc", 2.5, at_least=True),
)


# Cases and series of the short table.
OVERVIEW: Final = (
    ("set-up", "time (ms)"),
    ("set-up", "processor time (ms)"),
    ("set-up, trickle", "time (ms)"),
    ("set-up with media", "time (ms)"),
    *((name, cause) for name in CALLS for cause in ("all calls", *CAUSES)),
    ("checks, relayed offerer", "time (ms)"),
    ("checks, 33 addresses each", "time (ms)"),
    ("checks, 15 addresses each", "restart (ms)"),
    ("set-up, trickle, dead STUN server", "time (ms)"),
    ("set-up, dead STUN server", "time (ms)"),
    *(
        (f"over {ms} ms{what}", f"{until} (round trips)")
        for ms in (20, 100, 300)
        for what in ("", ", no INIT")
        for until in ("DTLS connecting", "DTLS connected", "set-up")
    ),
    ("over 100 ms", "restart of the near side (round trips)"),
    ("over 100 ms", "restart of the far side (round trips)"),
    *((f"at {p} % loss", series) for p in (5, 10) for series in ("set-up (s)", "worst set-up (s)")),
    ("restart", "time (ms)"),
    ("restart", "processor time (ms)"),
    ("restart", "longest gap (ms)"),
    ("restart", "longest gap, no restart (ms)"),
    ("restart", "lost (messages)"),
    ("restart with media", "time (ms)"),
    ("restart, two processes", "time (ms)"),
    ("restart, two processes", "lost (messages)"),
    ("restart, two processes", "lost (RTP packets)"),
    ("recovery, interface gone", "silence (s)"),
    ("recovery, packets vanish", "silence (s)"),
    *((name, series) for name in SIZES for series in (PER_CPU, "throughput (MB/s)")),
    ("RTP", "RTP packets per second of processor time"),
    ("guard", "lost to the guard (%)"),
    ("guard", "processor time to drop a datagram (µs)"),
    ("soak", "datagrams of a stranger"),
    ("soak", "dropped (%)"),
    ("soak", "frames per second before"),
    ("soak", "frames per second"),
    *(
        (f"{count} pairs", series)
        for series in (
            "processor time to set up a pair (ms)",
            "memory per connection (KiB)",
            "idle processor time of a connection (ms/s)",
        )
        for count in GROWTH
    ),
)


def plan(scale: float) -> list[Case]:
    """Return the cases, in the order in which a round runs them.

    Args:
        scale: How many repetitions within a process, in relation to the usual number.
    """

    def times(count: int) -> int:
        return max(1, round(count * scale))

    return [
        *_setups(times),
        *_restarts(times),
        *_costs(times),
        *(_probe("growth", f"{n} pairs", s, count=n) for n in GROWTH for s in ALL),
        *_distances(times),
        *_recoveries(),
        _probe("relay", "signaling", OURS, count=times(300)),
    ]


def _setups(times: Callable[[int], int]) -> list[Case]:
    count = times(10)
    trickling = (OURS, "libwebrtc")
    return [
        *(_probe("setup", "set-up", s, count=count, trickle=False) for s in ALL),
        *(_probe("setup", "set-up, trickle", s, count=count, trickle=True) for s in trickling),
        _chromium("setup", "set-up, trickle", count),
        *(
            _probe("setup", "set-up with media", s, count=count, trickle=False, media=True)
            for s in (OURS, "aiortc")
        ),
        *(
            _probe("causes", name, s, count=times(3), media=media)
            for name, media in zip(CALLS, (False, True), strict=True)
            for s in (OURS, "aiortc")
        ),
        *(_probe("relayed", "checks, relayed offerer", s, count=count) for s in (OURS, "aiortc")),
        *(_addresses(33, s) for s in (OURS, "aiortc")),
        _addresses(15, OURS, restarts=5),
        *(_dead_stun("set-up, dead STUN server", s, trickle=False) for s in ALL),
        *(_dead_stun("set-up, trickle, dead STUN server", s, trickle=True) for s in trickling),
    ]


def _restarts(times: Callable[[int], int]) -> list[Case]:
    count = times(10)
    return [
        *(_probe("restart", "restart", s, count=count, trickle=True) for s in (OURS, "libwebrtc")),
        _chromium("restart", "restart", count),
        _probe("restart", "restart, no trickle", OURS, count=count, trickle=False),
        _probe("restart", "restart with media", OURS, count=count, trickle=True, media=True),
        *(_probe("apart", "restart, two processes", s, count=count) for s in (OURS, "libwebrtc")),
    ]


def _costs(times: Callable[[int], int]) -> list[Case]:
    pair = (OURS, "aiortc")
    return [
        *(
            _probe("throughput", name, s, count=times(count), size=size)
            for name, (size, count) in SIZES.items()
            for s in ALL
        ),
        *(_probe("rtp", "RTP", s, count=times(3000)) for s in pair),
        _probe("guard", "guard", OURS, count=times(2000)),
        _probe("soak", "soak", OURS, count=times(100_000)),
    ]


def _distances(times: Callable[[int], int]) -> list[Case]:
    """Set-up and restart over a link with a delay, and with loss."""
    far: list[tuple[str, dict[str, Any]]] = [
        (f"over {ms} ms", {"round_trip": ms / 1000, "milestones": True}) for ms in (20, 100, 300)
    ]
    lossy = [(f"at {p} % loss", {"round_trip": 0.06, "loss": p / 100}) for p in (5, 10)]
    return [
        *(
            _distance(
                name,
                stack,
                **distance,
                calls=times(12 if "loss" in distance else 3),
                restarts=times(3) if stack == OURS and "loss" not in distance else 0,
            )
            for name, distance in (*far, *lossy)
            for stack in (*ALL, CHROMIUM, PION)
        ),
        *(
            _distance(f"{name}, no INIT", OURS, **distance, calls=times(3), inits=False)
            for name, distance in far
        ),
    ]


def _distance(name: str, stack: str, **options: Any) -> Case:
    command = _python("distance.py", stack, json.dumps(options))
    return Case(name, stack, command, namespaces=True)


def _recoveries() -> list[Case]:
    losses = (("gone", "interface gone"), ("blackhole", "packets vanish"))
    return [
        Case(
            f"recovery, {name}",
            stack,
            _python("recovery.py", stack, loss),
            namespaces=True,
            once=stack == "aiortc",
        )
        for loss, name in losses
        for stack in ALL
    ]


def _dead_stun(name: str, stack: str, *, trickle: bool) -> Case:
    options = {"count": 1, "trickle": trickle, "dead_stun": True}
    command = _python("probe.py", "setup", stack, json.dumps(options))
    return Case(name, stack, command, once=not trickle)


def _addresses(number: int, stack: str, restarts: int = 0) -> Case:
    options = {"count": 1, "number": number, "restarts": restarts}
    return _probe("addresses", f"checks, {number} addresses each", stack, **options)


def _probe(measurement: str, name: str, stack: str, **options: Any) -> Case:
    command = _python("probe.py", measurement, stack, json.dumps(options))
    return Case(name, stack, command, once=measurement == "growth")


def _chromium(measurement: str, name: str, count: int) -> Case:
    options = json.dumps({"count": count})
    return Case(name, CHROMIUM, _python("chromium.py", measurement, options))


def _python(program: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / program), *arguments)
