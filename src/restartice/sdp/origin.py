"""The origin line of descriptions, which tells one version from the next."""

import re
from hashlib import sha256
from secrets import randbits
from typing import Final

from aiortc.sdp import SessionDescription

__all__ = ["Origin", "alike"]

# What differs between two descriptions of the same thing: the version itself, and what is gathered.
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
        # Digests, because texts are long, and kept as long as the connection.
        self._content = b""
        self._stamped = b"", b""

    def stamp(self, description: SessionDescription) -> str:
        """Write the line into a description that was created; return that as text."""
        description.origin = before = self._line(self._version)
        text = str(description)
        content = _digest(VARIABLE.sub("", text))
        if self._content != content:
            description.origin = self._line(self._version + 1)
            text = text.replace(before, description.origin, 1)
        self._stamped = _digest(text), content
        return text

    def applied(self, description: SessionDescription, text: str) -> None:
        """Note that a description was set locally, which was given as that text."""
        # Rendering takes long, and is done already for a description that was created last.
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
    """Return whether two descriptions differ in credentials and in what is gathered only."""
    return CREDENTIALS.sub("", VARIABLE.sub("", one)) == CREDENTIALS.sub(
        "", VARIABLE.sub("", other)
    )
