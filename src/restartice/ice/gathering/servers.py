"""The STUN and TURN servers of a configuration, each with the URL that errors name it by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import aiortc

from ...seam import ice_connection_kwargs

__all__ = ["RTCPeerConnectionIceErrorEvent", "StunServer", "TurnServer", "read_servers"]

SERVER_ARGUMENTS: Final = frozenset(
    {
        "stun_server",
        "turn_server",
        "turn_username",
        "turn_password",
        "turn_ssl",
        "turn_transport",
    }
)
# In place of an IPv6 address in a URL.
PLACEHOLDER: Final = "ipv6.invalid"


@dataclass(frozen=True)
class StunServer:
    """A server that tells the address that the network sees of us."""

    url: str
    address: tuple[str, int]


@dataclass(frozen=True)
class TurnServer:
    """A server that relays."""

    url: str
    address: tuple[str, int]
    username: str | None
    password: str | None
    ssl: bool
    transport: str

    @property
    def way(self) -> str:
        """How packets get there: "udp", "tcp" or "tls"."""
        return "tls" if self.ssl else self.transport


@dataclass(frozen=True)
class RTCPeerConnectionIceErrorEvent:
    """What `icecandidateerror` tells of a STUN or TURN server that gave no candidate.

    It also tells of a TURN server that refuses to send to an address of the other side, once for
    each of them; the code is 403, and the address is in the text. Where that is the policy of the
    server, as for private addresses, the other addresses are checked all the same.

    Attributes:
        url: The server's URL, as configured.
        errorCode: The code of the server's answer, such as 401 for wrong credentials, or 701 if it
            didn't answer.
        errorText: What the server said, or why it couldn't be reached.
        address: The local address that the server was asked from, or None if that isn't known.
        port: The local port, or None.

    Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnectioniceerrorevent
    """

    url: str
    errorCode: int
    errorText: str
    address: str | None = None
    port: int | None = None


def read_servers(
    servers: list[aiortc.RTCIceServer],
) -> tuple[list[StunServer | TurnServer], dict[str, Any]]:
    """Return the servers, each once, and the other arguments for a connection.

    What a URL means is for aiortc's function to say, which reads one server at a time; some
    programs have it replaced, and make it return more.

    Raises:
        ValueError: A URL is malformed, which is the configuration's mistake.
    """
    found: list[StunServer | TurnServer] = []
    entries = []
    for url, entry in _one_by_one(servers):
        readable, host = _readable(url)
        entries.append(replace(entry, urls=[readable]))
        of_this = _servers_in(url, ice_connection_kwargs(entries[-1:]))
        found += [_at(host, server) for server in of_this]
    arguments = ice_connection_kwargs(entries)
    known = {server.address for server in found} | {(PLACEHOLDER, s.address[1]) for s in found}
    found += [s for s in _servers_in("", arguments) if s.address not in known]
    others = {name: value for name, value in arguments.items() if name not in SERVER_ARGUMENTS}
    # A server may be listed by several URLs that mean the same, of which the first is kept.
    distinct: dict[StunServer | TurnServer, StunServer | TurnServer] = {}
    for server in found:
        distinct.setdefault(replace(server, url=""), server)
    return list(distinct.values()), others


def _one_by_one(
    servers: list[aiortc.RTCIceServer],
) -> Iterator[tuple[str, aiortc.RTCIceServer]]:
    for server in servers:
        for url in server.urls if isinstance(server.urls, list) else [server.urls]:
            yield url, server


def _readable(url: str) -> tuple[str, str | None]:
    """Return the URL as aiortc reads it, and the IPv6 address that it doesn't read."""
    scheme, colon, rest = url.partition(":")
    host, bracket, after = rest.partition("]")
    if host.startswith("[") and bracket:
        return f"{scheme.lower()}:{PLACEHOLDER}{after}", host[1:]
    return f"{scheme.lower()}{colon}{rest}", None


def _at(host: str | None, server: StunServer | TurnServer) -> StunServer | TurnServer:
    return server if host is None else replace(server, address=(host, server.address[1]))


def _servers_in(url: str, arguments: dict[str, Any]) -> Iterator[StunServer | TurnServer]:
    if (address := arguments.get("stun_server")) is not None:
        yield StunServer(url, address)
    if (address := arguments.get("turn_server")) is not None:
        yield TurnServer(
            url,
            address,
            arguments.get("turn_username"),
            arguments.get("turn_password"),
            ssl=bool(arguments.get("turn_ssl")),
            transport=arguments.get("turn_transport", "udp"),
        )
