"""Reading JSON objects that somebody else made: every field is checked before it is used."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..errors import BadMessage

__all__ = [
    "JsonObject",
    "identifier",
    "is_identifier",
    "is_unicode",
    "load",
    "non_negative",
    "number",
    "one_of",
    "sequence_number",
    "take",
]

JsonObject: TypeAlias = Mapping[str, Any]

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
MAX_DEPTH: Final = 32
# What a browser's numbers hold.
MAX_INTEGER: Final = 2**53
JSON_NAMES: Final = {
    str: "string",
    int: "integer",
    bool: "boolean",
    dict: "object",
    list: "array",
}


def load(frame: str | bytes) -> JsonObject:
    """Return the object in a frame.

    Raises:
        BadMessage: It isn't a text frame, no JSON object, or nested too deeply.
    """
    if not isinstance(frame, str):
        raise BadMessage("a message must be a text frame")
    try:
        fields = _decoder.decode(frame)
    except (ValueError, RecursionError):
        raise BadMessage("a message must be JSON") from None
    if not isinstance(fields, dict):
        raise BadMessage("a message must be a JSON object")
    # What has no more brackets can't be nested any deeper.
    may_exceed = frame.count("{") + frame.count("[") > MAX_DEPTH
    if may_exceed and _depth_exceeds(fields, MAX_DEPTH):
        raise BadMessage(f"a message must not be nested deeper than {MAX_DEPTH}")
    return fields


def is_unicode(value: object) -> bool:
    """Say if no text in a value, or in what it contains, has half of a character.

    JSON can write a lone surrogate, which nothing that speaks UTF-8 can take.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 would be infinite, which can't be sent on.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def take(fields: JsonObject, name: str, kind: type, default: Any = ...) -> Any:
    """Return a field, which must be of a type; null and nothing stand for the default."""
    value = fields.get(name)
    if value is None and default is not ...:
        return default
    good = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not good:
        raise BadMessage(f"{name} must be of type {JSON_NAMES[kind]}")
    return value


def is_identifier(value: object) -> bool:
    """Say if something can name a room, a peer or a session."""
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None


def identifier(fields: JsonObject, name: str, default: Any = ...) -> Any:
    """Return a field that names something."""
    value = fields.get(name)
    if value is None and default is not ...:
        return default
    if not isinstance(value, str):
        raise BadMessage(f"{name} must be of type string")
    if not is_identifier(value):
        raise BadMessage(f"{name} must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    return value


def one_of(fields: JsonObject, name: str, allowed: frozenset[str]) -> str:
    """Return a field that is one of some words."""
    value: str = take(fields, name, str)
    if value not in allowed:
        raise BadMessage(f"{name} must be one of {', '.join(sorted(allowed))}")
    return value


def sequence_number(fields: JsonObject) -> int:
    """Return `seq`, which counts from 1."""
    seq: int = take(fields, "seq", int)
    if not 1 <= seq < MAX_INTEGER:
        raise BadMessage("seq must count from 1")
    return seq


def non_negative(fields: JsonObject, name: str, default: Any = ...) -> Any:
    """Return a count."""
    value = take(fields, name, int, default)
    if isinstance(value, int) and not 0 <= value < MAX_INTEGER:
        raise BadMessage(f"{name} must not be negative or too large")
    return value


def number(fields: JsonObject, name: str, default: Any = ...) -> Any:
    """Return a number, whole or not."""
    value = fields.get(name)
    if value is None and default is not ...:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMessage(f"{name} must be of type number")
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        raise BadMessage(f"{name} must not be too large")
    return value
