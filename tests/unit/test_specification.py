"""What the specification asks is tested, and what the code cites of it exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANCHOR = re.compile(r"https://((?:w3c\.github\.io|webidl\.spec\.whatwg\.org)/[\w/-]*#[\w-]+)")
ROW = re.compile(r"^\| (W\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
ITEM = re.compile(r"\bW\d+\b")


def test_cited_anchors_exist() -> None:
    known = set((ROOT / "tests" / "data" / "anchors.txt").read_text().split())
    cited: dict[str, str] = {}
    for folder in ("src", "signaling", "tests", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            cited |= dict.fromkeys(ANCHOR.findall(path.read_text()), path.name)
    cited |= dict.fromkeys(ANCHOR.findall((ROOT / "README.md").read_text()), "README.md")
    assert {anchor: where for anchor, where in cited.items() if anchor not in known} == {}
    assert len(cited) > 50


def rows() -> dict[str, list[str]]:
    table = (ROOT / "tests" / "README.md").read_text()
    return {item: re.findall(r"`([\w/.]+)`", cell) for item, cell in ROW.findall(table)}


def test_each_item_of_the_specification_has_a_test() -> None:
    assert sorted(rows(), key=lambda item: int(item[1:])) == [f"W{n}" for n in range(1, 29)]
    for item, files in rows().items():
        assert files, item


def test_each_test_in_the_table_names_its_items() -> None:
    for item, files in rows().items():
        for file in files:
            text = (ROOT / "tests" / file).read_text()
            assert item in ITEM.findall(text), f"{file} doesn't say that it tests {item}"
            assert "def test_" in text, file
