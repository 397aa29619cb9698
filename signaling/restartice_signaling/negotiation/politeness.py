"""Compares certificates, to decide between two offers."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["fingerprints_in", "gives_way", "ufrags_in"]

UFRAG: Final = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
FINGERPRINT: Final = re.compile(r"^a=fingerprint:sha-256 (\S+)", re.MULTILINE | re.IGNORECASE)


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
