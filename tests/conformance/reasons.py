"""The table of all files, with the reason of each test that isn't passed."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["as_table", "read_reasons", "reason_of"]

REASONS = Path(__file__).with_name("reasons.toml")
PREFIX = "webrtc/"


def read_reasons() -> dict[str, Any]:
    """Return the reasons and the rules for them."""
    return tomllib.loads(REASONS.read_text())


def reason_of(reasons: Mapping[str, Any], file: str, test: str) -> str:
    """Return the name of the reason for which a test isn't passed."""
    for rule in reasons["rule"]:
        if re.search(rule["files"], file) and re.search(rule.get("tests", ""), test):
            return str(rule["reason"])
    return "open"


def as_table(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """Return the table, given the results of restartice and of aiortc as JSON has them.

    Of what can't apply only the tests that aren't passed are counted apart.
    """
    reasons = read_reasons()
    aiortc = {page["file"]: _passed(page) for page in theirs}
    negotiation = re.compile("|".join(reasons["negotiation"]))
    totals = {"negotiation": Counter[str](), "the rest": Counter[str]()}
    lines = ["| file | tests | aiortc | restartice | not passed |", "|---|---:|---:|---:|---|"]
    for page in ours:
        name = page["file"].removeprefix(PREFIX)
        failed = Counter(
            reason_of(reasons, name, test["name"])
            for test in page["tests"]
            if test["status"] != "PASS"
        )
        told = ", ".join(f"{reason} {count}" for reason, count in sorted(failed.items()))
        if not page["tests"]:
            told = f"not run: {reason_of(reasons, name, '')}"
        plain = aiortc.get(page["file"], "")
        total = totals["negotiation" if negotiation.match(name) else "the rest"]
        name = re.sub(r"\.(https|window|tentative|html|js)\b", "", name)
        lines.append(f"| {name} | {len(page['tests'])} | {plain} | {_passed(page)} | {told} |")
        total.update(failed, tests=len(page["tests"]), passed=_passed(page))
    return "\n".join([*_summary(reasons, totals), "", *lines])


def _summary(reasons: Mapping[str, Any], totals: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    apart = {name for name, r in reasons["reasons"].items() if not r.get("applies", True)}
    yield "| files | tests | can't apply | of the others | passed | |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, total in totals.items():
        away = sum(total.get(reason, 0) for reason in apart)
        rest = total["tests"] - away
        share = f"{100 * total['passed'] / max(rest, 1):.1f} %"
        yield f"| {name} | {total['tests']} | {away} | {rest} | {total['passed']} | {share} |"
    yield ""
    yield "| reason | | negotiation | the rest |"
    yield "|---|---|---:|---:|"
    for name, reason in reasons["reasons"].items():
        counts = " | ".join(str(total.get(name, 0)) for total in totals.values())
        yield f"| {name} | {reason['text']} | {counts} |"


def _passed(page: Mapping[str, Any]) -> int:
    return sum(test["status"] == "PASS" for test in page["tests"])
