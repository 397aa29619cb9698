"""Tells clients of this machine, which may join without a token, from those behind a proxy."""

import ipaddress
from typing import Final

from websockets.datastructures import Headers

__all__ = ["LOOPBACK", "comes_from_elsewhere", "is_loopback"]

# Where a server listens by default.
LOOPBACK: Final = "127.0.0.1"
# Headers that proxies add (RFC 7239; RFC 9110 section 7.6.3; and older ones).
PROXY_HEADERS: Final = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def comes_from_elsewhere(headers: Headers) -> bool:
    """Return whether the headers of a request over loopback show that a proxy passed it on.

    A proxy that changes `Host` and adds no header isn't detected.
    """
    if any(name in headers for name in PROXY_HEADERS):
        return True
    return not all(is_loopback(_host_of(value)) for value in headers.get_all("Host"))


def _host_of(authority: str) -> str:
    """Return the host of `host:port`, without the brackets of an IPv6 address."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
