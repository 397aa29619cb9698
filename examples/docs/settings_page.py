"""The page of all settings, made from the classes and their docstrings."""

import dataclasses
import inspect
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
from restartice_signaling.protocol.setting import meanings, numbers_of
from restartice_signaling.server.cli import NUMBERS, option_of

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

The defaults suit most programs. Values are checked when they are given: a wrong one raises a
ValueError or a TypeError that names the field, what was expected, and what came. The options are
those of `python -m restartice_signaling`; `--max-peers 4` can also be given as the environment
variable `RESTARTICE_SIGNALING_MAX_PEERS=4`.

This page is made from the classes.
"""
# The options of the server for what isn't a number.
OPTIONS: Final[dict[tuple[type[Any], str], str]] = {
    (ServerSettings, "secret"): "--secret-file",
    (ServerSettings, "origins"): "--origin",
    (ServerSettings, "turn"): "--turn-url",
    (ServerSettings, "node"): "--node",
    (ServerSettings, "insecure"): "--insecure",
    (TurnSettings, "urls"): "--turn-url",
    (TurnSettings, "secret"): "--turn-secret-file",
}


def make_page() -> str:
    """Return the page as Markdown."""
    return HEAD + "".join(f"\n{_section(cls, use)}" for cls, use in CLASSES)


def _section(cls: type[Any], use: str) -> str:
    said = meanings(cls)
    numbers = {number.name: number for number in numbers_of(cls)}
    columns = ["setting", "default", "unit", *(["option"] if cls in NUMBERS else []), "meaning"]
    rows = [columns, ["---"] * len(columns)]
    for field in dataclasses.fields(cls):
        number, option = numbers.get(field.name), OPTIONS.get((cls, field.name), "")
        if number is not None:
            option = f"--{option_of(cls, number)}"
        cells = {
            "setting": f"`{field.name}`",
            "default": _default(field),
            "unit": _unit(field) if number is None else number.unit,
            "option": option and f"`{option}`",
            "meaning": said[field.name],
        }
        rows.append([cells[column] for column in columns])
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"## {cls.__name__}\n\n{first} {use}\n\n{table}"


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
    return str(field.metadata.get("unit") or ("s" if "float" in str(field.type) else ""))
