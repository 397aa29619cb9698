"""URLs of STUN and TURN servers (RFC 7064, RFC 7065)."""

import re
from typing import Final

__all__ = ["is_ice_url"]

# Neither RFC allows credentials, a path, or slashes.
ICE_URL: Final = re.compile(
    r"(?:stuns?|(?P<turn>turns?)):"
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<transport>\?transport=(?:udp|tcp))?",
    re.IGNORECASE,
)
MAX_PORT: Final = 65535


def is_ice_url(url: str) -> bool:
    """Return whether a text is the URL of a STUN or TURN server (RFC 7065 section 3.1)."""
    found = ICE_URL.fullmatch(url)
    if found is None or (found["transport"] and not found["turn"]):
        return False
    return found["port"] is None or 0 < int(found["port"]) <= MAX_PORT
