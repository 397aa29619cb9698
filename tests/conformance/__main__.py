"""Run conformance tests: `python -m conformance CHECKOUT [NAME ...]`, with tests/ on the path."""

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import aioice.ice

from .library import Library
from .page import PageResult, run_page
from .report import as_json, as_markdown


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("checkout", type=Path, nargs="?", default=os.environ.get("WPT_CHECKOUT"))
    parser.add_argument("names", nargs="*", help="parts of the names of files; all if none")
    parser.add_argument("--library", choices=["restartice", "aiortc"], default="restartice")
    parser.add_argument("--json", type=Path, help="where to write all results")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds for one test")
    parser.add_argument("--page-limit", type=float, default=300.0, help="seconds for one file")
    parsed = parser.parse_args()
    if parsed.checkout is None:
        parser.error("give the path of a checkout, or set WPT_CHECKOUT")
    parsed.checkout = Path(parsed.checkout).resolve()
    return parsed


def pages(checkout: Path, names: Iterable[str]) -> list[Path]:
    """Return the files with tests whose name contains one of the names."""
    found = [*checkout.glob("webrtc/**/*.html"), *checkout.glob("webrtc/**/*.window.js")]
    wanted = list(names)
    return sorted(p for p in found if not wanted or any(name in p.name for name in wanted))


async def run(options: argparse.Namespace) -> list[PageResult]:
    """Run the files one after another."""
    library = Library(importlib.import_module(options.library))
    results = []
    for path in pages(options.checkout, options.names):
        result = await run_page(
            library,
            options.checkout,
            path,
            time_limit=options.time_limit,
            page_limit=options.page_limit,
        )
        results.append(result)
        count = f"{result.passed:4}/{len(result.tests):<4} {result.seconds:6.1f} s"
        sys.stderr.write(f"{count} {result.status} {path.name}\n")
    return results


def main() -> None:
    """Run the command."""
    options = arguments()
    logging.basicConfig(level=logging.CRITICAL)
    # No candidate but that of the loopback interface: the tests talk to nothing else.
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    results = asyncio.run(run(options))
    if options.json:
        options.json.write_text(as_json(results))
    if options.markdown:
        options.markdown.write_text(as_markdown(results))
    passed, total = sum(r.passed for r in results), sum(len(r.tests) for r in results)
    sys.stdout.write(f"{passed} of {total} tests passed\n")


if __name__ == "__main__":
    main()
