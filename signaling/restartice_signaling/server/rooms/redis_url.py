"""URLs of Redis, and of the Sentinels that know which of several is the primary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["Sentinels", "read_sentinels"]

PORT: Final = 26379
SCHEMES: Final = {"redis+sentinel": False, "rediss+sentinel": True}
FORM: Final = "redis+sentinel://HOST:PORT,HOST:PORT/NAME/DATABASE"
# What the query of a URL may have, and what it is for a Sentinel.
SENTINEL_OPTIONS: Final = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True)
class Sentinels:
    """Where Sentinels are, and what they are asked for.

    Attributes:
        addresses: The host and port of each.
        service: The name of the primary in their configuration.
        options: The arguments of connections to Redis.
        sentinel_options: The arguments of connections to Sentinels.
    """

    addresses: Sequence[tuple[str, int]]
    service: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)


def read_sentinels(url: str) -> Sentinels | None:
    """Return the Sentinels of a URL, or None if it is the URL of a Redis.

    A user name and password before the hosts are those of Redis, `sentinel_username` and
    `sentinel_password` in the query those of the Sentinels. With `rediss+sentinel` both have TLS.

    Raises:
        ValueError: It begins like a URL of Sentinels, but isn't one.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    try:
        addresses = [_read_address(host) for host in hosts.split(",")]
        options: dict[str, Any] = {"db": int(database or 0)}
        asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
        sentinel_options: dict[str, Any] = {
            SENTINEL_OPTIONS[name]: value for name, (value,) in asked.items()
        }
    except (ValueError, KeyError):
        addresses = []
    if not addresses or not service:
        # Without the URL, which may have a password.
        raise ValueError(f"the URL of Sentinels must have the form {FORM}")
    for name, value in (("username", username), ("password", password)):
        if value:
            options[name] = unquote(value)
    if SCHEMES[parts.scheme]:
        options["ssl"] = sentinel_options["ssl"] = True
    return Sentinels(addresses, unquote(service), options, sentinel_options)


def _read_address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError(text)
    return parts.hostname, parts.port or PORT
