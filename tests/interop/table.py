"""The table of peers and scenarios, made of what the tests found."""

import re
from typing import ClassVar, Self

import pytest

NODE = re.compile(r"::test_(\w+)\[(.*)\]")


class Table:
    """Scenarios by peers."""

    shared: ClassVar[Self]

    def __init__(self) -> None:
        self._cells: dict[str, dict[str, str]] = {}
        self._limits: list[str] = []
        self._peers: list[str] = []

    def add(self, report: pytest.TestReport) -> None:
        """Note what came of a test."""
        if (match := NODE.search(report.nodeid)) is None:
            return
        parts = match[2].split("-")
        peer = parts[0]
        subject = " ".join([*parts[1:], match[1].replace("_", " ")])
        if peer not in self._peers:
            self._peers.append(peer)
        found = {str(name): value for name, value in report.user_properties}
        self._cells.setdefault(subject, {})[peer] = self._cell(report.outcome, found)

    def text(self) -> str:
        """Return the table as Markdown, with the limits below it; nothing if there is none."""
        if not self._cells:
            return ""
        rows = [["", *self._peers], ["---"] * (len(self._peers) + 1)]
        for subject, cells in self._cells.items():
            rows.append([subject, *(cells.get(peer, "") for peer in self._peers)])
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        notes = [f"{number}. {limit}" for number, limit in enumerate(self._limits, 1)]
        return "\n".join([*lines, "", *notes]) + "\n"

    def _cell(self, outcome: str, found: dict[str, object]) -> str:
        if outcome == "failed":
            return outcome
        text = "✓" if outcome == "passed" else "open"
        if limit := found.get("limit"):
            if limit not in self._limits:
                self._limits.append(str(limit))
            text += f" ({self._limits.index(str(limit)) + 1})"
        return f"{text} {found['gap']:.0f} ms" if "gap" in found else text


Table.shared = Table()
