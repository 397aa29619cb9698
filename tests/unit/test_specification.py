"""What the specification asks is tested, and what the code cites of it exists."""

import re

import pytest

from docs.markdown import PAGES, READMES, ROOT
from specification_page import Code, Item, read_items, read_tests

ANCHOR = re.compile(r"https://((?:w3c\.github\.io|webidl\.spec\.whatwg\.org)/[\w/-]*#[\w-]+)")
ITEM = re.compile(r"\b[SWI]\d+\b")
# promised by MDN's page, asked by the W3C and by the IETF
ITEMS = [f"{kind}{n + 1}" for kind, count in (("S", 5), ("W", 28), ("I", 10)) for n in range(count)]


def test_cited_anchors_exist() -> None:
    known = set((ROOT / "tests" / "data" / "anchors.txt").read_text().split())
    cited: dict[str, str] = {}
    for folder in ("src", "signaling", "tests", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            cited |= dict.fromkeys(ANCHOR.findall(path.read_text()), path.name)
    for path in (*READMES, *PAGES):
        cited |= dict.fromkeys(ANCHOR.findall(path.read_text()), path.name)
    assert {anchor: where for anchor, where in cited.items() if anchor not in known} == {}
    assert len(cited) > 50


def test_each_item_of_the_specification_has_code_and_tests() -> None:
    code, items, tests = Code(), read_items(), read_tests()
    assert list(items) == list(tests) == ITEMS
    for number, item in items.items():
        assert code.places_of(item), number
        assert tests[number][1], number


def test_places_in_the_code_are_what_they_say() -> None:
    code = Code()
    places = [place for item in read_items().values() for place in code.places_of(item)]
    for place in places:
        line = (ROOT / place.path).read_text().splitlines()[place.line - 1]
        name = place.name.rpartition(".")[2]
        assert not name or "#" in line or re.search(rf"\b(def|class) {name}\b", line), place


def test_an_item_that_nothing_does_is_noticed() -> None:
    code = Code()
    for item in (Item("", anchors=("RFC 1",)), Item("", code=("RTCPeerConnection.fly",))):
        with pytest.raises(LookupError):
            code.places_of(item)


def test_each_test_in_the_table_names_its_items() -> None:
    for item, (_, files) in read_tests().items():
        for file in files:
            text = (ROOT / "tests" / file).read_text()
            assert item in ITEM.findall(text), f"{file} doesn't say that it tests {item}"
            assert "def test_" in text, file
