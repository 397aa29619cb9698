"""Opens UDP sockets, and closes them if the caller is cancelled meanwhile."""

import asyncio
import ipaddress
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["Address", "bind", "family_of", "is_loopback", "open_endpoint", "ports_to_try"]

Address = tuple[str, int]

RECEIVE_BUFFER: Final = 262144


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def is_loopback(host: str) -> bool:
    """Return whether a host is this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ports_to_try(ports: tuple[int, int] | None) -> Iterator[int]:
    """Yield all ports of a range, from a random one on; or 0, for any port, without a range."""
    if ports is None:
        yield 0
        return
    first, last = ports
    count = last - first + 1
    start = random.randrange(count)  # noqa: S311  no secret
    for offset in range(count):
        yield first + (start + offset) % count


def bind(address: str, ports: tuple[int, int]) -> socket.socket | None:
    """Return a socket on a free port of the range, or None."""
    for port in ports_to_try(ports):
        sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
        try:
            sock.bind((address, port))
        except OSError:
            sock.close()
            continue
        sock.setblocking(False)
        return sock
    return None


async def open_endpoint(
    make_protocol: Callable[[], Any], **where: Any
) -> tuple[asyncio.DatagramTransport, Any]:
    """Open a UDP socket with a large receive buffer.

    Args:
        make_protocol: Makes the protocol, which keeps its transport as `transport`.
        **where: The socket or the addresses, as for the event loop's `create_datagram_endpoint()`.

    Raises:
        OSError: The socket can't be opened.
    """
    made: list[Any] = []

    def make() -> Any:
        made.append(make_protocol())
        return made[0]

    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            make, **where
        )
    except BaseException:
        # uvloop leaves the socket open if it is cancelled before it returns. Both loops connect the
        # protocol before they raise CancelledError.
        for protocol in made:
            if (opened := getattr(protocol, "transport", None)) is not None:
                opened.close()
        raise
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return transport, protocol
