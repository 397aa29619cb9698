"""Settings that are numbers: the unit, meaning and default of each, read from its class.

The command line, the page of all settings and the checks are made from that.
"""

import inspect
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, get_args, get_origin

__all__ = ["Setting", "check_numbers", "meanings", "numbers_of"]

ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)
RULES: Final[dict[type, str]] = {
    int: "a positive integer",
    float: "a positive number",
    tuple: "two numbers from 0 on, the smaller one first",
}


@dataclass(frozen=True)
class Setting:
    """A field of a settings class whose type is `Annotated[…, unit]`.

    Attributes:
        name: The name of the field.
        kind: `int`, `float`, or `tuple` for a range.
        unit: What it counts, such as `"s"`.
        default: The default of the field.
    """

    name: str
    kind: type
    unit: str
    default: Any

    @property
    def rule(self) -> str:
        """The requirement for a value, with its unit."""
        return f"must be {RULES[self.kind]} ({self.unit})"

    def allows(self, value: Any) -> bool:
        """Return whether a value is a positive number of the kind, or a range of two numbers."""
        if self.kind is tuple:
            is_range = isinstance(value, tuple) and len(value) == 2
            return is_range and all(map(_is_number, value)) and value[0] <= value[1]
        return _is_number(value) and value > 0 and (self.kind is float or isinstance(value, int))

    def read(self, text: str) -> Any:
        """Return the value of a text; a range has a comma between its numbers.

        Raises:
            ValueError: The text isn't a value of this kind, or its value isn't allowed.
        """
        try:
            if self.kind is tuple:
                value: Any = tuple(float(part) for part in text.split(","))
            else:
                value = self.kind(text)
        except ValueError:
            value = None
        if not self.allows(value):
            raise ValueError(f"{self.rule}, not {text!r}")
        return value


def numbers_of(cls: type[Any]) -> Iterator[Setting]:
    """Yield the settings of a class that are numbers, in order."""
    for field in fields(cls):
        if get_origin(field.type) is Annotated:
            counted, *_, unit = get_args(field.type)
            kind = get_origin(counted) or counted
            yield Setting(field.name, kind if kind in RULES else float, unit, field.default)


def check_numbers(settings: Any) -> None:
    """Check the numbers of a settings object.

    Raises:
        ValueError: A number isn't allowed. The message names it, the rule and the value.
    """
    for setting in numbers_of(type(settings)):
        value = getattr(settings, setting.name)
        if not setting.allows(value):
            raise ValueError(f"{setting.name} {setting.rule}, not {value!r}")


def meanings(cls: type[Any]) -> dict[str, str]:
    """Return the description of each attribute in the docstring of a class."""
    text = inspect.getdoc(cls) or ""
    attributes = text.partition("Attributes:\n")[2].partition("\nRaises:")[0]
    return {
        name: " ".join(description.split()) for name, description in ATTRIBUTE.findall(attributes)
    }


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf
