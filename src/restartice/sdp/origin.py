"""The origin line of descriptions, with their version."""

import re
from hashlib import sha256
from secrets import randbits
from typing import Final

from aiortc.sdp import SessionDescription

__all__ = ["Origin", "alike"]

# The parts that may differ between descriptions of the same state: the version and the candidates.
VARIABLE: Final = re.compile(
    r"^(o=.*|c=.*|a=candidate:.*|a=end-of-candidates|a=rtcp:.*)\r\n|(?<=^m=)(\w+ \d+)", re.MULTILINE
)
CREDENTIALS: Final = re.compile(r"^a=ice-(ufrag|pwd):.*\r\n", re.MULTILINE)


class Origin:
    """The `o=` line of a connection's own descriptions.

    The session id stays the same; the version rises by one with each description that differs
    from the one before. (RFC 9429 section 5.2.1 and 5.2.2)
    """

    def __init__(self) -> None:
        self._session_id = randbits(62)
        self._version = 0
        # Digests instead of texts, to save memory.
        self._content = b""
        self._stamped = b"", b""

    def stamp(self, description: SessionDescription) -> str:
        """Set the origin line of a created description; return its text."""
        description.origin = before = self._line(self._version)
        text = str(description)
        content = _digest(VARIABLE.sub("", text))
        if self._content != content:
            description.origin = self._line(self._version + 1)
            text = text.replace(before, description.origin, 1)
        self._stamped = _digest(text), content
        return text

    def applied(self, description: SessionDescription, text: str) -> None:
        """Note that a local description was set, and the text that the program passed."""
        # Rendering takes long, and isn't needed for the last created description.
        stamped, content = self._stamped
        if _digest(text) != stamped:
            content = _digest(VARIABLE.sub("", str(description)))
        if self._content != content:
            self._version += 1
            self._content = content

    def _line(self, version: int) -> str:
        return f"- {self._session_id} {version} IN IP4 0.0.0.0"


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def alike(one: str, other: str) -> bool:
    """Return whether two descriptions differ only in credentials, candidates and version."""
    return CREDENTIALS.sub("", VARIABLE.sub("", one)) == CREDENTIALS.sub(
        "", VARIABLE.sub("", other)
    )
