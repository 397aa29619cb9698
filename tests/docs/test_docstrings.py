"""The docstrings of all public names say what a caller needs to know."""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from types import ModuleType
from typing import Any

import pytest
from pyee.base import EventEmitter

import restartice
import restartice_signaling
from restartice_signaling import http_signaling, whip

SECTION = re.compile(r"^(\w+):\n((?:    .*\n|\n)+)", re.MULTILINE)
SOURCE = re.compile(r"^Spec: https://\S+#\S+$|\(RFC \d{4}", re.MULTILINE)
UNIT = re.compile(r"\b(milli|micro)?seconds?\b|\bbytes\b|\bcharacters\b|\bbits\b|\bfactor\b")
# The types of what has one: times, rates, factors, sizes.
MEASURED = re.compile(r"\bfloat\b|, '(s|bytes|characters)'\]")
# Verbs whose object is what a method returns.
MAKING = (
    "Return",
    "Yield",
    "Create",
    "Generate",
    "Add",
    "Make",
    "Read",
    "Copy",
    "Say",
    "Run",
    "Serve",
)
# What a program doesn't make itself; aiortc's own arguments are for aiortc.
MADE_BY_A_CONNECTION = ("Gatherer", "Transport", "Receiver", "Sender", "Transceiver")
# What it gives to a server without calling it.
NOT_CALLED = {"restartice_signaling.MemoryBackend"}


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield what the packages export of their own, and what their classes have of their own."""
    for package in (restartice, restartice_signaling, http_signaling, whip):
        for name in package.__all__:
            thing = getattr(package, name)
            if is_ours(thing, package):
                yield f"{package.__name__}.{name}", thing
                if isinstance(thing, type) and f"{package.__name__}.{name}" not in NOT_CALLED:
                    yield from members(f"{package.__name__}.{name}", thing)


def is_ours(thing: Any, package: ModuleType) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(package.__name__.partition(".")[0])


def members(owner: str, cls: type) -> Iterator[tuple[str, Any]]:
    inherited: dict[str, Any] = {}
    for base in reversed(cls.mro()):
        # Those of aiortc are described by its documentation.
        if base.__module__.startswith("restartice"):
            inherited |= vars(base)
    for name, member in inherited.items():
        # What the specification doesn't have of its classes is for the other modules, and what all
        # emitters of events have is pyee's.
        if (
            name.startswith("_")
            or hasattr(EventEmitter, name)
            or (cls.__name__.startswith("RTC") and "_" in name)
        ):
            continue
        if isinstance(member, property):
            yield f"{owner}.{name}", member.fget
        else:
            function = getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield f"{owner}.{name}", function


NAMES = dict(public_names())
FUNCTIONS = {name: thing for name, thing in NAMES.items() if inspect.isfunction(thing)}
CLASSES = {name: thing for name, thing in NAMES.items() if isinstance(thing, type)}


def docstring(thing: Any) -> str:
    return (inspect.getdoc(thing) or "") + "\n"


def section(thing: Any, title: str) -> set[str]:
    """Return the names that a section of a docstring lists."""
    sections = dict(SECTION.findall(docstring(thing)))
    return set(re.findall(r"^    (\w+):", sections.get(title, ""), re.MULTILINE))


def parameters(thing: Any) -> list[str]:
    return [name for name in inspect.signature(thing).parameters if name not in {"self", "cls"}]


@pytest.mark.parametrize("name", NAMES)
def test_begins_with_a_sentence(name: str) -> None:
    first = docstring(NAMES[name]).partition("\n")[0]
    assert first.endswith((".", ":", '."')), first


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_parameters_and_no_others_are_described(name: str) -> None:
    function = FUNCTIONS[name]
    assert section(function, "Args") == set(parameters(function))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_measured_has_its_unit(name: str) -> None:
    """In its own line, or for all in what precedes the sections."""
    thing = NAMES[name]
    text = docstring(thing)
    described: dict[str, str] = {}
    for _, lines in SECTION.findall(text):
        described |= dict(re.findall(r"^    (\w+): (.*\n(?:        .*\n)*)", lines, re.MULTILINE))
    general = text.partition("\nArgs:\n")[0].partition("\nAttributes:\n")[0]
    for field, kind in types_of(thing).items():
        if MEASURED.search(str(kind)):
            told = described.get(field, "") if field != "return" else ""
            assert UNIT.search(told + general), field


def types_of(thing: Any) -> dict[str, Any]:
    """Return the types of a class's own fields, or of a function's arguments and its result."""
    if isinstance(thing, type):
        return dict(vars(thing).get("__annotations__", {}))
    return dict(getattr(inspect.unwrap(thing), "__annotations__", {}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_result_is_described(name: str) -> None:
    function = FUNCTIONS[name]
    result = inspect.signature(function).return_annotation
    is_property = inspect.isfunction(getattr(function, "fget", None))
    if result in {None, "None", inspect.Signature.empty} or is_property:
        return
    text = docstring(function)
    assert text.startswith((*MAKING, "The ", "Whether ", "Our ", '`"')) or "Returns:" in text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_it_raises_is_described(name: str) -> None:
    function = FUNCTIONS[name]
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    assert raised - section(function, "Raises") - {"NotImplementedError"} == set()


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_class_is_made_of_is_described(name: str) -> None:
    cls = CLASSES[name]
    listed = section(cls, "Args") | section(cls, "Attributes")
    if dataclasses.is_dataclass(cls):
        inherited = {
            f.name for b in cls.__bases__ if dataclasses.is_dataclass(b) for f in fields(b)
        }
        assert {field.name for field in fields(cls) if field.init} <= listed | inherited
    elif issubclass(cls, Exception) or name.endswith(MADE_BY_A_CONNECTION):
        return
    elif getattr(cls, "_is_protocol", False):
        return  # nobody makes one
    elif "__init__" in vars(cls):
        assert set(parameters(cls)) <= listed


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("restartice.")])
def test_names_of_the_specification_say_where_it_has_them(name: str) -> None:
    last = name.rpartition(".")[2]
    if last.startswith("RTC") or re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", last):
        assert SOURCE.search(docstring(NAMES[name]))
