"""The table of peers and scenarios, made of what the tests found, and where it is written to."""

import re
from pathlib import Path
from typing import ClassVar, Final, Self

import pytest

from interop.stacks import STACKS

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "tests" / "interop" / "README.md"
BEGIN: Final = "<!-- Written by .ci/interop. -->"
END: Final = "<!-- The end of what .ci/interop has written. -->"
NODE: Final = re.compile(r"::test_(\w+)\[(.*)\]")
# The rows, by the names of the tests; several parameters of a test have a row in common.
TITLES: Final = {
    "offers_data": "we offer, they offer: data",
    "offers_media": "we offer, they offer: video and audio each way, decoded",
    "trickles": "candidates one by one, with generation and end, both ways",
    "we_restart": "we restart; longest gap in media",
    "they_restart": "they restart; longest gap in media",
    "three_alternating_restarts": "three restarts, by turns",
    "they_answer_without_restarting": "they answer our restart without restarting",
    "cable_is_cut_and_mended": "a path that dies and comes back",
    "restart_over_another_cable": "a path that dies for good; we restart, they restart",
    "they_restart_after_failure": "a path that comes back when their ICE has failed; they restart",
    "glare_with_us_polite": "glare with us polite",
    "glare_with_us_impolite": "glare with us impolite",
    "rollback": "rollback",
    "track_added_and_removed": "a track added and removed in mid-call",
    "closes": "we close, they close",
    "names_instead_of_addresses": "names (mDNS) instead of addresses, resolved or not",
}


class Table:
    """Scenarios by peers."""

    shared: ClassVar[Self]

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], list[dict[str, object]]] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Note what came of a test."""
        if (match := NODE.search(report.nodeid)) is not None:
            names = {stack.name for stack in STACKS}
            (peer,) = names & set(match[2].split("-"))
            found = {str(name): value for name, value in report.user_properties}
            cell = self._cells.setdefault((match[1], peer), [])
            cell.append({**found, "outcome": report.outcome})

    @property
    def complete(self) -> bool:
        """Whether each peer has been through the scenarios, without any failure."""
        peers = {peer for _, peer in self._cells}
        passed = all(run["outcome"] == "passed" for cell in self._cells.values() for run in cell)
        scenarios = {scenario for scenario, _ in self._cells}
        return passed and peers == {s.name for s in STACKS} and scenarios == set(TITLES)

    def text(self) -> str:
        """Return the table as Markdown, with the limits below it; nothing if there is none."""
        if not self._cells:
            return ""
        limits: list[str] = []
        rows = [
            ["", *(stack.name for stack in STACKS)],
            ["---"] * (len(STACKS) + 1),
            ["version", *("" if stack.missing() else stack.version() for stack in STACKS)],
        ]
        for scenario, title in TITLES.items():
            runs = [self._cells.get((scenario, stack.name), []) for stack in STACKS]
            rows.append([title, *(_cell(cell, limits) for cell in runs)])
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        notes = [f"{number}. {limit}" for number, limit in enumerate(limits, 1)]
        return "\n".join([*lines, "", *notes]) + "\n"


def _cell(runs: list[dict[str, object]], limits: list[str]) -> str:
    if any(run["outcome"] != "passed" for run in runs):
        return "failed"
    texts = ["✓"] if runs else []
    found = dict.fromkeys(str(run["limit"]) for run in runs if "limit" in run)
    limits += [limit for limit in found if limit not in limits]
    texts += [f"({limits.index(limit) + 1})" for limit in found]
    texts += [f"{run['gap']:.0f} ms" for run in runs if "gap" in run]
    return " ".join(texts)


def written(text: str) -> str:
    """Return what is written between the marks in the README."""
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() + "\n"


def write(table: str) -> None:
    """Write the table into the README."""
    text = README.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(f"{text[:start]}\n\n{table}\n{text[end:]}", encoding="utf-8")


Table.shared = Table()
