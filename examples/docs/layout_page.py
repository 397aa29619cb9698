"""The page that shows how the code is laid out: the rooms, what each is for, and who imports whom.

It is made from layout_template.md and from the code's imports and docstrings whenever the
documentation is built. Run it as a program to read it without building anything:
`python examples/docs/layout_page.py`.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = (ROOT / "src" / "restartice", ROOT / "signaling" / "restartice_signaling")
TEMPLATE: Final = Path(__file__).with_name("layout_template.md")
BOX, GAP, ROW, FONT = 150, 26, 84, 13


@dataclass(frozen=True)
class Module:
    """A module of a package.

    Attributes:
        name: Dotted, below the package; that of a folder for its `__init__`.
        path: Its file.
        sentence: The first line of its docstring.
        imports: The names of the modules of the same package that it imports when it runs.
    """

    name: str
    path: Path
    sentence: str
    imports: frozenset[str]

    @property
    def room(self) -> str:
        """The room that it is in."""
        return self.name.split(".")[0]


def read_modules(package: Path) -> list[Module]:
    """Return the modules of a package."""
    paths = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return [_read(name, path, package, paths) for name, path in paths.items()]


def _name(path: Path, package: Path) -> str:
    *folder, stem = path.relative_to(package).with_suffix("").parts
    return ".".join(folder if stem == "__init__" and folder else [*folder, stem])


def _read(name: str, path: Path, package: Path, known: Mapping[str, Path]) -> Module:
    tree = ast.parse(path.read_text("utf-8"))
    folder = list(path.relative_to(package).parts[:-1])
    found: set[str] = set()
    for node in _running(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1]
            module = [*base, *(node.module or "").split(".")] if node.module else base
            found.add(".".join(module))
            found |= {".".join([*module, alias.name]) for alias in node.names}
    sentence = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Module(name, path, sentence, frozenset((found & known.keys()) - {name}))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of what isn't there for the type checker only."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _running(node)


def rooms_of(modules: list[Module]) -> dict[str, set[str]]:
    """Return which rooms each room imports."""
    room = {module.name: module.room for module in modules}
    graph: dict[str, set[str]] = {module.room: set() for module in modules}
    for module in modules:
        graph[module.room] |= {room[name] for name in module.imports} - {module.room}
    return graph


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """Return the floor of each room: 0 imports nothing.

    Raises:
        ValueError: Rooms import each other.
    """
    found: dict[str, int] = {}
    while len(found) < len(graph):
        free = [r for r, below in graph.items() if r not in found and below <= found.keys()]
        if not free:
            raise ValueError(f"rooms that import each other: {sorted(graph.keys() - found.keys())}")
        for room in free:
            found[room] = 1 + max((found[b] for b in graph[room]), default=-1)
    return found


def direct(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without arrows for which there is a longer way."""

    def reach(room: str) -> set[str]:
        return graph[room].union(*(reach(below) for below in graph[room]))

    return {
        room: below - set().union(*(reach(other) for other in below))
        for room, below in graph.items()
    }


def draw(graph: dict[str, set[str]], title: str) -> str:
    """Return the rooms as SVG, the highest floor on top."""
    floor = floors(graph)
    rows: dict[int, list[str]] = {}
    for room in sorted(graph):
        rows.setdefault(floor[room], []).append(room)
    width = max(len(row) for row in rows.values()) * (BOX + GAP) + GAP
    top = max(rows)
    middle = {
        room: (width / 2 + (place - (len(row) - 1) / 2) * (BOX + GAP), (top - number) * ROW + 30)
        for number, row in rows.items()
        for place, room in enumerate(row)
    }
    arrows = [
        _arrow(*middle[room], *middle[below])
        for room, others in direct(graph).items()
        for below in sorted(others)
    ]
    boxes = [_box(room, *middle[room]) for room in graph]
    return (
        f'<svg class="drawing" viewBox="0 0 {width} {top * ROW + 60}" role="img" '
        f'aria-label="The rooms of {escape(title)}" font-size="{FONT}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(arrows + boxes)}</svg>'
    )


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    end = to_y - 18
    return (
        f'<line class="lane" x1="{x:.0f}" y1="{y + 16:.0f}" x2="{to_x:.0f}" y2="{end - 6:.0f}"/>'
        f'<path class="tip" d="M{to_x:.0f} {end:.0f} l-5 -9 h10 Z"/>'
    )


def _box(room: str, x: float, y: float) -> str:
    return (
        f'<rect class="head" x="{x - BOX / 2:.0f}" y="{y - 16:.0f}" width="{BOX}" height="32" '
        f'rx="6"/><text class="name" x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">'
        f"{escape(room)}</text>"
    )


def make_page(*, links: bool = False) -> str:
    """Return the page as Markdown.

    Args:
        links: Whether modules link to the pages of their code; the drawings are left out if not.
    """
    parts: list[str] = []
    for package in PACKAGES:
        modules = read_modules(package)
        graph = rooms_of(modules)
        parts.append(f"\n## {package.name}\n")
        if links:
            parts.append(f"\n<div>{draw(graph, package.name)}</div>\n")
        for room in sorted(graph, key=lambda room: (-floors(graph)[room], room)):
            parts += _section(room, [m for m in modules if m.room == room], links=links)
    return TEMPLATE.read_text("utf-8").replace("{rooms}\n", "".join(parts).strip() + "\n")


def _section(room: str, modules: list[Module], *, links: bool) -> Iterator[str]:
    yield f"\n### `{room}`\n\n"
    first, *others = sorted(modules, key=lambda module: module.name)
    yield f"{first.sentence}\n"
    if others:
        yield "\n| module | |\n|---|---|\n"
    for module in others:
        name = module.name.removeprefix(f"{room}.").replace(".", "/")
        path = module.path.relative_to(ROOT).as_posix()
        label = f"[`{name}`](code:{path})" if links else f"`{name}`"
        yield f"| {label} | {module.sentence} |\n"


if __name__ == "__main__":
    print(make_page())
