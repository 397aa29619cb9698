"""Room tokens: who may enter which room, until when, and what they may send there."""

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
# As many bytes as the hash has (RFC 7518 section 3.2).
MIN_SECRET: Final = 32
MAX_JTI: Final = 256
# The end of the year 9999, the last that a date can have.
MAX_TIME: Final = 253_402_300_800


@dataclass(frozen=True)
class Grant:
    """What a token allows in one room.

    Attributes:
        peer: The only id that it is for, or None for any.
        rights: A subset of ALL_RIGHTS.
        once: An id if it lets in only once, else None.
        expire: Until when (Unix time) it lets in.
    """

    peer: str | None = None
    rights: frozenset[str] = ALL_RIGHTS
    once: str | None = None
    expire: float = 0.0


def check_secret(secret: str) -> None:
    """Refuse a secret that can be guessed.

    Raises:
        ValueError: It is too short; white space around it doesn't count.
    """
    if len(secret.strip().encode()) < MIN_SECRET:
        raise ValueError(f"the secret must have at least {MIN_SECRET} bytes")


def make_token(
    secret: str,
    room: str,
    *,
    peer: str | None = None,
    rights: Iterable[str] = ALL_RIGHTS,
    lifetime: float = 3600.0,
    once: bool = False,
) -> str:
    """Return a token for a room.

    Args:
        secret: The server's, at least 32 bytes.
        room: The room's name; a `*` at the end stands for any end.
        peer: The only peer id that it is for. That peer may take its place again when its program
            has been started anew.
        rights: Which of `"signal"` and `"custom"` it may send.
        lifetime: For how many seconds it lets in. It doesn't throw out.
        once: Whether it lets in only once. A client can resume all the same.

    Raises:
        ValueError: The secret is too short, there is no such right, the peer can't have that id, or
            the lifetime is no number of seconds.
    """
    check_secret(secret)
    if peer is not None and not is_identifier(peer):
        raise ValueError(f"a peer can't have the id {peer!r}: 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    expire = time.time() + lifetime
    # What isn't a number fails this, too.
    if not 0 <= expire < MAX_TIME:
        raise ValueError(f"no token can hold for {lifetime} s")
    rights = sorted(set(rights))
    if not set(rights) <= ALL_RIGHTS:
        raise ValueError(f"rights are some of {', '.join(sorted(ALL_RIGHTS))}")
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
        ServerError: It isn't one of ours, has expired, or is for another room.
    """
    if token is None:
        raise ServerError("auth", "a token is needed")
    try:
        claims = jwt.decode(
            token,
            secret,
            [ALGORITHM],
            audience=AUDIENCE,
            # The subject is checked below, as an id of a peer.
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
    )


def _not_valid(what: str) -> ServerError:
    return ServerError("auth", f"the token is not valid: {what}")


def _read_peer(subject: object) -> str | None:
    if subject is None or (isinstance(subject, str) and is_identifier(subject)):
        return subject
    raise _not_valid("sub can't be the id of a peer")


def _read_rights(rights: object) -> frozenset[str]:
    if not isinstance(rights, list):
        raise _not_valid("rights must be a list")
    return frozenset(right for right in rights if isinstance(right, str)) & ALL_RIGHTS


def _read_once(claims: Mapping[str, Any]) -> str | None:
    once, name = claims.get("once", False), claims.get("jti")
    if once is None or once is False:
        return None
    if once is not True or not isinstance(name, str) or not 0 < len(name) <= MAX_JTI:
        raise _not_valid("once must be true, with a jti that names the token")
    if not is_unicode(name):
        raise _not_valid("jti must be Unicode")
    return name


def _read_time(expire: object) -> float:
    is_number = isinstance(expire, int | float) and not isinstance(expire, bool)
    if not is_number or not 0 <= expire < MAX_TIME:  # type: ignore[operator]
        raise _not_valid("exp is no time")
    return float(expire)  # type: ignore[arg-type]


def _is_for(pattern: object, room: str) -> bool:
    if not isinstance(pattern, str):
        return False
    if pattern.endswith("*"):
        return room.startswith(pattern[:-1])
    return room == pattern
