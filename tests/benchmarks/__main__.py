"""The benchmark: every implementation that is here, side by side, in processes of their own.

Started by `tests/benchmarks/run`. Each round runs every case once, one implementation after the
other, so that what else the machine does hits all alike. All traffic is within network namespaces
that are made for it, or on 127.0.0.1 with --loopback, which needs no root but leaves recovery out.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plan import Case, plan
from benchmarks.report import overview, summarize, table, targets_table
from network.namespaces import run_ip

CASE_LIMIT: Final = 120.0
ADDRESS: Final = "10.78.0.1/24"
_numbers = itertools.count()


@contextmanager
def namespace() -> Iterator[list[str]]:
    """Make a network namespace with one link to itself; return the words that lead into it."""
    name = f"rib{os.getpid()}-{next(_numbers)}"
    run_ip("netns", "add", name)
    try:
        run_ip("-n", name, "link", "set", "lo", "up")
        run_ip("-n", name, "link", "add", "near", "type", "veth", "peer", "name", "far")
        run_ip("-n", name, "addr", "add", ADDRESS, "dev", "near")
        for end in ("near", "far"):
            run_ip("-n", name, "link", "set", end, "up")
        # Chromium takes the address that the default route is from.
        run_ip("-n", name, "route", "add", "default", "dev", "near")
        yield ["ip", "netns", "exec", name]
    finally:
        run_ip("netns", "del", name)


async def run_case(case: Case, prefix: list[str]) -> dict[str, list[float]]:
    """Run a case in a process; return what it measured.

    Raises:
        RuntimeError: It failed; the message is the last line that it wrote.
    """
    process = await asyncio.create_subprocess_exec(
        *([] if case.namespaces else prefix), *case.command, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(CASE_LIMIT):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"no result within {CASE_LIMIT:.0f} s") from None
    if process.returncode:
        raise RuntimeError(errors.decode(errors="replace").strip().rpartition("\n")[2])
    measured: dict[str, list[float]] = json.loads(out)
    return measured


class Benchmark:
    """A run: what was measured, and what is lacking."""

    def __init__(self, cases: list[Case], prefix: list[str]) -> None:
        self.results: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
        self.lacking: dict[str, str] = {}
        self._cases = cases
        self._prefix = prefix

    async def run(self, rounds: int) -> None:
        """Run all cases so many times; one that failed isn't tried again."""
        for turn in range(rounds):
            for case in self._cases:
                label = f"{case.name}, {case.stack}"
                if (turn == 0 or not case.once) and label not in self.lacking:
                    print(f"{turn + 1}/{rounds} {time.strftime('%H:%M:%S')} {label}", flush=True)
                    await self._run(case, label)

    async def _run(self, case: Case, label: str) -> None:
        try:
            measured = await run_case(case, self._prefix)
        except (RuntimeError, ValueError) as error:
            self.lacking[label] = str(error)
            print(f"    lacking: {error}", flush=True)
            return
        series = self.results.setdefault(case.name, {}).setdefault(case.stack, {})
        for name, values in measured.items():
            series.setdefault(name, []).append(values)


def machine() -> dict[str, Any]:
    """Say what this ran on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def write(benchmark: Benchmark, folder: Path) -> None:
    """Write the results: JSON, Markdown and pictures."""
    summaries = summarize(benchmark.results)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "lacking": benchmark.lacking,
        "summaries": {
            case: {
                stack: {name: summary and asdict(summary) for name, summary in series.items()}
                for stack, series in stacks.items()
            }
            for case, stacks in summaries.items()
        },
        "values": benchmark.results,
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    tables = (overview(summaries), targets_table(summaries), table(summaries))
    text = "\n\n".join(tables) + "\n"
    lacking = "".join(f"- {label}: {why}\n" for label, why in benchmark.lacking.items())
    (folder / "results.md").write_text(text + ("\nLacking:\n\n" + lacking if lacking else ""))
    print(f"\n{text}\n{lacking}")
    try:
        from benchmarks.plots import plot  # noqa: PLC0415  matplotlib may be lacking
    except ImportError as error:
        print(f"no pictures: {error}")
    else:
        plot(summaries, folder)
    print(f"written to {folder}")


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is run")
    parser.add_argument("--scale", type=float, default=1.0, help="of repetitions in a process")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--loopback", action="store_true", help="no namespaces, so no root")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    return parser.parse_args()


def main() -> None:
    """Run and write."""
    options = parse_arguments()
    cases = [case for case in plan(options.scale) if options.only in case.name]
    if options.loopback:
        os.environ["RESTARTICE_LOOPBACK"] = "1"
        benchmark = Benchmark([case for case in cases if not case.namespaces], [])
        asyncio.run(benchmark.run(options.rounds))
    else:
        with namespace() as prefix:
            benchmark = Benchmark(cases, prefix)
            asyncio.run(benchmark.run(options.rounds))
    write(benchmark, options.output)


if __name__ == "__main__":
    main()
