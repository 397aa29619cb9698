"""Who may join without a token: those of this machine, whom no proxy has let in from elsewhere."""

import ipaddress
from typing import Final

from websockets.datastructures import Headers

__all__ = ["comes_from_elsewhere", "is_loopback"]

# What proxies add (RFC 7239; RFC 9110 section 7.6.3; and what was there before them).
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
    """Say if only this machine can reach an address."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def comes_from_elsewhere(headers: Headers) -> bool:
    """Say if a request that came over loopback says that it was meant for another machine.

    A proxy that changes `Host` and adds nothing can't be noticed.
    """
    if any(name in headers for name in PROXY_HEADERS):
        return True
    return not all(is_loopback(_host_of(value)) for value in headers.get_all("Host"))


def _host_of(authority: str) -> str:
    """Return the host of `host:port`, where an IPv6 address stands in brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
