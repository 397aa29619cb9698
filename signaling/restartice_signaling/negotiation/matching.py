"""Matches answers to their offers, whatever carries them and however late.

SDP doesn't say which offer an answer is for. A Negotiator's answer names it in an attribute, which
others ignore; answers without it are compared.
"""

import re
from typing import Final

__all__ = ["content_of", "names_another", "with_attribute", "with_offer_named"]

# The session id and the version, which differs in each description of a connection.
ORIGIN: Final = re.compile(r"^o=\S+ (\S+ \S+)", re.MULTILINE)
OFFER: Final = re.compile(r"^a=x-restartice-offer:(\S+ \S+)", re.MULTILINE)
# The lines that may differ in two answers to the same offer.
VARIABLE: Final = re.compile(
    r"^(o=.*|c=.*|a=candidate:.*|a=end-of-candidates|a=rtcp:.*)\r?\n|(?<=^m=)(\w+ \d+)",
    re.MULTILINE,
)


def with_attribute(sdp: str, attribute: str) -> str:
    """Return a description with one more attribute of the session."""
    session, media, rest = sdp.partition("\r\nm=")
    return f"{session.rstrip()}\r\na={attribute}\r\n{media.lstrip()}{rest}"


def with_offer_named(answer: str, offer: str) -> str:
    """Return an answer that names its offer."""
    origin = ORIGIN.search(offer)
    if origin is None:
        return answer
    return with_attribute(answer, f"x-restartice-offer:{origin[1]}")


def names_another(answer: str, offer: str) -> bool | None:
    """Return whether an answer names another offer of the same connection; None if it names none.

    It counts as naming none if the session id differs, as that may be changed on the way.
    """
    named, origin = OFFER.search(answer), ORIGIN.search(offer)
    if named is None or origin is None:
        return None
    (session, version), (ours, our_version) = named[1].split(), origin[1].split()
    return version != our_version if session == ours else None


def content_of(answer: str) -> str:
    """Return an answer without the lines that may differ in two answers to an offer."""
    return VARIABLE.sub("", answer)
