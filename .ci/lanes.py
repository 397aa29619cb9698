"""Runs all tests, those side by side which don't disturb each other, and adds up what came of them.

A lane is a run of pytest in a process of its own, whose output is shown when it has ended. The last
line is the sum. The exit status is 0 only if that of each lane was, and with CI=true only if no
test was skipped.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What pytest says at the end, such as "2 failed, 88 passed, 1 skipped in 61.53s".
SUMMARY = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
# Those that start browsers and other programs, and mostly wait for them.
PEERS = "tests/interop"
SCENARIOS = "tests/interop/test_scenarios.py"
PAGES = ("tests/browser", "tests/dropin")
SUITES = ("tests/system", "tests/conformance", "tests/docs")
# Those that measure times, which nothing else shall disturb; they mostly wait, too.
CUTS = "tests/network"
HOME = "tests/network/test_calls_go_home.py"
MOVING = "tests/interop/test_moving.py"
DEMO = "tests/system/test_two_peers.py"
DOWNSTREAM = "tests/downstream"
CALLS = "tests/integration"
SIGNALING = "test_signaling_*.py"
# How many lanes run at a time: most of them wait most of the time.
MOST = 4
# Coverage takes nearly as much time of the processor as the tests, so it is measured when asked.
COVERAGE = bool(os.environ.get("RESTARTICE_COVERAGE"))


@dataclass(frozen=True)
class Lane:
    """A run of pytest."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a lane."""

    lane: Lane
    status: int
    output: str

    def counts(self) -> Counter[str]:
        """Return how many tests passed, failed and so on; none if pytest didn't come to an end."""
        found = [match[1] for line in self.output.splitlines() if (match := SUMMARY.match(line))]
        pairs = COUNT.findall(found[-1]) if found else []
        return Counter({kind.removesuffix("s"): int(count) for count, kind in pairs})

    def failures(self) -> list[str]:
        """Return the lines of pytest's summary that tell which tests failed, and why."""
        return re.findall(r"(?m)^(?:FAILED|ERROR) tests/.*$", self.output)


def pytest(name: str, *arguments: str) -> Lane:
    """Return a lane of tests."""
    coverage = ("--cov", "--cov-report=") if COVERAGE else ()
    return Lane(name, (sys.executable, "-m", "pytest", "--durations=10", *coverage, *arguments))


def files(folder: str, pattern: str = "test_*.py") -> list[str]:
    """Return the test files of a folder."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern))


def stages() -> Iterator[list[Lane]]:
    """Return the lanes that run side by side, stage by stage."""
    signaling = files(CALLS, SIGNALING)
    calls = [file for file in files(CALLS) if file not in signaling]
    elsewhere = (CALLS, PEERS, *PAGES, *SUITES, CUTS, DOWNSTREAM)
    # Those first that take longest.
    yield [
        pytest("scenarios", SCENARIOS),
        pytest("peers", PEERS, f"--ignore={SCENARIOS}", f"--ignore={MOVING}"),
        pytest("suites", *SUITES, f"--ignore={DEMO}"),
        pytest("signaling", *signaling),
        pytest("calls", *calls[::2]),
        pytest("more-calls", *calls[1::2]),
        pytest("pages", *PAGES),
        Lane("downstream", (f"{DOWNSTREAM}/run",)),
        pytest("rules", "tests", *(f"--ignore={folder}" for folder in elsewhere)),
    ]
    cuts = [file for file in files(CUTS) if file != HOME]
    yield [
        pytest("cuts", *cuts[::2], MOVING),
        pytest("more-cuts", *cuts[1::2]),
        pytest("home-and-demo", HOME, DEMO),
    ]


def run(lanes: list[Lane], logs: Path) -> Iterator[Outcome]:
    """Run lanes side by side, a few at a time; return each one's outcome as soon as it is there."""
    started = time.monotonic()
    running: dict[Lane, subprocess.Popen[bytes]] = {}

    def start(lane: Lane) -> None:
        print(f"-- lane {lane.name} begins, {time.monotonic() - started:.0f} s", flush=True)
        environment = {**os.environ, "COVERAGE_FILE": str(ROOT / f".coverage.{lane.name}")}
        with (logs / lane.name).open("wb") as log:
            running[lane] = subprocess.Popen(
                lane.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    waiting = [*lanes]
    try:
        while waiting or running:
            while waiting and len(running) < MOST:
                start(waiting.pop(0))
            for lane, (status, processor) in ended(running).items():
                del running[lane]
                times = f"after {time.monotonic() - started:.0f} s, processor {processor:.0f} s"
                print(f"\n== lane {lane.name}: {times}, exit status {status}", flush=True)
                yield Outcome(lane, status, (logs / lane.name).read_text(errors="replace"))
            time.sleep(0.2)
    finally:
        for process in running.values():
            process.terminate()


def ended(running: dict[Lane, subprocess.Popen[bytes]]) -> dict[Lane, tuple[int, float]]:
    """Return the lanes that have ended, with exit status and seconds of processor time."""
    found = {}
    for lane, process in running.items():
        # With all that it has started and waited for.
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            found[lane] = process.returncode, used.ru_utime + used.ru_stime
    return found


def main() -> int:
    """Run everything; return the exit status."""
    outcomes = []
    with tempfile.TemporaryDirectory() as logs:
        for lanes in stages():
            for outcome in run(lanes, Path(logs)):
                print(outcome.output, flush=True)
                outcomes.append(outcome)
    for coverage in (["combine", "-q"], ["report", "--skip-covered"]) if COVERAGE else ():
        subprocess.run([sys.executable, "-m", "coverage", *coverage], cwd=ROOT, check=True)
    return conclude(outcomes)


def conclude(outcomes: list[Outcome]) -> int:
    """Print the sum; return the exit status."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts += outcome.counts()
    bad = [outcome.lane.name for outcome in outcomes if outcome.status or not outcome.counts()]
    if os.environ.get("CI", "").lower() in {"1", "true"} and counts["skipped"]:
        bad.append("nothing may be skipped in CI")
    for outcome in outcomes:
        print("".join(f"{line}\n" for line in outcome.failures()), end="")
    if bad:
        print(f"not well: {', '.join(bad)}")
    others = {kind: n for kind, n in counts.items() if kind not in {"passed", "failed"}}
    more = "".join(f", {count} {kind}" for kind, count in others.items())
    print(f"{counts['passed']} passed, {counts['failed']} failed{more}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
