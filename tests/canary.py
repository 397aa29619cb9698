"""Imports restartice without each of the private names that it uses, one at a time.

Prints what each import said, as JSON. It is a program of its own: after aiortc is imported, a child
process for each name takes the name away from aiortc or aioice, and imports restartice.
"""

import importlib
import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any

# What restartice imports first, and what its seam looks into.
LOADED = (
    "aioice.ice",
    "aioice.turn",
    "aiortc.rtcicetransport",
    "aiortc.jitterbuffer",
    "restartice",
)


def names_in_use() -> list[tuple[str, str, str]]:
    """Return module, class if any, and name, of each that the seam requires."""
    from restartice.seam import names as seam  # noqa: PLC0415  only in a child process

    return [
        (owner.__name__, "", name)
        if isinstance(owner, ModuleType)
        else (owner.__module__, owner.__qualname__, name)
        for owner, name in seam.required_names
    ]


def take_away(module: str, class_name: str, name: str) -> None:
    """Let a class or module lose a name, as if its authors had renamed it."""
    owner: Any = sys.modules[module]
    if class_name:
        owner = getattr(owner, class_name)
    bases = owner.__mro__ if class_name else (owner,)
    for base in bases:
        if name in vars(base):
            delattr(base, name)
            return
    declared = [vars(base).get("__annotations__", {}).pop(name, None) for base in bases]
    if any(declared) and name not in owner.__init__.__code__.co_names:
        return
    # It is assigned when an instance is made.
    owner.__init__.__code__ = without(owner.__init__.__code__, name)


def without(code: CodeType, name: str) -> CodeType:
    """Return code in which a name is another."""
    assert name in code.co_names
    return code.replace(co_names=tuple(f"{n}_moved" if n == name else n for n in code.co_names))


def import_without(*name: str) -> str:
    """Return what an import says without a name, or nothing."""
    take_away(*name)
    try:
        importlib.import_module("restartice")
    except Exception as error:  # noqa: BLE001  that's the answer
        return f"{type(error).__name__}: {error}"
    return ""


def in_child(function: Any, *arguments: str) -> Any:
    """Return what a function returns in a child process."""
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            result = json.loads(pipe.read())
        os.waitpid(child, 0)
        return result
    with os.fdopen(writing, "w") as pipe:
        json.dump(function(*arguments), pipe)
    os._exit(0)


if __name__ == "__main__":
    for loaded in LOADED[:-1]:
        importlib.import_module(loaded)
    names = [tuple(name) for name in in_child(names_in_use)]
    json.dump(
        [[*name, in_child(import_without, *name)] for name in dict.fromkeys(names)], sys.stdout
    )
