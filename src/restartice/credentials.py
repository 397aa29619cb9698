"""ICE credentials as one value."""

import secrets
import string
from dataclasses import dataclass
from typing import Self

__all__ = ["IceCredentials"]

ICE_CHARS = string.ascii_letters + string.digits + "+/"
UFRAG_LENGTH = 8
PASSWORD_LENGTH = 24


def random_ice_chars(length: int) -> str:
    """Return that many ice-chars from a cryptographic source, 6 bits of randomness each."""
    return "".join(secrets.choice(ICE_CHARS) for _ in range(length))


@dataclass(frozen=True)
class IceCredentials:
    """The username fragment and the password of one ICE generation.

    Two descriptions belong to the same generation if these are equal, wherever they stand in the
    SDP: moving a value between session and media level is no restart. (RFC 8839 section 4.4.1.1.1)
    """

    ufrag: str
    password: str

    @classmethod
    def generate(cls) -> Self:
        """Make new ones.

        The username fragment MUST contain at least 24 bits of randomness, the password at least
        128. Ours have 48 and 144. (RFC 8445 section 5.3)
        """
        return cls(random_ice_chars(UFRAG_LENGTH), random_ice_chars(PASSWORD_LENGTH))
