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
# Those that start browsers and other programs and mostly wait for them, one after the other.
PEERS = ("tests/interop", "tests/browser", "tests/dropin")
OTHERS = ("tests/system", "tests/conformance", "tests/docs")
# Those that measure times, which nothing else shall disturb.
TIMED = ("tests/network", "tests/system/test_two_peers.py")
DOWNSTREAM = "tests/downstream"


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


def pytest(name: str, *arguments: str) -> Lane:
    """Return a lane of tests whose coverage is measured."""
    return Lane(name, (sys.executable, "-m", "pytest", "--cov", "--cov-report=", *arguments))


def stages() -> Iterator[list[Lane]]:
    """Return the lanes that run side by side, stage by stage."""
    elsewhere = [f"--ignore={folder}" for folder in (*PEERS, *OTHERS, *TIMED, DOWNSTREAM)]
    yield [
        pytest("calls", "tests", *elsewhere),
        pytest("peers", *PEERS),
        pytest("others", *OTHERS, *(f"--ignore={path}" for path in TIMED)),
        Lane("downstream", (f"{DOWNSTREAM}/run",)),
    ]
    yield [pytest("timed", *TIMED)]


def run(lanes: list[Lane], logs: Path) -> Iterator[Outcome]:
    """Run lanes side by side; return each one's outcome as soon as it is there."""
    started = time.monotonic()
    running = {}
    for lane in lanes:
        environment = {**os.environ, "COVERAGE_FILE": str(ROOT / f".coverage.{lane.name}")}
        with (logs / lane.name).open("wb") as log:
            running[lane] = subprocess.Popen(
                lane.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
    try:
        while running:
            for lane in [lane for lane, process in running.items() if process.poll() is not None]:
                status = running.pop(lane).returncode
                seconds = time.monotonic() - started
                print(f"\n== lane {lane.name}: {seconds:.0f} s, exit status {status}", flush=True)
                yield Outcome(lane, status, (logs / lane.name).read_text(errors="replace"))
            time.sleep(0.2)
    finally:
        for process in running.values():
            process.terminate()


def main() -> int:
    """Run everything; return the exit status."""
    outcomes = []
    with tempfile.TemporaryDirectory() as logs:
        for lanes in stages():
            for outcome in run(lanes, Path(logs)):
                print(outcome.output, flush=True)
                outcomes.append(outcome)
    for coverage in (["combine", "-q"], ["report", "--skip-covered"]):
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
    if bad:
        print(f"not well: {', '.join(bad)}")
    others = {kind: n for kind, n in counts.items() if kind not in {"passed", "failed"}}
    more = "".join(f", {count} {kind}" for kind, count in others.items())
    print(f"{counts['passed']} passed, {counts['failed']} failed{more}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
