"""Reports when the addresses of this host change, or its links go up or down."""

import asyncio
import math
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Self
from weakref import WeakKeyDictionary

from ..events import Emitter
from ..seam import addresses_by_interface, host_addresses

if sys.platform == "linux":
    import fcntl

__all__ = ["NetworkChange", "NetworkMonitor", "SharedMonitor"]

Follower = Callable[["NetworkChange"], None]

POLL_INTERVAL: Final = 2.0
# The groups of links, addresses and routes. (rtnetlink(7))
NETLINK_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
SIOCGIFFLAGS: Final = 0x8913
IFF_UP_AND_RUNNING: Final = 0x1 | 0x40
IFNAMSIZ: Final = 16
IFREQ_SIZE: Final = 40


@dataclass(frozen=True)
class NetworkChange:
    """A change of the host's usable addresses.

    Attributes:
        addresses: The addresses that are usable now.
        added: The addresses that have become usable.
        removed: The addresses that aren't usable any more.
    """

    addresses: frozenset[str]
    added: frozenset[str]
    removed: frozenset[str]


class NetworkMonitor(Emitter):
    """Reports changes of the addresses that ICE can use. It doesn't restart ICE.

    An address is usable while the host has it, its link is up and running, and a socket can be
    bound to it. Loopback addresses don't count. On Linux a change is reported at once; on other
    systems the addresses are polled every 2 seconds.

        async with NetworkMonitor() as monitor:
            monitor.on("change", lambda change: print(change.added, change.removed))
            ...

    Events: `change`, with a NetworkChange.

    Args:
        poll_interval: Poll the addresses at this interval, in seconds; None for the default above.

    Raises:
        ValueError: poll_interval isn't a positive finite number.
    """

    def __init__(self, *, poll_interval: float | None = None) -> None:
        if poll_interval is not None and not (math.isfinite(poll_interval) and poll_interval > 0):
            raise ValueError(f"poll_interval must be a positive number, got {poll_interval!r}")
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

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to watch. A second call has no effect."""
        if self._netlink is not None or self._polling is not None:
            return
        loop = asyncio.get_running_loop()
        if self._poll_interval is None and (netlink := open_netlink()) is not None:
            try:
                loop.add_reader(netlink, self._wake_up)
                self._netlink = netlink
            except NotImplementedError:  # raised by some event loops
                netlink.close()
        # After the reader is added, so that no change is missed.
        self._addresses = usable_addresses()
        if self._netlink is None:
            self._polling = asyncio.create_task(self._poll(self._poll_interval or POLL_INTERVAL))

    async def close(self) -> None:
        """Stop watching. It may be called twice."""
        if (polling := self._end()) is not None:
            await asyncio.wait([polling])

    def _end(self) -> asyncio.Task[None] | None:
        """Stop watching; return the polling task, which is being cancelled, or None."""
        netlink, self._netlink = self._netlink, None
        polling, self._polling = self._polling, None
        if netlink is not None:
            asyncio.get_running_loop().remove_reader(netlink)
            netlink.close()
        if polling is not None:
            polling.cancel()
        return polling

    def _wake_up(self) -> None:
        # The messages aren't parsed; the addresses are listed instead.
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
    """A NetworkMonitor that all connections of an event loop share; follow() creates it."""

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "SharedMonitor"]] = (
        WeakKeyDictionary()
    )

    def __init__(self) -> None:
        self._monitor = NetworkMonitor()
        self._followers: list[Follower] = []
        self._monitor.on("change", self._tell)

    @classmethod
    def follow(cls, follower: Follower) -> tuple[frozenset[str], Callable[[], None]]:
        """Call a function at each change from now on.

        Returns:
            The usable addresses, and a function that ends the calls.
        """
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

        return shared._monitor.addresses, leave

    def _tell(self, change: NetworkChange) -> None:
        for follower in list(self._followers):
            follower(change)


def usable_addresses() -> frozenset[str]:
    """Return the usable addresses that ICE would gather."""
    by_interface = addresses_by_interface()
    idle = addresses_of_idle_links(by_interface)
    listed = host_addresses(by_interface)
    return frozenset(a for a in listed if a not in idle and is_bindable(a))


def is_bindable(address: str) -> bool:
    """Return whether a socket can be bound to an address; not at once on a new IPv6 address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def addresses_of_idle_links(by_interface: Mapping[str, list[str]]) -> set[str]:
    """Return the addresses on links that are down or lack a carrier; on Linux only.

    Args:
        by_interface: The addresses of each interface.
    """
    if sys.platform != "linux":
        return set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        idle = [name for name in by_interface if not is_running(name, asking)]
    return {address for name in idle for address in by_interface[name]}


def is_running(interface: str, asking: socket.socket) -> bool:
    """Return whether an interface is up and has a carrier. (netdevice(7)).

    Args:
        interface: Its name.
        asking: Any socket, by which the system is asked.
    """
    request = interface.encode()[: IFNAMSIZ - 1].ljust(IFREQ_SIZE, b"\0")
    try:
        answer = fcntl.ioctl(asking, SIOCGIFFLAGS, request)
    except OSError:  # the interface is gone
        return False
    flags = int.from_bytes(answer[IFNAMSIZ : IFNAMSIZ + 2], sys.byteorder)
    return flags & IFF_UP_AND_RUNNING == IFF_UP_AND_RUNNING


def open_netlink() -> socket.socket | None:
    """Open a socket that becomes readable at each change; None if that is impossible here."""
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
