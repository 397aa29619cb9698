"""The page of all settings, made from the classes and their docstrings."""

import dataclasses
import inspect
import re
from dataclasses import MISSING
from typing import Any, Final

from restartice import IceSettings, RecoverySettings
from restartice_signaling import (
    BackendLimits,
    Heartbeat,
    Limits,
    ServerSettings,
    TurnSettings,
)

CLASSES: Final[tuple[tuple[type[Any], str], ...]] = (
    (IceSettings, "Given as `RTCPeerConnection(iceSettings=IceSettings(…))`."),
    (
        RecoverySettings,
        "Given as `AutomaticRestart(pc, RecoverySettings(…))`, or `Negotiator(…, recovery=…)`.",
    ),
    (ServerSettings, "Given as `serve(host, port, ServerSettings(…))`, or on the command line."),
    (Limits, "Given as `ServerSettings(limits=Limits(…))`."),
    (BackendLimits, "Given as `ServerSettings(rooms=BackendLimits(…))`."),
    (Heartbeat, "Given as `ServerSettings(heartbeat=Heartbeat(…))`."),
    (TurnSettings, "Given as `ServerSettings(turn=TurnSettings(…))`."),
)
HEAD: Final = """\
# Settings

All defaults are meant to be kept; a program that sets nothing is well served. Values are checked
when given: one that makes no sense is a ValueError or a TypeError that names the field.

This page is made from the classes.
"""
# Of what isn't a time.
UNITS: Final = {
    "port_range": "UDP ports",
    "probes": "requests",
    "drain_limit": "generations",
    "spares": "pairs",
    "rate": "messages/s",
    "burst": "messages",
    "max_message_size": "bytes",
    "max_unacknowledged": "messages",
    "max_buffered": "characters",
    "max_total_buffered": "characters",
    "max_meta": "characters",
    "max_peers": "peers",
    "max_rooms": "rooms",
    "max_sessions": "sessions",
    "max_connections": "connections",
    "max_pending": "connections",
    "newcomers": "connections/s",
}
ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)


def make_page() -> str:
    """Return the page as Markdown."""
    return HEAD + "".join(f"\n{_section(cls, use)}" for cls, use in CLASSES)


def meanings(cls: type[Any]) -> dict[str, str]:
    """Return what a class says of its attributes."""
    text = inspect.getdoc(cls) or ""
    attributes = text.partition("Attributes:\n")[2].partition("\nRaises:")[0]
    return {
        name: " ".join(description.split()) for name, description in ATTRIBUTE.findall(attributes)
    }


def _section(cls: type[Any], use: str) -> str:
    said = meanings(cls)
    rows = [
        f"| `{field.name}` | {_default(field)} | {_unit(field)} | {said[field.name]} |"
        for field in dataclasses.fields(cls)
    ]
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    head = "| setting | default | unit | meaning |\n|---|---|---|---|\n"
    return f"## {cls.__name__}\n\n{first} {use}\n\n{head}" + "\n".join(rows) + "\n"


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is not MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is MISSING:
        return "none: must be given"
    made = field.default_factory()
    if dataclasses.is_dataclass(made):
        return f"[`{type(made).__name__}()`](#{type(made).__name__.lower()})"
    return "made at random"


def _unit(field: "dataclasses.Field[Any]") -> str:
    return UNITS.get(field.name) or ("s" if "float" in str(field.type) else "")
