"""Who may import whom, and set what: downwards only, without I/O where pure, and only oneself."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "restartice"
SIGNALING = ROOT / "signaling" / "restartice_signaling"
# The rooms of the library, from top to bottom: one folder each, or one module at the top level. A
# room imports rooms below it only, those within one pair of brackets do not import each other.
ROOMS = (
    ("__init__", "__main__"),
    ("doctor", "recording", "recovery"),
    ("peerconnection",),
    ("negotiation",),
    ("media",),
    ("transports",),
    ("configuration", "sdp"),
    ("ice",),
    ("settings", "exceptions", "events", "event_loop", "observation"),
    ("seam",),
    ("logs",),
)
# Modules that decide over values alone.
PURE = {
    "doctor.diagnosis",
    "doctor.facts",
    "doctor.report",
    "ice.checks.order",
    "ice.checks.repetition",
    "ice.credentials",
    "ice.gathering.known_servers",
    "ice.gathering.mdns",
    "ice.generations",
    "ice.liveness",
    "ice.paths.doubt",
    "ice.paths.peer_moves",
    "ice.paths.preference",
    "ice.paths.round_trip",
    "ice.paths.spares",
    "ice.paths.switched",
    "negotiation.needed",
    "negotiation.signaling_state",
    "recording.dump",
    "recovery.policy",
    "transports.dcep",
    "transports.sctp_chunks",
    "transports.states",
}
NO_IO = {"asyncio", "aiortc", "aioice", "socket", "threading"}
SEAM = "seam"
# The rooms in which no module sets an attribute that a class of another module has.
WHOLE = ("ice", "media", "negotiation", "transports")
# What objects are called there that aiortc and aioice make, and change like that themselves.
NOT_OURS = {"candidate", "media", "pair", "protocol", "sctp", "view", "_view"}
# The slots of the specification, of which each is assigned by the part that its docstring names.
SLOTS = {"state"}


def imports(path: Path) -> set[str]:
    """Return what a module imports when it runs, by dotted name; leading dots are as written."""
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
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            names |= {f"{dots}{module}" for module in modules}
            # A module of a folder may be imported by name.
            if node.level and node.module:
                names |= {f"{dots}{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> dict[str, set[str]]:
    """Return what each module of the library imports, by dotted name; ours have a leading dot."""
    paths = {}
    for path in LIBRARY.rglob("*.py"):
        *folder, stem = path.relative_to(LIBRARY).with_suffix("").parts
        paths[".".join([*folder, stem] if stem != "__init__" or not folder else folder)] = path
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        folder = list(path.relative_to(LIBRARY).parts[:-1])
        found[name] = set()
        for imported in imports(path):
            levels = len(imported) - len(imported.lstrip("."))
            if not levels:
                found[name].add(imported)
                continue
            target = ".".join([*folder[: len(folder) - levels + 1], imported.lstrip(".")])
            if target in paths and target != name:
                found[name].add(f".{target}")
    return found


def own(imported: set[str]) -> set[str]:
    """Return those imports that are modules of the library."""
    return {name[1:] for name in imported if name.startswith(".")}


def levels() -> dict[str, int]:
    """Return on which floor each room is; the lowest is 0."""
    return {room: floor for floor, rooms in enumerate(reversed(ROOMS)) for room in rooms}


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    return module.split(".", maxsplit=1)[0]


def test_imports_go_one_way() -> None:
    graph = {name: own(imported) for name, imported in modules().items()}
    done: set[str] = set()
    while remaining := graph.keys() - done:
        free = {name for name in remaining if graph[name] <= done}
        assert free, f"these import each other: {sorted(remaining)}"
        done |= free


def test_each_module_is_in_a_room() -> None:
    rooms = {room_of(name) for name in modules()}
    assert rooms == {room for rooms in ROOMS for room in rooms}


def test_rooms_import_rooms_below_only() -> None:
    floor = levels()
    upwards = {
        (name, other)
        for name, imported in modules().items()
        for other in own(imported)
        if room_of(other) != room_of(name) and floor[room_of(other)] >= floor[room_of(name)]
    }
    assert not upwards


def test_the_longest_chain_of_rooms() -> None:
    graph: dict[str, set[str]] = {room: set() for rooms in ROOMS for room in rooms}
    for name, imported in modules().items():
        graph[room_of(name)] |= {room_of(other) for other in own(imported)} - {room_of(name)}
    length: dict[str, int] = {}
    for room in sorted(graph, key=levels().__getitem__):
        length[room] = 1 + max((length[below] for below in graph[room]), default=0)
    assert max(length.values()) <= 10


def test_folders_in_a_room_import_one_way() -> None:
    graph: dict[str, set[str]] = {}
    for name, imported in modules().items():
        folder = name.rpartition(".")[0]
        inside = {other.rpartition(".")[0] for other in own(imported)} - {folder}
        graph.setdefault(folder, set()).update(f for f in inside if room_of(f) == room_of(name))
    done: set[str] = set()
    while remaining := graph.keys() - done:
        free = {folder for folder in remaining if graph[folder] <= done}
        assert free, f"these import each other: {sorted(remaining)}"
        done |= free


def test_pure_modules_do_no_io() -> None:
    found = modules()
    for name in PURE:
        roots = {imported.split(".")[0] for imported in found[name]}
        assert not roots & NO_IO, name
        assert own(found[name]) <= PURE, name


def test_private_names_stand_in_the_seam_only() -> None:
    for path in LIBRARY.rglob("*.py"):
        if path.parent.stem != SEAM:
            assert "_RTCPeerConnection__" not in path.read_text(), path.stem
    assert "_RTCPeerConnection__" in (LIBRARY / SEAM / "peerconnection.py").read_text()


def test_the_library_knows_nothing_of_the_signaling() -> None:
    for name, imported in modules().items():
        assert not any("restartice_signaling" in other for other in imported), name


def test_the_signaling_uses_public_names_only() -> None:
    for path in SIGNALING.rglob("*.py"):
        for imported in imports(path):
            assert not imported.startswith("restartice."), f"{path.stem} imports {imported}"


def attributes_of_classes(tree: ast.Module) -> set[str]:
    """Return the attributes that the classes of a module declare, or set on themselves."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) == "self":
                found.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            fields = (field.target for field in node.body if isinstance(field, ast.AnnAssign))
            found |= {target.id for target in fields if isinstance(target, ast.Name)}
            methods = (method for method in node.body if isinstance(method, ast.FunctionDef))
            found |= {m.name for m in methods if m.name in map(setter_of, m.decorator_list)}
    return found


def setter_of(decorator: ast.expr) -> str | None:
    """Return the property whose setter a decorator makes, or None."""
    is_setter = isinstance(decorator, ast.Attribute) and decorator.attr == "setter"
    return ast.unparse(decorator).split(".")[0] if is_setter else None


def test_objects_are_made_whole() -> None:
    trees = {
        path: ast.parse(path.read_text())
        for room in WHOLE
        for path in (LIBRARY / room).rglob("*.py")
    }
    declared = {path: attributes_of_classes(tree) for path, tree in trees.items()}
    ours = set().union(*declared.values())
    from_outside = {
        f"{path.relative_to(LIBRARY)}: {ast.unparse(node)}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr in ours - declared[path]
        and ast.unparse(node.value).split(".")[-1] not in {"self", *NOT_OURS, *SLOTS}
    }
    assert not from_outside
