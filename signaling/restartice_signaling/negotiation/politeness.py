"""Compares certificates, to decide between two offers, and answers, to notice repeated ones."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["content_of", "fingerprints_in", "gives_way", "ufrags_in"]

UFRAG: Final = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
FINGERPRINT: Final = re.compile(r"^a=fingerprint:sha-256 (\S+)", re.MULTILINE | re.IGNORECASE)
# The lines that may differ in two answers to the same offer.
VARIABLE: Final = re.compile(
    r"^(o=.*|c=.*|a=candidate:.*|a=end-of-candidates|a=rtcp:.*)\r?\n|(?<=^m=)(\w+ \d+)",
    re.MULTILINE,
)


def ufrags_in(sdp: str) -> set[str]:
    """Return the username fragments in a description."""
    return set(UFRAG.findall(sdp))


def fingerprints_in(sdp: str) -> set[str]:
    """Return the SHA-256 fingerprints of certificates in a description, in upper case."""
    return {value.upper() for value in FINGERPRINT.findall(sdp)}


def gives_way(ours: Iterable[str], offer: str) -> bool:
    """Return whether our certificate has the higher fingerprint, so this side is polite.

    Both sides know both certificates, so both come to the same result.

    Args:
        ours: The SHA-256 fingerprints of our certificates.
        offer: The other side's offer.
    """
    return max((value.upper() for value in ours), default="") > max(
        fingerprints_in(offer), default=""
    )


def content_of(sdp: str) -> str:
    """Return a description without the lines that may differ in two answers to an offer."""
    return VARIABLE.sub("", sdp)
