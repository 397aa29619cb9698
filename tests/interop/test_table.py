"""The tables in the READMEs are what .ci/interop has written."""

import re
from pathlib import Path

import pytest

from interop import table, test_scenarios
from interop.stacks import STACKS

CELL = re.compile(r"(✓( \(\d+\))*( \d+ ms)?)?")
MDNS = "names_instead_of_addresses"


def rows(path: Path) -> list[list[str]]:
    lines = table.written(path.read_text(encoding="utf-8")).splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]


def test_each_scenario_has_a_title() -> None:
    names = [n.removeprefix("test_") for n in vars(test_scenarios) if n.startswith("test_")]
    assert sorted(names) == sorted(table.TITLES)


def test_all_have_the_same_table() -> None:
    assert len({table.written(p.read_text(encoding="utf-8")) for p in table.READMES}) == 1


@pytest.mark.parametrize("path", table.READMES, ids=lambda path: str(path.relative_to(table.ROOT)))
def test_the_table_is_complete(path: Path) -> None:
    header, _, versions, *scenarios = rows(path)
    assert header == [stack.name for stack in STACKS]
    assert all(re.fullmatch(r"[\d.]+", version) for version in versions[1:])
    assert [row[0] for row in scenarios] == list(table.TITLES.values())
    for title, *cells in scenarios:
        assert all(CELL.fullmatch(cell.strip()) for cell in cells), title
        assert title == table.TITLES[MDNS] or all(cell.startswith("✓") for cell in cells), title


@pytest.mark.parametrize("path", table.READMES, ids=lambda path: str(path.relative_to(table.ROOT)))
def test_each_note_is_referred_to(path: Path) -> None:
    text = table.written(path.read_text(encoding="utf-8"))
    notes = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    assert notes == [str(number) for number in range(1, len(notes) + 1)]
    cells = [cell for row in rows(path)[3:] for cell in row[1:]]
    assert {number for cell in cells for number in re.findall(r"\((\d+)\)", cell)} == set(notes)
