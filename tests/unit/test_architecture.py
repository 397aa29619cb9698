"""Who may import whom: modules import downwards only, and the pure ones do no I/O."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "restartice"
SIGNALING = ROOT / "signaling" / "restartice_signaling"
# Modules that decide over values alone.
PURE = {
    "candidatecosts",
    "checkorder",
    "consent",
    "credentials",
    "dcep",
    "generations",
    "mdns",
    "negotiation",
    "sctpchunks",
    "states",
}
NO_IO = {"asyncio", "aiortc", "aioice", "socket", "threading"}


def imports(path: Path) -> set[str]:
    """Return what a module imports when it runs, by dotted name; a leading dot is the package."""
    tree = ast.parse(path.read_text())
    checked_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in checked_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            names |= {f".{module}" for module in modules}
    return names


def modules() -> dict[str, set[str]]:
    """Return what each module of the library imports; those in folders have dotted names."""
    found: dict[str, set[str]] = {}
    for path in LIBRARY.rglob("*.py"):
        *folder, stem = path.relative_to(LIBRARY).with_suffix("").parts
        inside = [] if stem == "__init__" and folder else [stem]
        prefix = "".join(f"{name}." for name in folder)
        found[".".join([*folder, *inside])] = {
            f".{prefix}{name[1:]}" if name.startswith(".") else name for name in imports(path)
        }
    return found


def test_imports_go_one_way() -> None:
    graph = {
        name: {other[1:] for other in imported if other.startswith(".")}
        for name, imported in modules().items()
    }
    done: set[str] = set()
    while remaining := graph.keys() - done:
        free = {name for name in remaining if graph[name] <= done}
        assert free, f"these import each other: {sorted(remaining)}"
        done |= free


def test_pure_modules_do_no_io() -> None:
    found = modules()
    for name in PURE & found.keys():
        roots = {imported.split(".")[0] for imported in found[name]}
        assert not roots & NO_IO, name
        assert {i[1:] for i in found[name] if i.startswith(".")} <= PURE, name
    assert {"credentials", "negotiation", "states"} <= found.keys()


def test_private_names_stand_in_the_seam_only() -> None:
    for path in LIBRARY.rglob("*.py"):
        if path.parent.stem != "internals":
            assert "_RTCPeerConnection__" not in path.read_text(), path.stem
    assert "_RTCPeerConnection__" in (LIBRARY / "internals" / "connection.py").read_text()


def test_the_library_knows_nothing_of_the_signaling() -> None:
    for name, imported in modules().items():
        assert not any("restartice_signaling" in other for other in imported), name


def test_the_signaling_uses_public_names_only() -> None:
    for path in SIGNALING.rglob("*.py"):
        for imported in imports(path):
            assert not imported.startswith("restartice."), f"{path.stem} imports {imported}"
