"""Each slot of a connection is assigned by its owner alone, and by the parts that it names."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from restartice.negotiation.state import State

LIBRARY = Path(__file__).parents[3] / "src" / "restartice"
FOLDERS = ("negotiation", "transports")
ENTRY = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
# By which names parts know the record.
STATE = {"state", "_state", "view", "_view"}
# Puts all slots back as they were, in whosever name.
RESTORING = "Snapshot"
MUTATORS = {
    *("add", "append", "clear", "discard", "extend", "insert", "intersection_update", "pop"),
    *("remove", "setdefault", "sort", "update"),
}


def owners() -> dict[str, set[str]]:
    """Return which classes may assign each slot, as the record says itself."""
    found = {}
    for name, text in ENTRY.findall(inspect.getdoc(State) or ""):
        who = re.search(r"Assigned\s+by\s+([\w,\s]+)\.", text)
        assert who, f"{name} has no owner"
        found[name] = set(re.split(r",\s+", who[1]))
    return found


def last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def changed(node: ast.AST) -> ast.Attribute | None:
    """Return the attribute that a node assigns, or whose value it changes, or None."""
    target: ast.AST = node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value if node.func.attr in MUTATORS else node
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        target = node.value
    elif not (isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)):
        return None
    return target if isinstance(target, ast.Attribute) else None


def changes(source: str) -> Iterator[tuple[str, ast.Attribute]]:
    """Yield what is changed in a module, each with the class that does it."""
    tree = ast.parse(source)
    inside = {
        node: block.name
        for block in ast.walk(tree)
        if isinstance(block, ast.ClassDef)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if (attribute := changed(node)) is not None:
            yield inside.get(node, "no class"), attribute


def writers(source: str) -> set[tuple[str, str]]:
    """Return which slots of the record are changed in a module, and in which classes."""
    return {(a.attr, who) for who, a in changes(source) if last_name(a.value) in STATE}


def reached_into(source: str) -> set[str]:
    """Return the attributes of its parts that a class in a module assigns."""
    return {
        ast.unparse(attribute)
        for _, attribute in changes(source)
        if isinstance(attribute.ctx, ast.Store)
        and isinstance(attribute.value, ast.Attribute)
        # What is behind a public object is the same thing as that.
        and last_name(attribute.value) not in {*STATE, "viewed"}
        and ast.unparse(attribute).startswith("self.")
    }


def sources() -> list[str]:
    paths = [path for folder in FOLDERS for path in (LIBRARY / folder).glob("*.py")]
    return [path.read_text() for path in [*paths, LIBRARY / "peerconnection.py"]]


def test_each_slot_is_assigned_by_those_whom_the_record_names() -> None:
    found: dict[str, set[str]] = {}
    for source in sources():
        for slot, who in writers(source):
            if who not in {RESTORING, State.__name__}:
                found.setdefault(slot, set()).add(who)
    assert found == owners()


def test_all_slots_stand_in_the_record_by_their_names() -> None:
    text = inspect.getdoc(State) or ""
    source = inspect.getsource(State.__init__)
    for attribute in re.findall(r"self\.(\w+)", source):
        assert attribute in owners()
    for slot in re.findall(r"\[\[(\w+)\]\]", "".join(sources())):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", slot).lower()
        assert f"[[{slot}]]" in text or name not in owners(), slot
    assert len(set(re.findall(r"\[\[\w+\]\]", text))) > 15


def test_no_part_assigns_an_attribute_of_another_one() -> None:
    assert set().union(*map(reached_into, sources())) == set()


@pytest.mark.parametrize(
    "line",
    [
        "self._state.signaling_state = 'stable'",
        "self.core.state.signaling_state = 'stable'",
        "state.signaling_state, other = 'stable', 1",
        "state.signaling_state += 'stable'",
        "del view.signaling_state",
        "state.signaling_state.append(1)",
        "state.signaling_state[:] = []",
        "del state.signaling_state[0]",
        "self.state.signaling_state: str = 'stable'",
    ],
)
def test_an_assignment_by_another_part_is_seen(line: str) -> None:
    assert writers(f"class Offers:\n    def f(self):\n        {line}") == {
        ("signaling_state", "Offers")
    }


@pytest.mark.parametrize("line", ["x = state.remote", "state.remote.parse()", "remote = 1"])
def test_reading_is_no_assignment(line: str) -> None:
    assert writers(f"class Offers:\n    def f(self):\n        {line}") == set()


@pytest.mark.parametrize("line", ["self.outcome._abandoned = []", "self.a.b.c, x = 1, 2"])
def test_an_assignment_to_a_part_is_seen(line: str) -> None:
    assert len(reached_into(f"class Offers:\n    def f(self):\n        {line}")) == 1
