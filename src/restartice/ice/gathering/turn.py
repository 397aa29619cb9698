"""Relayed addresses: where a TURN server is asked from, asking it, and giving back what it gave."""

import asyncio
import math
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import aioice
import aioice.ice

from ...seam import Redirected, abandon_allocation, host_addresses, open_allocation, turn_client
from ...settings import IceSettings
from .endpoints import Address, family_of, open_endpoint, ports_to_try
from .interfaces import allowed_addresses
from .redirection import Trail
from .servers import TurnServer

__all__ = [
    "Releases",
    "allocate",
    "hidden_address",
    "release",
    "vantage_points",
]

# What a relayed candidate says in place of the address behind it, where that is to be hidden.
# (RFC 8839 section 5.1)
HIDDEN: Final = {
    socket.AF_INET: ("0.0.0.0", 9),  # noqa: S104  nothing is bound to it
    socket.AF_INET6: ("::", 9),
}


# coturn confirms that it has got an address back up to a second before it grants another one. How
# long that may take, in seconds.
GRANT_DELAY: Final = 3.0

# What is given back although nobody waits for it.
_under_way: set[asyncio.Task[None]] = set()


def vantage_points(addresses: Mapping[int, Address], settings: IceSettings) -> list[str]:
    """Return the addresses of this host from which to reach a server, which has these itself.

    It is the one that the system would choose, if the settings allow it, and otherwise all that
    they do, of the same family.

    Raises:
        OSError: There is no such address.
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
    raise OSError("The server can't be reached from any interface that is used")


def route_to(address: Address, family: int) -> str | None:
    """Return the address from which the system would send to another one, None if it can't."""
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
) -> tuple[Address, Address]:
    """Ask a TURN server, or another one that it names, for a relayed address, from one of ours.

    Args:
        server: The server.
        address: Its address, of the same family as ours.
        base: Our address.
        settings: Which of our ports and interfaces may be used.
        receiver: What is connected to the relayed address.

    Returns:
        The relayed address, and how the server sees ours.

    Raises:
        OSError: The server can't be reached, or no port is free.
        aioice.stun.TransactionError: It refuses, or doesn't answer.
    """
    trail = Trail(address)
    while True:
        client = await _connect(server, trail, base, settings.port_range)
        try:
            return await open_allocation(client, receiver)
        except Redirected as hint:
            trail.follow(hint)
            points = vantage_points({family_of(base): trail.address}, settings)
            base = base if base in points else points[0]


def hidden_address(relayed: Address) -> Address:
    """Return what to tell in place of the address behind a relayed one."""
    return HIDDEN[family_of(relayed[0])]


class Releases:
    """Relayed addresses that are being given back, all of them at the same time."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended_at = -math.inf

    def begin(self, protocol: Any, timeout: float) -> None:
        """Give an address back, for which the server is waited for so many seconds at most."""
        task = asyncio.ensure_future(release(protocol, timeout))
        for tasks in (self._tasks, _under_way):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        task.add_done_callback(self._note_end)

    def _note_end(self, _: object) -> None:
        self._ended_at = asyncio.get_running_loop().time()

    @property
    def recent(self) -> bool:
        """Whether a server may be about to grant what it has got back."""
        since = asyncio.get_running_loop().time() - self._ended_at
        return bool(self._tasks) or since < GRANT_DELAY

    def use(self) -> None:
        """Note that a server has granted an address, perhaps in place of one it has got back."""
        self._ended_at = -math.inf

    async def wait(self) -> None:
        """Return when the servers have confirmed that they have got them, or are given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def release(protocol: Any, timeout: float) -> None:
    """Give a relayed address back, which a dead server never confirms."""
    closing = asyncio.ensure_future(protocol.close())
    await asyncio.wait([closing], timeout=timeout)
    # aioice 0.12 goes on also where there is no connection to the server any more.
    abandon_allocation(protocol.transport)
    await closing


async def _connect(
    server: TurnServer, trail: Trail, base: str, ports: tuple[int, int] | None
) -> Any:
    make_client = turn_client(server.transport, trail.address, server.username, server.password)
    if server.transport != "tcp":
        return await _open_udp(trail.address, base, ports, make_client)
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
    problem = OSError("there are no ports")
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
