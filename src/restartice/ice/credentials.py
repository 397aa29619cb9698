"""ICE credentials: a username fragment and a password."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["IceCredentials"]

# The ice-chars of RFC 8839, and the others that libwebrtc accepts.
ACCEPTED_CHARS: Final = re.compile("[A-Za-z0-9+/=#_-]*")
UFRAG_LENGTH = 8
PASSWORD_LENGTH = 24


def random_ice_chars(length: int) -> str:
    """Return random ice-chars from a cryptographic source, with 6 bits each.

    Args:
        length: A multiple of 4. The ice-chars are the alphabet of base64, which makes 4 of 3 bytes.
    """
    return base64.b64encode(secrets.token_bytes(length // 4 * 3)).decode("ascii")


@dataclass(frozen=True)
class IceCredentials:
    """The username fragment and the password of one ICE generation.

    Two descriptions belong to the same generation if their credentials are equal. Moving a value
    between session and media level isn't a restart. (RFC 8839 section 4.4.1.1.1)
    """

    ufrag: str
    password: str

    @property
    def well_formed(self) -> bool:
        """Whether all characters are ice-chars, or others that some peers use.

        Departure: `=`, `-`, `_` and `#` are accepted, because some peers use base64 with padding,
        base64url, or a UUID. (RFC 8839 section 5.4)
        """
        return ACCEPTED_CHARS.fullmatch(self.ufrag + self.password) is not None

    @classmethod
    def generate(cls) -> Self:
        """Make new credentials.

        The username fragment MUST contain at least 24 bits of randomness, the password at least
        128. Ours have 48 and 144. (RFC 8445 section 5.3)
        """
        return cls(random_ice_chars(UFRAG_LENGTH), random_ice_chars(PASSWORD_LENGTH))
