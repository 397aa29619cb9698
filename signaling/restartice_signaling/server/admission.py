"""A queue for new connections while many connections are short. It does no I/O.

A handshake, a hello and a farewell take as much time as dozens of messages. Clients that reconnect
all at once are admitted all at once, because they stay. While many connections end soon after
their begin, new ones are admitted at a fixed rate, so that other clients notice little. Addresses
take turns.
"""

import ipaddress
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from ..protocol.rate_limit import RateLimit

__all__ = ["SHORT_STAY", "AdmissionQueue", "source_of"]

Guest = TypeVar("Guest")

# A connection is short if it ends within so many seconds.
SHORT_STAY: Final = 10.0
# The part of an IPv6 address that one host can't choose freely, in bits.
PREFIX: Final = 64


class AdmissionQueue(Generic[Guest]):
    """The connections that wait, by their source.

    Args:
        rate: The connections that are admitted per second while many are short: more than half as
            many per second, in the long run.
    """

    def __init__(self, rate: float) -> None:
        self._pause = 1 / rate
        self._short_stays = RateLimit(rate / 2, rate, lowest=-rate)
        self._waiting: OrderedDict[str, dict[Guest, None]] = OrderedDict()
        self._next_at = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def note_end(self, stay: float, now: float) -> None:
        """Note the end of a connection that lasted `stay` seconds."""
        if stay < SHORT_STAY:
            self._short_stays.take(now)

    def ask(self, guest: Guest, source: str, now: float) -> bool:
        """Return whether a connection is admitted at once; otherwise it joins the queue."""
        if not self._waiting and self.delay(now) <= 0:
            self._next_at = now + self._pause
            return True
        self._waiting.setdefault(source, {})[guest] = None
        return False

    def delay(self, now: float) -> float:
        """Return the seconds until the next turn."""
        return self._next_at - now if self._short_stays.level(now) < 0 else 0.0

    def take_next(self, now: float) -> Guest | None:
        """Remove and return the next connection, or None if none waits."""
        if not self._waiting:
            return None
        source, guests = self._waiting.popitem(last=False)
        guest = next(iter(guests))
        del guests[guest]
        if guests:
            # Its next turn comes after all other sources.
            self._waiting[source] = guests
        self._next_at = now + self._pause
        return guest

    def forget(self, guest: Guest, source: str) -> None:
        """Remove a connection from the queue."""
        guests = self._waiting.get(source, {})
        guests.pop(guest, None)
        if not guests:
            self._waiting.pop(source, None)

    def newest_of_most(self) -> Guest | None:
        """Return the newest connection of the source with the most waiting connections."""
        most = max(self._waiting.values(), key=len, default=None)
        return None if most is None else next(reversed(most))


def source_of(peername: object) -> str:
    """Return the source of a connection: its IPv4 address, or the `/64` of its IPv6 address.

    Args:
        peername: The peer name of the socket, such as `("192.0.2.1", 50000)`.
    """
    host = str(peername[0]).partition("%")[0] if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, PREFIX), strict=False))
