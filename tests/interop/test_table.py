"""The table in the README is what .ci/interop has written."""

import re

from interop import table, test_scenarios
from interop.stacks import STACKS

CELL = re.compile(r"(✓( \(\d+\))*( \d+ ms)?)?")
MDNS = "names_instead_of_addresses"


def rows() -> list[list[str]]:
    lines = table.written(table.README.read_text(encoding="utf-8")).splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]


def test_each_scenario_has_a_title() -> None:
    names = [n.removeprefix("test_") for n in vars(test_scenarios) if n.startswith("test_")]
    assert sorted(names) == sorted(table.TITLES)


def test_the_table_is_complete() -> None:
    header, _, versions, *scenarios = rows()
    assert header == [stack.name for stack in STACKS]
    assert all(re.fullmatch(r"[\d.]+", version) for version in versions[1:])
    assert [row[0] for row in scenarios] == list(table.TITLES.values())
    for title, *cells in scenarios:
        assert all(CELL.fullmatch(cell.strip()) for cell in cells), title
        assert title == table.TITLES[MDNS] or all(cell.startswith("✓") for cell in cells), title


def test_each_note_is_referred_to() -> None:
    text = table.written(table.README.read_text(encoding="utf-8"))
    notes = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    assert notes == [str(number) for number in range(1, len(notes) + 1)]
    cells = [cell for row in rows()[3:] for cell in row[1:]]
    assert {number for cell in cells for number in re.findall(r"\((\d+)\)", cell)} == set(notes)
