"""The STUN and TURN servers of a configuration, each with the URL that errors name it by."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiortc

from .internals import ice_connection_kwargs

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


@dataclass(frozen=True)
class RTCPeerConnectionIceErrorEvent:
    """What `icecandidateerror` tells of a STUN or TURN server that gave no candidate.

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
    arguments = ice_connection_kwargs(servers)
    found = [
        server
        for url, entry in _one_by_one(servers)
        for server in _servers_in(url, ice_connection_kwargs([entry]))
    ]
    known = {server.address for server in found}
    found += [s for s in _servers_in("", arguments) if s.address not in known]
    others = {name: value for name, value in arguments.items() if name not in SERVER_ARGUMENTS}
    return list(dict.fromkeys(found)), others


def _one_by_one(
    servers: list[aiortc.RTCIceServer],
) -> Iterator[tuple[str, aiortc.RTCIceServer]]:
    for server in servers:
        for url in server.urls if isinstance(server.urls, list) else [server.urls]:
            yield (
                url,
                aiortc.RTCIceServer(
                    urls=[url],
                    username=server.username,
                    credential=server.credential,
                    credentialType=server.credentialType,
                ),
            )


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
