"""A pytest plugin, for `-p on_loopback`: aiortc's tests talk to nothing outside of this machine."""

import socket
from typing import Any

import aioice.ice

LOCAL = {"localhost", "127.0.0.1", "::1"}
resolve = socket.getaddrinfo


def pytest_configure() -> None:
    """Gather on 127.0.0.1 only, and look up no names, such as that of aiortc's STUN server."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # noqa: ARG005
    socket.getaddrinfo = resolve_local


def resolve_local(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
    """Resolve an address; a name fails as it does without a network."""
    if host not in LOCAL:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not looked up in tests")
    return resolve(host, *args, **kwargs)
