"""Room tokens: who may enter which room, until when, and what they may send there."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import jwt

from .errors import ServerError

__all__ = ["ALL_RIGHTS", "Grant", "make_token", "read_token"]

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "rtc-signal"
# `signal` is for descriptions and candidates, `custom` for what applications send.
ALL_RIGHTS: Final = frozenset({"signal", "custom"})
# As many bytes as the hash has (RFC 7518 section 3.2).
MIN_SECRET: Final = 32


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
        ValueError: The secret is too short, or there is no such right.
    """
    check_secret(secret)
    rights = sorted(set(rights))
    if not set(rights) <= ALL_RIGHTS:
        raise ValueError(f"rights are some of {', '.join(sorted(ALL_RIGHTS))}")
    claims: dict[str, Any] = {
        "aud": AUDIENCE,
        "exp": int(time.time() + lifetime),
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
            options={"require": ["exp", "aud", "room", "rights"]},
        )
    except jwt.ExpiredSignatureError:
        raise ServerError("auth", "the token has expired") from None
    except (jwt.InvalidTokenError, ValueError):
        raise ServerError("auth", "the token is not valid") from None
    if not _is_for(claims["room"], room):
        raise ServerError("auth", "the token is for another room")
    if not isinstance(claims["rights"], list):
        raise ServerError("auth", "the token is not valid")
    return Grant(
        peer=claims.get("sub"),
        rights=frozenset(map(str, claims["rights"])) & ALL_RIGHTS,
        once=claims.get("jti") if claims.get("once") else None,
        expire=float(claims["exp"]),
    )


def _is_for(pattern: object, room: str) -> bool:
    if not isinstance(pattern, str):
        return False
    if pattern.endswith("*"):
        return room.startswith(pattern[:-1])
    return room == pattern
