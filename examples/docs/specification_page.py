"""The page that leads from what the specifications ask to the code and the tests that do it.

Made from the code whenever the documentation is built, so its line numbers are right. Run it
as a program to read it without building anything: `python examples/docs/specification_page.py`.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = (ROOT / "src", ROOT / "signaling")
ITEMS: Final = Path(__file__).with_name("specification.toml")
TESTS: Final = ROOT / "tests" / "README.md"
ANCHOR: Final = re.compile(
    r"https://((?:w3c\.github\.io|webidl\.spec\.whatwg\.org)/[\w/-]*#[\w-]+\*?)"
)
# In a docstring or a comment, where it may go on in the next line.
RFC: Final = re.compile(r"RFC\s+\d{4}(?:\s+section\s+[\d.]*\d(?:\s+and\s+[\d.]*\d)*)?")
ROW: Final = re.compile(r"^\| ([SWI]\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
HEAD: Final = """\
# Specification coverage

What the specifications ask, in our own words: S is what MDN's page on `restartIce()` promises, W
the [W3C's specification](https://w3c.github.io/webrtc-pc/), I the IETF's. Below each are the lines
of the code that do it, in which the specification's steps stand as comments, and the tests that
would fail without it. [By citation](#by-citation) has the places of every anchor and RFC that the
code cites.

This page is made from the code; `python examples/docs/specification_page.py` prints it.

## By item
"""
CITATIONS: Final = """
## By citation

| cited | code |
|---|---|
"""


@dataclass(frozen=True, order=True)
class Place:
    """A line of the code, and the function or class that it is in.

    Attributes:
        path: The file, from the root of the project.
        line: Counted from 1.
        name: The qualified name of the function or class, empty for the module.
    """

    path: str
    line: int
    name: str


@dataclass(frozen=True)
class Item:
    """Something that a specification asks.

    Attributes:
        asks: What, in our own words.
        anchors: What the code that does it cites.
        code: The names of functions and classes that do it and cite nothing.
    """

    asks: str
    anchors: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


class Code:
    """Where in the code things are defined and cited."""

    def __init__(self) -> None:
        self.definitions: dict[str, Place] = {}
        self.citations: dict[str, list[Place]] = {}
        for folder in SOURCES:
            for path in sorted(folder.rglob("*.py")):
                self._read(path)

    def places_of(self, item: Item) -> list[Place]:
        """Return the places where an item is dealt with.

        Raises:
            LookupError: Something that the item names isn't in the code.
        """
        found: list[Place] = []
        for anchor in item.anchors:
            cited = [c for c in self.citations if matches(anchor, c)]
            if not cited:
                raise LookupError(f"nothing in the code cites {anchor}")
            found += [place for citation in cited for place in self.citations[citation]]
        for name in item.code:
            if name not in self.definitions:
                raise LookupError(f"there is no {name} in the code")
            found.append(self.definitions[name])
        return list(dict.fromkeys(found))

    def _read(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        definitions = list(_definitions(ast.parse(text)))
        for node, qualified in definitions:
            self.definitions.setdefault(qualified, Place(name, node.lineno, qualified))
        for match in (*ANCHOR.finditer(text), *RFC.finditer(text)):
            line = text.count("\n", 0, match.start()) + 1
            place = Place(name, line, _enclosing(definitions, line))
            citation = " ".join((match[1] if match.re is ANCHOR else match[0]).split())
            self.citations.setdefault(citation, []).append(self._start_of(place))

    def _start_of(self, place: Place) -> Place:
        """Return the place to send a reader to, for something that stands in a docstring."""
        definition = self.definitions.get(place.name)
        if definition is None or definition.path != place.path:
            return place
        lines = (ROOT / place.path).read_text(encoding="utf-8").splitlines()
        is_comment = "#" in lines[place.line - 1].replace("/#", "/")
        return place if is_comment else definition


def matches(anchor: str, citation: str) -> bool:
    """Say if a citation in the code is what an item names by a shorter text."""
    if anchor.startswith("RFC"):
        return citation == anchor or bool(re.match(re.escape(anchor) + r"(?![\d.])", citation))
    return citation in {anchor, f"w3c.github.io/{anchor}"}


def _definitions(
    node: ast.AST, outer: str = ""
) -> Iterator[tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child, outer + child.name
            yield from _definitions(child, f"{outer}{child.name}.")


def _enclosing(
    definitions: list[tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, str]], line: int
) -> str:
    around = [
        (node.lineno, name)
        for node, name in definitions
        if node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around)[1] if around else ""


def read_items() -> dict[str, Item]:
    """Return what the specifications ask, by number."""
    with ITEMS.open("rb") as file:
        tables = tomllib.load(file)
    return {
        number: Item(table["asks"], tuple(table.get("anchors", ())), tuple(table.get("code", ())))
        for number, table in tables.items()
    }


def read_tests() -> dict[str, tuple[str, list[str]]]:
    """Return the title and the files of tests of each item, as tests/README.md has them."""
    rows = ROW.findall(TESTS.read_text(encoding="utf-8"))
    return {number: (title, re.findall(r"`([\w/.]+)`", cell)) for number, title, cell in rows}


def make_page(*, links: bool) -> str:
    """Return the page as Markdown.

    Args:
        links: Whether places lead to the pages that show the code.
    """
    code, tests = Code(), read_tests()
    show = _link if links else _plain
    sections = []
    for number, item in read_items().items():
        places = " · ".join(show(place) for place in code.places_of(item))
        title, files = tests[number]
        tested = " · ".join(f"[{f}](code:tests/{f})" if links else f"tests/{f}" for f in files)
        head = (
            f"{{#{number.lower()}}}\n### {number}: {title}" if links else f"### {number}: {title}"
        )
        sections.append(f"{head}\n\n{item.asks}\n\nCode: {places}\n\nTests: {tested}\n")
    cited = [
        f"| {_cite(citation)} | {' · '.join(show(p) for p in sorted(set(places)))} |"
        for citation, places in sorted(code.citations.items())
    ]
    return f"{HEAD}\n" + "\n".join(sections) + CITATIONS + "\n".join(cited) + "\n"


def _plain(place: Place) -> str:
    name = f" `{place.name}`" if place.name else ""
    return f"{place.path}:{place.line}{name}"


def _link(place: Place) -> str:
    file = Path(place.path).name
    name = f"`{place.name}` " if place.name else ""
    return f"[{name}{file}:{place.line}](code:{place.path}#line-{place.line})"


def _cite(citation: str) -> str:
    if citation.startswith("RFC"):
        number = citation.split()[1]
        return f"[{citation}](https://www.rfc-editor.org/rfc/rfc{number})"
    return f"[{citation.partition('#')[2]}](https://{citation})"


if __name__ == "__main__":
    print(make_page(links=False))
