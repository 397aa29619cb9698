"""A pytest plugin, for `-p substitution`, which runs aiortc's tests on restartice's classes.

It does what a program does that moves to restartice: each name that a test module has imported from
aiortc, and that restartice has a class of its own for, means that class. aiortc is left as it is.
"""

import sys
from types import ModuleType

import aiortc
import pytest

import restartice

OURS = {
    name: getattr(restartice, name)
    for name in restartice.__all__
    if hasattr(aiortc, name) and getattr(aiortc, name) is not getattr(restartice, name)
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Replace the names in the test modules, which are all imported by now."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "tests"]
    substituted = {name for module in modules for name in substitute(module)}
    if any("test_rtcpeerconnection" in item.nodeid for item in items):
        assert "RTCPeerConnection" in substituted, "nothing was put in place of aiortc's class"


def substitute(module: ModuleType) -> list[str]:
    """Let a module's names mean restartice's classes where they mean aiortc's."""
    names = [name for name in OURS if vars(module).get(name) is getattr(aiortc, name)]
    for name in names:
        setattr(module, name, OURS[name])
    return names
