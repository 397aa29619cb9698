"""Parses JSON of the other side, and checks that any message may have."""

import json
import math
import re
from typing import Final

from ..errors import BadMessage
from .messages import MAX_NAME

__all__ = ["MAX_DEPTH", "is_identifier", "is_too_deep", "is_unicode", "load"]

IDENTIFIER: Final = re.compile(rf"[A-Za-z0-9._~-]{{1,{MAX_NAME}}}")
MAX_DEPTH: Final = 32


def load(frame: str | bytes) -> dict[str, object]:
    """Return the object in a frame.

    Raises:
        BadMessage: The frame isn't text, isn't a JSON object, or is nested too deeply.
    """
    if not isinstance(frame, str):
        raise BadMessage("a message must be a text frame, not a binary one")
    try:
        fields = _decoder.decode(frame)
    except (ValueError, RecursionError):
        raise BadMessage("a message must be JSON") from None
    if not isinstance(fields, dict):
        raise BadMessage(f"a message must be a JSON object, not {type(fields).__name__}")
    if is_too_deep(fields):
        raise BadMessage(f"a message must not be nested deeper than {MAX_DEPTH}")
    return fields


def is_unicode(value: object) -> bool:
    """Return whether a value can be encoded as UTF-8, which lone surrogates can't."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 would be infinite, which isn't JSON.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def is_too_deep(value: object) -> bool:
    """Return whether a value is nested deeper than a message may be."""
    level = [value]
    for _ in range(MAX_DEPTH):
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


def is_identifier(value: object) -> bool:
    """Return whether a value can be the id of a room, a peer or a session."""
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None
