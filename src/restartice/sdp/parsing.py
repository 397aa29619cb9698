"""Parses session descriptions tolerantly, line by line, on the original text.

Malformed attributes are skipped, except the lines that begin a media section, map payload types, or
describe DTLS and SCTP.
"""

import re
from typing import Final

from aiortc import RTCSessionDescription
from aiortc.sdp import GroupDescription

from ..exceptions import SdpSyntaxError
from ..ice.candidate import is_unicode
from .limits import check_size
from .model import Description
from .section import DISCARD_HOST
from .section_reader import FOR_ALL, SectionReader, read_attribute, read_host, syntax_error

__all__ = ["parse"]

# A line, other than an empty one, that doesn't begin like one of SDP.
MALFORMED: Final = re.compile(r"^(?!$|[a-z]=)", re.MULTILINE)
NO_ORIGIN: Final = f"- 0 0 IN IP4 {DISCARD_HOST}"
VERSION: Final = re.compile(r"v=\d+\s*")
# What the lines of the session say, by the letter they begin with.
FIELDS: Final = {"o": "origin", "s": "name", "t": "time"}


def parse(description: RTCSessionDescription) -> Description:
    """Parse a session description.

    Raises:
        SdpSyntaxError: The text is malformed. The message names the line.
        InvalidContentError: The text is too large.
    """
    check_size(description.sdp)
    parsed = Description()
    parsed.type = description.type
    reader = _Reader(parsed)
    reader.read(_lines(description.sdp))
    parsed.origin = parsed.origin or NO_ORIGIN
    return parsed


def _lines(text: str) -> list[str]:
    text = text.replace("\r\n", "\n").removesuffix("\r")
    lines = text.split("\n")
    if "\r" in text:
        number = next(number for number, line in enumerate(lines, 1) if "\r" in line)
        message = f"SDP syntax error in line {number}: lines must end with CR and LF"
        raise SdpSyntaxError(message, number)
    if not VERSION.fullmatch(lines[0]):
        raise syntax_error(1, lines[0], "v=0")
    if MALFORMED.search(text) or not is_unicode(text):
        number, line = next(
            (number, line)
            for number, line in enumerate(lines, 1)
            if MALFORMED.match(line) or not is_unicode(line)
        )
        raise syntax_error(number, line, "a letter, '=' and Unicode text")
    # aiortc splits lines at other characters, too, such as U+2028.
    if len(text.splitlines()) == len(lines) - (not lines[-1]):
        return lines
    return [" ".join(line.splitlines()) for line in lines]


class _Reader:
    """Reads the lines of a description."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._for_all: list[tuple[int, str]] = []

    def read(self, lines: list[str]) -> None:
        section: SectionReader | None = None
        for number, line in enumerate(lines, 1):
            if line[:1] == "m":
                if section is not None:
                    section.end()
                section = SectionReader(number, line, self._for_all)
                self._description.media.append(section.section)
            elif section is not None:
                section.read(number, line)
            else:
                self._read_session(number, line)
        if section is not None:
            section.end()

    def _read_session(self, number: int, line: str) -> None:
        kind = line[:1]
        if kind == "a":
            self._read_attribute(number, line)
        elif kind == "c":
            self._description.host = read_host(line[2:])
        elif kind in FIELDS:
            setattr(self._description, FIELDS[kind], line[2:].strip())

    def _read_attribute(self, number: int, line: str) -> None:
        name, value = read_attribute(line)
        description = self._description
        if name in FOR_ALL:
            self._for_all.append((number, line))
        elif name == "ice-options" and value:
            description.ice_options = value
        elif name in {"group", "msid-semantic"} and (fields := value.split()):
            semantic, *items = fields
            group = GroupDescription(semantic.upper(), [*items])
            (description.group if name == "group" else description.msid_semantic).append(group)
            if name == "group" and group.semantic == "BUNDLE" and description.group_line is None:
                description.group_line = number
