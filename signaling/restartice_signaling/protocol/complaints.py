"""Errors of messages, as sentences: the field, what was expected, and the type that came.

No sentence contains a value, which may be a secret.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from .messages import MAX_NAME

__all__ = ["NAME_RULE", "sentence"]

NAME_RULE: Final = "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -"

# The text of msgspec's errors: what is wrong, and the path of the field.
ERROR: Final = re.compile(r"(?s)(?P<text>.*?)(?: - at `\$(?P<path>.*)`)?\Z")
STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
KINDS: Final = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<found>[^`]*)`)?\Z")
MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
BOUND: Final = re.compile(r"Expected `\w+` (of length )?([<>]=?) (-?\d+)")
LENGTH: Final = re.compile(r"Expected `array` of length (\d+)")
JSON_NAMES: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "int | float": "number",
    "bool": "boolean",
}
WORDS: Final = re.compile(r".*A\(([a-z|]+)\)")


def sentence(error: msgspec.ValidationError, fields: dict[str, Any], kind: type[Any]) -> str:
    """Return the sentence for an error.

    Args:
        error: The error of msgspec.
        fields: The message, which may be changed.
        kind: The expected class.
    """
    text, path = _split(error)
    missing = MISSING.match(text)
    if missing is None:
        return _translate(text, path)
    # msgspec names the expected type for a null in its place.
    place: Any = fields
    for name, index in STEP.findall(path):
        place = place[name] if name else place[int(index)]
    if not isinstance(place, dict):
        return f"{missing[1]} is missing"
    place[missing[1]] = None
    try:
        msgspec.convert(fields, kind)
    except msgspec.ValidationError as other:
        return _translate(*_split(other))
    return f"{missing[1]} is missing"


def _split(error: msgspec.ValidationError) -> tuple[str, str]:
    found = ERROR.match(str(error))
    assert found is not None
    return found["text"], found["path"] or ""


def _translate(text: str, path: str) -> str:
    names = [name for name, _ in STEP.findall(path) if name]
    name = names[-1] if names else "a message"
    if found := KINDS.match(text):
        return _of_kinds(name, found["expected"], found["found"], path)
    if found := WORDS.match(text):
        return f"{name} must be one of {found[1].replace('|', ', ')}"
    if found := LENGTH.match(text):
        return f"{name} must have {found[1]} items"
    if found := BOUND.match(text):
        return _of_bound(name, *found.groups())
    return text


def _of_kinds(name: str, expected: str, found: str | None, path: str) -> str:
    wanted = " or ".join(dict.fromkeys(_json_names(expected)))
    came = "" if found is None else f", not {JSON_NAMES.get(found, found)}"
    if found == "null":
        came = ", and is missing"
    if path.endswith("]"):
        return f"{name} must contain {wanted}s{came}"
    return f"{name} must be of type {wanted}{came}"


def _json_names(expected: str) -> Iterator[str]:
    expected = expected.replace("int | float", "float")
    for name in expected.split(" | "):
        if name != "null":
            yield JSON_NAMES.get(name, name)


def _of_bound(name: str, length: str | None, sign: str, bound: str) -> str:
    if length and bound == str(MAX_NAME):
        return f"{name} {NAME_RULE}"
    if length:
        return f"{name} must not be longer than {bound}"
    if name == "seq":
        return "seq must count from 1"
    if sign.startswith("<"):
        return f"{name} must not be too large: {bound} at most"
    return f"{name} must not be negative or too small: {sign} {bound}"
