"""Allocates relayed addresses at TURN servers, and releases them."""

import asyncio
import math
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import aioice
import aioice.ice
from aioice import stun

from ...logs import ObjectLogger
from ...seam import (
    Redirected,
    abandon_allocation,
    host_addresses,
    mobile_client,
    open_allocation,
    turn_client,
)
from ...settings import IceSettings
from .endpoints import Address, family_of, open_endpoint, ports_to_try
from .interfaces import allowed_addresses
from .redirection import Trail
from .servers import TurnServer

__all__ = [
    "Releases",
    "allocate",
    "follow",
    "hidden_address",
    "release",
    "vantage_points",
]

# The related address of a relayed candidate when the real one is to be hidden. (RFC 8839 section
# 5.1)
HIDDEN: Final = {
    socket.AF_INET: ("0.0.0.0", 9),  # noqa: S104  nothing is bound to it
    socket.AF_INET6: ("::", 9),
}
# How long a server may take to grant another allocation after it confirmed a release, in seconds.
# coturn takes up to one.
GRANT_DELAY: Final = 3.0

# The releases in progress. The event loop itself keeps only weak references to tasks.
_under_way: set[asyncio.Task[None]] = set()


def vantage_points(addresses: Mapping[int, Address], settings: IceSettings) -> list[str]:
    """Return the local addresses from which to reach a server.

    This is the address that the system would choose, if the settings allow it, and otherwise all
    allowed addresses of the same family.

    Args:
        addresses: The addresses of the server, by family.
        settings: The ICE settings.

    Raises:
        OSError: No allowed address can reach the server.
    """
    for family, address in addresses.items():
        chosen = route_to(address, family)
        if chosen is None:
            continue
        if allowed := allowed_addresses([chosen], settings.interfaces):
            return allowed
        others = (other for other in host_addresses() if family_of(other) == family)
        if allowed := allowed_addresses(list(others), settings.interfaces):
            return allowed
    raise OSError("The server can't be reached from any interface in use")


def route_to(address: Address, family: int) -> str | None:
    """Return the local address that the system uses to reach an address; None without a route."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return None
        return str(probe.getsockname()[0])


async def allocate(
    server: TurnServer,
    address: Address,
    base: str,
    settings: IceSettings,
    receiver: aioice.ice.StunProtocol,
    *,
    log: ObjectLogger,
) -> tuple[Address, Address]:
    """Ask a TURN server, or the server that it redirects to, for a relayed address.

    Args:
        server: The server.
        address: The server's address, of the same family as `base`.
        base: The local address.
        settings: The ICE settings.
        receiver: The socket that gets the packets of the relayed address.
        log: The log of the transport.

    Returns:
        The relayed address, and our address as the server sees it.

    Raises:
        OSError: The server can't be reached, or no local port is free.
        aioice.stun.TransactionError: The server refuses, or doesn't answer.
    """
    trail = Trail(address, log)
    while True:
        client = await _connect(server, trail, base, settings)
        try:
            return await open_allocation(client, receiver)
        except Redirected as hint:
            trail.follow(hint)
            points = vantage_points({family_of(base): trail.address}, settings)
            base = base if base in points else points[0]


async def follow(protocols: Iterable[Any], usable: Collection[str], settings: IceSettings) -> bool:
    """Let relayed addresses follow whose local address is gone, with the servers' tickets.

    Args:
        protocols: The sockets of a connection.
        usable: The addresses that this host has now.
        settings: Which of our ports and interfaces may be used.

    Returns:
        Whether any has followed.
    """
    stranded = [p for p in protocols if p.base is not None and p.base not in usable]
    followed = [await _follow(protocol, usable, settings) for protocol in stranded]
    return any(followed)


async def _follow(protocol: Any, usable: Collection[str], settings: IceSettings) -> bool:
    client = mobile_client(protocol.transport)
    if client is None:
        return False
    # Where the server can't be reached yet, another change of the addresses comes.
    with suppress(OSError, stun.TransactionError):
        base = vantage_points({family_of(protocol.base): client.server}, settings)[0]
        if base in usable:
            await _open_udp(client.server, base, settings.port_range, lambda: client)
            await client.show_ticket()
            protocol.base = base
            return True
    return False


def hidden_address(relayed: Address) -> Address:
    """Return a related address for a relayed candidate that hides the real one."""
    return HIDDEN[family_of(relayed[0])]


class Releases:
    """Releases allocations in the background, all of them at the same time."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended_at = -math.inf

    def begin(self, protocol: Any, timeout: float) -> None:
        """Release an allocation; wait for the server for `timeout` seconds at most."""
        task = asyncio.ensure_future(release(protocol, timeout))
        for tasks in (self._tasks, _under_way):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        task.add_done_callback(self._note_end)

    def _note_end(self, _: object) -> None:
        self._ended_at = asyncio.get_running_loop().time()

    @property
    def recent(self) -> bool:
        """Whether a release may soon allow another allocation."""
        since = asyncio.get_running_loop().time() - self._ended_at
        return bool(self._tasks) or since < GRANT_DELAY

    def use(self) -> None:
        """Note that a server has granted an allocation, which may use up a release."""
        self._ended_at = -math.inf

    async def wait(self) -> None:
        """Return when the servers have confirmed all releases, or are given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def release(protocol: Any, timeout: float) -> None:
    """Release an allocation; a dead server is given up after `timeout` seconds."""
    closing = asyncio.ensure_future(protocol.close())
    await asyncio.wait([closing], timeout=timeout)
    # aioice 0.12 keeps trying even when the connection to the server is lost.
    abandon_allocation(protocol.transport)
    await closing


async def _connect(server: TurnServer, trail: Trail, base: str, settings: IceSettings) -> Any:
    make_client = turn_client(
        server.transport,
        trail.address,
        server.username,
        server.password,
        trail.log,
        mobile=settings.turn_mobility,
    )
    if server.transport != "tcp":
        return await _open_udp(trail.address, base, settings.port_range, make_client)
    name = trail.domain or server.address[0]
    _, client = await asyncio.get_running_loop().create_connection(
        make_client,
        *trail.address,
        ssl=server.ssl,
        server_hostname=name if server.ssl else None,
        local_addr=(base, 0),
    )
    return client


async def _open_udp(
    address: Address, base: str, ports: tuple[int, int] | None, make_client: Callable[[], Any]
) -> Any:
    problem = OSError("no local port to try")
    for port in ports_to_try(ports):
        try:
            _, client = await open_endpoint(
                make_client, local_addr=(base, port), remote_addr=address
            )
        except OSError as error:
            problem = error
        else:
            return client
    raise problem
