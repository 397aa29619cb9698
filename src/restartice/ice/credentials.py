"""ICE credentials as one value."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["IceCredentials"]

# Those of ICE, and those that libwebrtc takes beside them. RFC 8839 has only the former.
ACCEPTED_CHARS: Final = re.compile("[A-Za-z0-9+/=#_-]*")
UFRAG_LENGTH = 8
PASSWORD_LENGTH = 24


def random_ice_chars(length: int) -> str:
    """Return that many ice-chars from a cryptographic source, 6 bits of randomness each.

    Args:
        length: A multiple of 4. The ice-chars are the alphabet of base64, which makes 4 of 3 bytes.
    """
    return base64.b64encode(secrets.token_bytes(length // 4 * 3)).decode("ascii")


@dataclass(frozen=True)
class IceCredentials:
    """The username fragment and the password of one ICE generation.

    Two descriptions belong to the same generation if these are equal, wherever they stand in the
    SDP: moving a value between session and media level is no restart. (RFC 8839 section 4.4.1.1.1)
    """

    ufrag: str
    password: str

    @property
    def well_formed(self) -> bool:
        """Whether there are only ice-chars in it, or those that many a peer uses beside them.

        Departure: `=`, `-`, `_` and `#` are accepted, which come from peers that write base64 with
        its padding, base64url, or a UUID. (RFC 8839 section 5.4)
        """
        return ACCEPTED_CHARS.fullmatch(self.ufrag + self.password) is not None

    @classmethod
    def generate(cls) -> Self:
        """Make new ones.

        The username fragment MUST contain at least 24 bits of randomness, the password at least
        128. Ours have 48 and 144. (RFC 8445 section 5.3)
        """
        return cls(random_ice_chars(UFRAG_LENGTH), random_ice_chars(PASSWORD_LENGTH))
