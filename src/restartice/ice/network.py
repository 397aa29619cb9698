"""Telling when the addresses of this host change, or its links go up or down."""

import asyncio
import math
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, Self
from weakref import WeakKeyDictionary

import ifaddr

from ..events import Emitter
from ..seam import host_addresses

if sys.platform == "linux":
    import fcntl

__all__ = ["NetworkChange", "NetworkMonitor", "SharedMonitor"]

Follower = Callable[["NetworkChange"], None]

POLL_INTERVAL: Final = 2.0
# What wakes us up: links, addresses and routes. (rtnetlink(7))
NETLINK_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
SIOCGIFFLAGS: Final = 0x8913
IFF_UP_AND_RUNNING: Final = 0x1 | 0x40
IFNAMSIZ: Final = 16
IFREQ_SIZE: Final = 40


@dataclass(frozen=True)
class NetworkChange:
    """A change of the host's usable addresses.

    Attributes:
        addresses: Those that are usable now.
        added: Those that weren't before.
        removed: Those that aren't any more.
    """

    addresses: frozenset[str]
    added: frozenset[str]
    removed: frozenset[str]


class NetworkMonitor(Emitter):
    """Tells when the addresses that ICE can use change.

    An address is usable while the host has it, its link is up and running, and a socket can be
    bound to it. Loopback doesn't count. On Linux a change is told at once, elsewhere the addresses
    are looked at every 2 seconds. Restarting ICE is left to the program.

        async with NetworkMonitor() as monitor:
            monitor.on("change", lambda change: print(change.added, change.removed))
            ...

    Events: `change`, with a NetworkChange.

    Args:
        poll_interval: Look at the addresses every so many seconds, instead of the way described
            above.

    Raises:
        ValueError: poll_interval isn't a positive finite number.
    """

    def __init__(self, *, poll_interval: float | None = None) -> None:
        if poll_interval is not None and not (math.isfinite(poll_interval) and poll_interval > 0):
            raise ValueError(f"poll_interval must be a positive number, not {poll_interval!r}")
        super().__init__()
        self._poll_interval = poll_interval
        self._addresses: frozenset[str] = frozenset()
        self._netlink: socket.socket | None = None
        self._polling: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> frozenset[str]:
        """The usable addresses, as of the last change; empty before start()."""
        return self._addresses

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to watch. Without effect if that was done."""
        if self._netlink is not None or self._polling is not None:
            return
        loop = asyncio.get_running_loop()
        if self._poll_interval is None and (netlink := open_netlink()) is not None:
            try:
                loop.add_reader(netlink, self._wake_up)
                self._netlink = netlink
            except NotImplementedError:  # by Windows' event loop, which has no netlink anyway
                netlink.close()
        # Only now, so that no change is missed in between.
        self._addresses = usable_addresses()
        if self._netlink is None:
            self._polling = asyncio.create_task(self._poll(self._poll_interval or POLL_INTERVAL))

    async def close(self) -> None:
        """Watch no more. May be called twice."""
        if (polling := self._end()) is not None:
            await asyncio.wait([polling])

    def _end(self) -> asyncio.Task[None] | None:
        """Watch no more; return what has yet to end."""
        netlink, self._netlink = self._netlink, None
        polling, self._polling = self._polling, None
        if netlink is not None:
            asyncio.get_running_loop().remove_reader(netlink)
            netlink.close()
        if polling is not None:
            polling.cancel()
        return polling

    def _wake_up(self) -> None:
        # What the messages say isn't read: the list of addresses is the truth.
        with suppress(OSError):
            while self._netlink is not None:
                self._netlink.recv(1 << 16)
        self._look()

    async def _poll(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            self._look()

    def _look(self) -> None:
        before, now = self._addresses, usable_addresses()
        if now != before:
            self._addresses = now
            self.emit("change", NetworkChange(now, now - before, before - now))


class SharedMonitor:
    """A NetworkMonitor for all connections of an event loop, while there are any.

    Made by follow().
    """

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "SharedMonitor"]] = (
        WeakKeyDictionary()
    )

    def __init__(self) -> None:
        self._monitor = NetworkMonitor()
        self._followers: list[Follower] = []
        self._monitor.on("change", self._tell)

    @classmethod
    def follow(cls, follower: Follower) -> Callable[[], None]:
        """Have a function called with each change from now on; return what ends that."""
        loop = asyncio.get_running_loop()
        shared = cls._of_loops.get(loop)
        if shared is None:
            shared = cls._of_loops[loop] = cls()
            shared._monitor.start()
        shared._followers.append(follower)

        def leave() -> None:
            shared._followers.remove(follower)
            if not shared._followers:
                cls._of_loops.pop(loop, None)
                shared._monitor._end()  # noqa: SLF001

        return leave

    def _tell(self, change: NetworkChange) -> None:
        for follower in list(self._followers):
            follower(change)


def usable_addresses() -> frozenset[str]:
    """Return the addresses that ICE would gather, of those that are usable now."""
    idle = addresses_of_idle_links()
    return frozenset(a for a in host_addresses() if a not in idle and is_bindable(a))


def is_bindable(address: str) -> bool:
    """Return whether a socket can be bound to an address, as soon as it is known to be unique."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def addresses_of_idle_links() -> set[str]:
    """Return the addresses on links that are down or lack a carrier, as far as can be told."""
    if sys.platform != "linux":
        return set()
    idle: set[str] = set()
    for adapter in ifaddr.get_adapters():
        if not is_running(adapter.name):
            addresses = (ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips)
            idle.update(addresses)
    return idle


def is_running(interface: str) -> bool:
    """Return whether an interface is up and has a carrier. (netdevice(7))."""
    request = interface.encode()[: IFNAMSIZ - 1].ljust(IFREQ_SIZE, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        except OSError:  # it is gone already
            return False
    flags = int.from_bytes(answer[IFNAMSIZ : IFNAMSIZ + 2], sys.byteorder)
    return flags & IFF_UP_AND_RUNNING == IFF_UP_AND_RUNNING


def open_netlink() -> socket.socket | None:
    """Open a socket that becomes readable when something changes, or return None."""
    if sys.platform != "linux":
        return None
    try:
        netlink = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
    except OSError:  # not in every sandbox
        return None
    try:
        netlink.bind((0, NETLINK_GROUPS))
    except OSError:
        netlink.close()
        return None
    return netlink
