"""Who may import whom in the signaling: downwards only, and client and server never each other."""

from pathlib import Path

from ..test_architecture import NO_IO, SIGNALING, imports

# From top to bottom: a room imports rooms below it only, and none beside it.
FLOORS = (
    ("__init__", "__main__"),
    ("server", "negotiation", "http_signaling", "whip", "fastapi_webrtc"),
    ("over_http",),
    ("client",),
    ("protocol",),
    ("errors", "sockets", "cancellation"),
)
FLOOR = {room: number for number, rooms in enumerate(reversed(FLOORS)) for room in rooms}
# What a room imports of those below, if not any.
ONLY = {
    "server": {"protocol", "errors", "sockets", "cancellation"},
    "client": {"protocol", "errors", "sockets", "cancellation"},
    "negotiation": {"client", "protocol", "errors", "cancellation"},
    "http_signaling": {"over_http", "client", "errors"},
    "whip": {"over_http", "client", "errors"},
    "fastapi_webrtc": set(),
    "over_http": {"client", "errors", "cancellation"},
    "protocol": {"errors"},
}
PURE = {
    *(path.relative_to(SIGNALING) for path in (SIGNALING / "protocol").glob("*.py")),
    Path("negotiation/politeness.py"),
    Path("server/admission.py"),
    Path("server/rooms/fleet.py"),
}


# These, too, but for the values that aiortc has for them.
CLIENTS = {Path("client/session.py"), Path("client/events.py")}


def graph() -> dict[Path, set[Path]]:
    """Return which modules each module of the package imports when it runs, as files."""
    found: dict[Path, set[Path]] = {}
    for path in SIGNALING.rglob("*.py"):
        found[path.relative_to(SIGNALING)] = set()
        for name in imports(path):
            level = len(name) - len(name.lstrip("."))
            if not level:
                continue
            target = [path, *path.parents][level].joinpath(*name.lstrip(".").split("."))
            for file in (target.with_suffix(".py"), target / "__init__.py"):
                if file.exists() and file != path:
                    found[path.relative_to(SIGNALING)].add(file.relative_to(SIGNALING))
    return found


def room_of(path: Path) -> str:
    """Return the folder, or the module, at the top of the package."""
    return path.parts[0].removesuffix(".py")


def test_rooms_import_rooms_below_only() -> None:
    modules = graph()
    assert {room_of(path) for path in modules} == FLOOR.keys()
    for path, others in modules.items():
        room = room_of(path)
        below = {room_of(other) for other in others} - {room}
        allowed = ONLY.get(room, {other for other in FLOOR if FLOOR[other] < FLOOR[room]})
        assert below <= allowed, path
    assert sum(map(len, modules.values())) > 100


def test_the_negotiator_needs_the_events_of_a_client_only() -> None:
    modules = graph()
    negotiation = {path for path in modules if room_of(path) == "negotiation"}
    used = set[Path]().union(*(modules[path] for path in negotiation))
    assert {path for path in used if room_of(path) == "client"} == {Path("client/events.py")}
    for path in negotiation:
        assert not {name.partition(".")[0] for name in imports(SIGNALING / path)} & {"websockets"}


def test_modules_and_folders_import_one_way() -> None:
    modules = graph()
    folders: dict[Path, set[Path]] = {}
    for path, others in modules.items():
        inside = {other.parent for other in others} - {path.parent}
        folders.setdefault(path.parent, set()).update(inside)
    for remaining in (modules, {k: v for k, v in folders.items() if k != Path()}):
        done: set[Path] = set()
        while left := remaining.keys() - done:
            free = {node for node in left if remaining[node] - {Path()} <= done}
            assert free, f"these import each other: {sorted(map(str, left))}"
            done |= free


def test_pure_modules_do_no_io() -> None:
    modules = graph()
    pure = PURE | CLIENTS
    for path in pure:
        roots = {name.partition(".")[0] for name in imports(SIGNALING / path)}
        allowed = {"aiortc"} if path in CLIENTS else set()
        assert not roots & (NO_IO | {"websockets", "redis"}) - allowed, path
        assert {other for other in modules[path] if room_of(other) != "errors"} <= pure, path
