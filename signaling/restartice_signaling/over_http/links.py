"""The links in the headers of a response (RFC 8288 section 3)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Link", "read_links"]

TARGET: Final = re.compile(r"[\s,]*<([^<>]*)>")
PARAMETER: Final = re.compile(
    r'\s*;\s*([^\s=;,"<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?'
)
END: Final = re.compile(r"\s*(?:,|$)")
REST: Final = re.compile(r"[\s,]*$")


@dataclass(frozen=True)
class Link:
    """A link: its target as it stands there, and its parameters, by names in lower case."""

    target: str
    parameters: dict[str, str]

    def has_rel(self, relation: str) -> bool:
        """Return whether it is one of a relation."""
        return relation in self.parameters.get("rel", "").lower().split()


def read_links(headers: Iterable[str]) -> Iterator[Link]:
    """Yield the links of headers.

    Args:
        headers: The values of the headers `Link`.

    Raises:
        ValueError: One of them is malformed. What stands before it counts.
    """
    for text in headers:
        position = 0
        while not REST.match(text, position):
            target = TARGET.match(text, position)
            if target is None:
                raise ValueError(f"expected <URL> at character {position}")
            parameters: dict[str, str] = {}
            position = target.end()
            while (found := PARAMETER.match(text, position)) is not None:
                name, quoted, plain = found.groups()
                value = plain or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                # The first one counts.
                parameters.setdefault(name.lower(), value)
                position = found.end()
            end = END.match(text, position)
            if end is None:
                raise ValueError(f"expected a parameter or a comma at character {position}")
            position = end.end()
            yield Link(target[1], parameters)
