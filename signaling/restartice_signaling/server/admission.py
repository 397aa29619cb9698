"""Turns for those who come to a server, while many come only to leave again. It does no I/O.

A handshake, a hello and a farewell take as much time as dozens of messages. Clients that come back
all at once are let in all at once, since they stay; who comes and goes makes everybody who comes
wait for a turn, so that those who are there notice little of it. Each address has its turn after
all others.
"""

import ipaddress
import math
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from ..protocol.rate_limit import RateLimit

__all__ = ["SHORT_STAY", "AdmissionQueue", "source_of"]

Guest = TypeVar("Guest")

# Who leaves within so many seconds has come only to leave.
SHORT_STAY: Final = 10.0
# The part of an IPv6 address that one host can't choose freely, in bits.
PREFIX: Final = 64


class AdmissionQueue(Generic[Guest]):
    """Who waits, by where they come from.

    Args:
        rate: How many are let in within a second while many leave soon after they came. Half as
            many short stays a second, in the long run, are not many.

    Raises:
        ValueError: It isn't more than 0.
    """

    def __init__(self, rate: float) -> None:
        if not 0 < rate < math.inf:
            raise ValueError("newcomers must be more than 0 a second")
        self._pause = 1 / rate
        self._short_stays = RateLimit(rate / 2, rate, lowest=-rate)
        self._waiting: OrderedDict[str, dict[Guest, None]] = OrderedDict()
        self._next_at = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def note_end(self, stay: float, now: float) -> None:
        """Note that somebody leaves that was there for so many seconds."""
        if stay < SHORT_STAY:
            self._short_stays.take(now)

    def ask(self, guest: Guest, source: str, now: float) -> bool:
        """Return whether somebody may come in at once; otherwise it waits for its turn."""
        if not self._waiting and self.delay(now) <= 0:
            self._next_at = now + self._pause
            return True
        self._waiting.setdefault(source, {})[guest] = None
        return False

    def delay(self, now: float) -> float:
        """Return in how many seconds it is the next one's turn."""
        return self._next_at - now if self._short_stays.level(now) < 0 else 0.0

    def take_next(self, now: float) -> Guest | None:
        """Return whose turn it is, who doesn't wait any more; None if nobody waits."""
        if not self._waiting:
            return None
        source, guests = self._waiting.popitem(last=False)
        guest = next(iter(guests))
        del guests[guest]
        if guests:
            # Behind all other addresses.
            self._waiting[source] = guests
        self._next_at = now + self._pause
        return guest

    def forget(self, guest: Guest, source: str) -> None:
        """Note that somebody doesn't wait any more."""
        guests = self._waiting.get(source, {})
        guests.pop(guest, None)
        if not guests:
            self._waiting.pop(source, None)

    def newest_of_most(self) -> Guest | None:
        """Return who has come last from where most have come who wait."""
        most = max(self._waiting.values(), key=len, default=None)
        return None if most is None else next(reversed(most))


def source_of(peername: object) -> str:
    """Return where a connection comes from, so that one host is one source.

    Args:
        peername: What the socket says, such as `("192.0.2.1", 50000)`.
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
