"""Run conformance tests: `python -m conformance CHECKOUT [NAME ...]`, with tests/ on the path."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from .page import PageResult
from .pool import PageJob, run_pages
from .reasons import as_table
from .report import as_json, as_markdown


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("checkout", type=Path, nargs="?", default=os.environ.get("WPT_CHECKOUT"))
    parser.add_argument("names", nargs="*", help="parts of the names of files; all if none")
    parser.add_argument("--library", choices=["restartice", "aiortc"], default="restartice")
    parser.add_argument("--json", type=Path, help="where to write all results")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--table", type=Path, help="where to write the table of the README")
    parser.add_argument("--compare", type=Path, help="for it, aiortc's results as JSON")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds for one test")
    parser.add_argument("--page-limit", type=float, default=120.0, help="seconds for one file")
    parser.add_argument("--processes", type=int, default=2, help="files that run at a time")
    parsed = parser.parse_args()
    if parsed.checkout is None:
        parser.error("give the path of a checkout, or set WPT_CHECKOUT")
    parsed.checkout = Path(parsed.checkout).resolve()
    return parsed


def jobs(options: argparse.Namespace) -> list[PageJob]:
    """Return a job for each file with tests whose name contains one of the names."""
    root = options.checkout
    files = {
        path for pattern in ("*.html", "*.window.js") for path in root.glob(f"webrtc/**/{pattern}")
    }
    wanted = [p for p in sorted(files) if "resources" not in p.parts]
    if options.names:
        wanted = [
            p for p in wanted if any(name in str(p.relative_to(root)) for name in options.names)
        ]
    jobs = [
        PageJob(options.library, root, path, options.time_limit, options.page_limit)
        for path in wanted
    ]
    return [job.patient() for job in jobs]


def run(options: argparse.Namespace) -> list[PageResult]:
    """Run the files, and return the results in the order of their names."""
    results = []
    for result in run_pages(jobs(options), options.processes):
        results.append(result)
        count = f"{result.passed:4}/{len(result.tests):<4} {result.seconds:6.1f} s"
        sys.stderr.write(f"{count} {result.status} {result.file}\n")
    return sorted(results, key=lambda result: result.file)


def main() -> None:
    """Run the command."""
    options = arguments()
    results = run(options)
    if options.json:
        options.json.write_text(as_json(results))
    if options.markdown:
        options.markdown.write_text(as_markdown(results))
    if options.table:
        theirs = json.loads(options.compare.read_text()) if options.compare else []
        options.table.write_text(as_table([asdict(result) for result in results], theirs) + "\n")
    passed, total = sum(r.passed for r in results), sum(len(r.tests) for r in results)
    sys.stdout.write(f"{passed} of {total} tests passed\n")


if __name__ == "__main__":
    main()
