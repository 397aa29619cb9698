"""The STUN and TURN servers of a configuration, each with its URL for error events."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import aiortc
from aiortc import InvalidAccessError

from ...exceptions import IceServerSyntaxError
from ...seam import ice_connection_kwargs

__all__ = [
    "RTCPeerConnectionIceErrorEvent",
    "StunServer",
    "TurnServer",
    "one_by_one",
    "read_servers",
    "validated_servers",
]

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
# Stands for an IPv6 address in a URL, which aiortc doesn't parse.
PLACEHOLDER: Final = "ipv6.invalid"
USERNAME_LIMIT: Final = 509
# (RFC 7064 section 3.1, RFC 7065 section 3.1)
SERVER_URL: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]]+)(:(?P<port>\d{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class StunServer:
    """A STUN server, which returns the source address of a request."""

    url: str
    address: tuple[str, int]

    @property
    def way(self) -> str:
        """The transport to the server, always "udp"."""
        return "udp"


@dataclass(frozen=True)
class TurnServer:
    """A TURN server, which relays packets."""

    url: str
    address: tuple[str, int]
    username: str | None
    password: str | None
    ssl: bool
    transport: str

    @property
    def way(self) -> str:
        """The transport to the server: "udp", "tcp" or "tls"."""
        return "tls" if self.ssl else self.transport


@dataclass(frozen=True)
class RTCPeerConnectionIceErrorEvent:
    """The event `icecandidateerror`: a STUN or TURN server gave no candidate.

    A TURN server that refuses to send to an address of the peer is reported, too, once for each
    address, with the code 403 and the address in the text. Some servers refuse private addresses;
    the other addresses are checked anyway.

    Attributes:
        url: The URL of the server, as configured.
        errorCode: The error code of the server, such as 401 for wrong credentials, or 701 if the
            server didn't answer.
        errorText: The server's text, or the reason why it can't be reached.
        address: The local address of the request, or None if unknown.
        port: The local port, or None if unknown, as for a TURN server.

    Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnectioniceerrorevent
    """

    url: str
    errorCode: int
    errorText: str
    address: str | None = None
    port: int | None = None


def validated_servers(servers: list[aiortc.RTCIceServer]) -> list[aiortc.RTCIceServer]:
    """Check ICE servers, and return copies.

    Raises:
        TypeError: This isn't a list of servers.
        IceServerSyntaxError: A server has no URL or a malformed one.
        InvalidAccessError: A TURN server lacks username or credential, or they can't be sent.
    """
    return [_validated(server) for server in servers]


def _validated(server: aiortc.RTCIceServer) -> aiortc.RTCIceServer:
    if not isinstance(server, aiortc.RTCIceServer):
        raise TypeError(f"expected an RTCIceServer, not {type(server).__name__}")
    urls = [server.urls] if isinstance(server.urls, str) else server.urls
    # If urls is empty, throw a SyntaxError.
    if not urls:
        raise IceServerSyntaxError("an ICE server must have at least one URL, got none")
    for url in urls:
        _check_url(url, server)
    return replace(server, urls=server.urls if isinstance(server.urls, str) else list(urls))


def _check_url(url: object, server: aiortc.RTCIceServer) -> None:
    match = SERVER_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise IceServerSyntaxError(f"invalid STUN or TURN URL: {url!r}")
    if match["scheme"].lower() in {"stun", "stuns"}:
        if match["transport"] is not None:
            raise IceServerSyntaxError(f"invalid STUN URL: {url!r} has a query")
        return
    # If scheme name is turn or turns, and either username or credential are missing, throw.
    if not isinstance(server.username, str) or not isinstance(server.credential, str):
        raise InvalidAccessError(f"{url!r} needs a username and a credential")
    try:
        username, _ = server.username.encode(), server.credential.encode()
    except UnicodeEncodeError:  # it has half of a surrogate pair
        raise InvalidAccessError(f"username or credential for {url!r} isn't Unicode") from None
    # The attribute that carries the username has a limited length. (RFC 8489 section 14.3)
    if (size := len(username)) > USERNAME_LIMIT:
        limit = f"at most {USERNAME_LIMIT} bytes"
        raise InvalidAccessError(f"the username for {url!r} must have {limit}, not {size}")


def read_servers(
    servers: list[aiortc.RTCIceServer],
) -> tuple[list[StunServer | TurnServer], dict[str, Any]]:
    """Return the servers, each once, and the other arguments for a connection.

    aiortc's function parses the URLs, one server at a time. Some programs replace this function,
    and return further arguments.

    Raises:
        ValueError: The configuration has a malformed URL.
    """
    found: list[StunServer | TurnServer] = []
    entries = []
    for url, entry in one_by_one(servers):
        readable, host = _readable(url)
        entries.append(replace(entry, urls=[readable]))
        of_this = _servers_in(url, ice_connection_kwargs(entries[-1:]))
        found += [_at(host, server) for server in of_this]
    arguments = ice_connection_kwargs(entries)
    known = {server.address for server in found} | {(PLACEHOLDER, s.address[1]) for s in found}
    found += [s for s in _servers_in("", arguments) if s.address not in known]
    others = {name: value for name, value in arguments.items() if name not in SERVER_ARGUMENTS}
    # Several URLs may mean the same server. Keep the first.
    distinct: dict[StunServer | TurnServer, StunServer | TurnServer] = {}
    for server in found:
        distinct.setdefault(replace(server, url=""), server)
    return list(distinct.values()), others


def one_by_one(
    servers: list[aiortc.RTCIceServer],
) -> Iterator[tuple[str, aiortc.RTCIceServer]]:
    """Yield each URL, with the server that it is one of."""
    for server in servers:
        for url in server.urls if isinstance(server.urls, list) else [server.urls]:
            yield url, server


def _readable(url: str) -> tuple[str, str | None]:
    """Return a URL that aiortc can parse, and the IPv6 address cut out of it, or None."""
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
