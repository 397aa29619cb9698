"""Room tokens: the room, the peer id, the rights and the expiry that each one grants."""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from ..errors import ServerError
from ..protocol.fields import is_identifier, is_unicode
from .rooms.interface import ALL_RIGHTS

__all__ = ["ALL_RIGHTS", "Grant", "make_token", "read_token"]

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "rtc-signal"
# The size of the hash (RFC 7518 section 3.2).
MIN_SECRET: Final = 32
MAX_JTI: Final = 256
# The default, in seconds.
LIFETIME: Final = 3600.0
# The end of the year 9999, the last that `datetime` has.
MAX_TIME: Final = 253_402_300_800


@dataclass(frozen=True)
class Grant:
    """The permissions that a token gives in one room.

    Attributes:
        peer: The only peer id that may use it, or None for any.
        rights: A subset of ALL_RIGHTS.
        once: The id of the token if it admits a client only once, else None.
        expire: The Unix time at which it expires.
        several: Whether the token is for several rooms.
    """

    peer: str | None = None
    rights: frozenset[str] = ALL_RIGHTS
    once: str | None = None
    expire: float = 0.0
    several: bool = False


def check_secret(secret: str) -> None:
    """Refuse a secret that can be guessed.

    Raises:
        ValueError: The secret is too short; white space around it doesn't count.
    """
    size = len(secret.strip().encode())
    if size < MIN_SECRET:
        raise ValueError(f"the secret must have at least {MIN_SECRET} bytes, not {size}")


def make_token(
    secret: str,
    room: str,
    *,
    peer: str | None = None,
    rights: Iterable[str] = ALL_RIGHTS,
    lifetime: float = LIFETIME,
    once: bool = False,
) -> str:
    """Return a token for a room.

    Args:
        secret: The secret of the server, at least 32 bytes.
        room: The name of the room; a `*` at its end stands for any rest.
        peer: The only peer id that may use the token. It replaces a connection that has this id,
            for example that of the same program before a restart.
        rights: The kinds of messages that the peer may send: `"signal"`, `"custom"` or both.
        lifetime: How many seconds the token is valid. A client that has joined stays after that.
        once: Whether the token admits a client only once. The client can still resume.

    Raises:
        ValueError: The secret is too short, a right is unknown, the peer id is invalid, or the
            lifetime isn't a finite number of seconds.
    """
    check_secret(secret)
    if peer is not None and not is_identifier(peer):
        raise ValueError(f"peer must be 1 to 64 of A-Z a-z 0-9 . _ ~ -, not {peer!r}")
    expire = time.time() + lifetime
    # NaN fails this, too.
    if not 0 <= expire < MAX_TIME:
        raise ValueError(
            f"lifetime must be a number of seconds that ends before the year 10000, not {lifetime}"
        )
    rights = sorted(set(rights))
    if not set(rights) <= ALL_RIGHTS:
        raise ValueError(f"rights must be some of {', '.join(sorted(ALL_RIGHTS))}, not {rights}")
    claims: dict[str, Any] = {
        "aud": AUDIENCE,
        "exp": int(expire),
        "room": room,
        "rights": rights,
    }
    if peer is not None:
        claims["sub"] = peer
    if once:
        claims |= {"jti": secrets.token_hex(16), "once": True}
    return jwt.encode(claims, secret, ALGORITHM)


def read_token(secret: str, token: str | None, room: str) -> Grant:
    """Return what a token allows in a room.

    Raises:
        ServerError: The token is invalid, has expired, or is for another room.
    """
    if token is None:
        raise ServerError("auth", "a token is needed")
    try:
        claims = jwt.decode(
            token,
            secret,
            [ALGORITHM],
            audience=AUDIENCE,
            # The subject is checked below, as a peer id.
            options={"require": ["exp", "aud", "room", "rights"], "verify_sub": False},
        )
    except jwt.ExpiredSignatureError:
        raise ServerError("auth", "the token has expired") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
        raise ServerError("auth", "the token is not valid") from None
    if not _is_for(claims["room"], room):
        raise ServerError("auth", "the token is for another room")
    return Grant(
        peer=_read_peer(claims.get("sub")),
        rights=_read_rights(claims["rights"]),
        once=_read_once(claims),
        expire=_read_time(claims["exp"]),
        several=claims["room"].endswith("*"),
    )


def _not_valid(what: str) -> ServerError:
    return ServerError("auth", f"the token is not valid: {what}")


def _read_peer(subject: object) -> str | None:
    if subject is None or (isinstance(subject, str) and is_identifier(subject)):
        return subject
    raise _not_valid("sub must be a peer id")


def _read_rights(rights: object) -> frozenset[str]:
    if not isinstance(rights, list):
        raise _not_valid("rights must be a list")
    return frozenset(right for right in rights if isinstance(right, str)) & ALL_RIGHTS


def _read_once(claims: Mapping[str, Any]) -> str | None:
    once, name = claims.get("once", False), claims.get("jti")
    if once is None or once is False:
        return None
    if once is not True or not isinstance(name, str) or not 0 < len(name) <= MAX_JTI:
        raise _not_valid("once must be true, with a jti")
    if not is_unicode(name):
        raise _not_valid("jti must be Unicode")
    return name


def _read_time(expire: object) -> float:
    is_number = isinstance(expire, int | float) and not isinstance(expire, bool)
    if not is_number or not 0 <= expire < MAX_TIME:  # type: ignore[operator]
        raise _not_valid("exp must be a Unix time")
    return float(expire)  # type: ignore[arg-type]


def _is_for(pattern: object, room: str) -> bool:
    if not isinstance(pattern, str):
        return False
    if pattern.endswith("*"):
        return room.startswith(pattern[:-1])
    return room == pattern
