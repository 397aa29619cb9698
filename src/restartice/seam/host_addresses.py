"""The addresses of this host, and the interfaces that have them."""

import re
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import aioice.ice
import ifaddr

from .names import require
from .sockets import is_aioices

__all__ = ["addresses_by_interface", "host_addresses", "lists_as_aioice"]

require(aioice.ice, "get_host_addresses")

# Of rtnetlink(7): requests for a dump of addresses, and what their answers consist of.
RTM_NEWADDR, RTM_GETADDR, DUMP_REQUEST, NLMSG_DONE = 20, 22, 0x301, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence number and port
ADDRESS: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope and interface
ATTRIBUTE: Final = struct.Struct("=HH")  # length and type
FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})
# Loopback's, and those that are valid on one link only. (RFC 4291 section 2.5.6)
UNUSED: Final = re.compile(r"127\.0\.0\.1$|::1$|fe[89ab]")
READ_LIMIT: Final = 1 << 18
# In seconds. The system answers at once, if at all.
DEADLINE: Final = 1.0


# Which a program may replace, too.
_get_adapters: Final = ifaddr.get_adapters


def lists_as_aioice() -> bool:
    """Return whether no program has replaced the functions by which aioice lists addresses."""
    return is_aioices(aioice.ice.get_host_addresses) and ifaddr.get_adapters is _get_adapters


def host_addresses(
    by_interface: Mapping[str, list[str]] | None = None, *, ipv4: bool = True, ipv6: bool = True
) -> list[str]:
    """Return the addresses that aioice gathers, by its function if that was replaced.

    Args:
        by_interface: What addresses_by_interface() has just returned; None to ask the system.
        ipv4: Whether to return IPv4 addresses.
        ipv6: Whether to return IPv6 addresses.
    """
    if not lists_as_aioice():
        return aioice.ice.get_host_addresses(use_ipv4=ipv4, use_ipv6=ipv6)
    if by_interface is None:
        by_interface = addresses_by_interface()
    listed = [a for addresses in by_interface.values() for a in addresses]
    return [a for a in listed if (ipv6 if ":" in a else ipv4) and not UNUSED.match(a)]


def addresses_by_interface() -> dict[str, list[str]]:
    """Return the addresses of each interface, in the order of the system."""
    found: dict[str, list[str]] = {}
    by_netlink = _by_netlink() if ifaddr.get_adapters is _get_adapters else []
    for interface, address in by_netlink or _by_ifaddr():
        found.setdefault(interface, []).append(address)
    return found


def _by_ifaddr() -> list[tuple[str, str]]:
    return [
        (adapter.name, ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def _by_netlink() -> list[tuple[str, str]]:
    """Return the interface and address of each, or nothing if the system can't be asked so.

    That takes about a quarter of the time of ifaddr, which calls C functions for each field.
    """
    if sys.platform != "linux":
        return []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            netlink.settimeout(DEADLINE)
            request = ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            length = HEADER.size + len(request)
            netlink.send(HEADER.pack(length, RTM_GETADDR, DUMP_REQUEST, 1, 0) + request)
            return [_read(message) for message in _answers(netlink)]
    except (OSError, ValueError):  # not in every sandbox
        return []


def _answers(netlink: socket.socket) -> Iterator[memoryview]:
    while True:
        data = memoryview(netlink.recv(READ_LIMIT))
        while data:
            length, kind, *_ = HEADER.unpack_from(data)
            if kind == NLMSG_DONE:
                return
            if kind != RTM_NEWADDR:
                raise OSError(f"expected an address from netlink, got a message of type {kind}")
            if data[HEADER.size] in FAMILIES:
                yield data[HEADER.size : length]
            data = data[_aligned(length) :]


def _read(message: memoryview) -> tuple[str, str]:
    family, *_, index = ADDRESS.unpack_from(message)
    attributes, place = {}, ADDRESS.size
    while place < len(message):
        length, kind = ATTRIBUTE.unpack_from(message, place)
        attributes[kind] = message[place + ATTRIBUTE.size : place + length]
        place += _aligned(length)
    # Of a link to a single peer, IFA_ADDRESS is the peer's.
    address = attributes.get(IFA_LOCAL) or attributes[IFA_ADDRESS]
    return socket.if_indextoname(index), socket.inet_ntop(family, address)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
