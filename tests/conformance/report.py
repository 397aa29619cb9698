"""Results as JSON and as a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from .page import PageResult

__all__ = ["as_json", "as_markdown"]


def as_json(results: Sequence[PageResult]) -> str:
    """Return all results, with the messages of what failed."""
    return json.dumps([asdict(result) for result in results], indent=1)


def as_markdown(results: Sequence[PageResult]) -> str:
    """Return a table by file and, below it, the tests that failed."""
    lines = ["| file | passed | of |", "|---|---:|---:|"]
    lines += [f"| {r.file} | {r.passed} | {len(r.tests)} |" for r in results]
    passed = sum(r.passed for r in results)
    total = sum(len(r.tests) for r in results)
    lines += [f"| all | {passed} | {total} |", ""]
    for result in results:
        failed = [test for test in result.tests if test["status"] != "PASS"]
        if failed or result.status != "OK":
            lines += [f"## {result.file}", ""]
            if result.status != "OK":
                lines.append(f"- {result.status}: {result.message}")
            lines += [f"- {t['status']} {t['name']}: {_short(t['message'])}" for t in failed]
            lines.append("")
    return "\n".join(lines)


def _short(message: str | None) -> str:
    return " ".join((message or "").split())[:300]
