"""The schedule of a connection's checks: one after the other, at the RFC's pace."""

import asyncio
import math
import time
from collections import deque
from typing import Final, Protocol

from ...seam import CandidatePair, pair_priority
from ..gathering.endpoints import family_of
from ..gathering.turn import route_to
from .order import Hints, Pair, order_checks

__all__ = ["PACE", "CheckPacer", "CheckSchedule"]

# The pause between two checks of an agent, in seconds: the shortest that "Ta" may be. (RFC 8445
# section 14.2)
PACE: Final = 0.005
# The pause between two sortings, in seconds for each pair. Sorting takes a tenth of that.
SORTING: Final = 50e-6
UNSENT: Final = {CandidatePair.State.FROZEN, CandidatePair.State.WAITING}
# Addresses reserved for documentation, which are reached by the default route. Nothing is sent to
# them. (RFC 5737 and RFC 3849)
ANYWHERE: Final = ("192.0.2.1", "2001:db8::1")
ANY_PORT: Final = 9
# How many routes to remote addresses are cached. There are more only if somebody relays checks from
# many addresses.
SOURCES: Final = 512


# How many seconds a route stays in the cache shared by all connections; many may begin at once.
FRESH: Final = 0.2

# The shared cache: when the system was asked for the route to an address, and its answer.
_ways: dict[str, tuple[float, str | None]] = {}


class Checking(Protocol):
    """The connection whose pairs are checked."""

    check_list: list[CandidatePair]
    ice_controlling: bool

    @property
    def checks_done(self) -> bool:
        """Whether to start no more checks."""

    def check_start_task(self, pair: CandidatePair) -> None:
        """Start the check of a pair."""


class CheckPacer:
    """The pace of all checks of one agent, for all of its transports.

    Attributes:
        free_at: When the next check may be sent.
    """

    def __init__(self) -> None:
        self.free_at = 0.0

    def take_turn(self, now: float) -> bool:
        """Return whether a check may be sent now. If so, the caller must send it."""
        if now < self.free_at:
            return False
        self.free_at = now + PACE
        return True


class CheckSchedule:
    """Starts the checks of a connection's pairs in order, from start() to stop().

    It pauses when all checks have been started, until there are new pairs.

    Attributes:
        pacer: The pace, which connections of the same agent share.
        in_use: The local and the remote address of the pair that was in use before, or None.
    """

    def __init__(self, connection: Checking, pacer: CheckPacer | None = None) -> None:
        self.pacer = pacer or CheckPacer()
        self.in_use: tuple[str, str] | None = None
        self._connection = connection
        self._unsent: deque[CandidatePair] = deque()
        self._arranged = False
        self._arranged_at = 0.0
        self._running = False
        self._timer: asyncio.Handle | None = None
        self._sources: dict[str, str | None] = {}
        self._default: frozenset[str] | None = None

    def prefer(self, in_use: tuple[str, str] | None) -> None:
        """Check pairs like the one in use first."""
        self.in_use = in_use

    def is_in_use(self, pair: CandidatePair) -> bool:
        """Return whether a pair is like the one that is in use."""
        return (pair.local_candidate.host, pair.remote_addr[0]) == self.in_use

    def start(self) -> None:
        """Start the checks. Has no effect if they were started."""
        self._running = True
        self._proceed()

    def stop(self) -> None:
        """Start no more checks."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pairs_changed(self) -> None:
        """Note new pairs, or new priorities of pairs."""
        self._arranged = False
        if self._running:
            self._proceed()

    def sort(self) -> None:
        """Sort the pairs into the order of their checks, unless they are sorted."""
        if not self._arranged:
            self._arrange()

    def in_order(self, pairs: list[CandidatePair]) -> list[CandidatePair]:
        """Return pairs in the order of their checks. They needn't be in the check list."""
        if self._default is None:
            self._default = default_sources()
        hints = Hints(self.in_use, self._default)
        return [pairs[place] for place in order_checks([*map(self._describe, pairs)], hints)]

    @property
    def unsent(self) -> bool:
        """Whether there are pairs whose check hasn't been started."""
        if self._connection.checks_done:
            return False
        while self._unsent and not is_unsent(self._unsent[0]):
            self._unsent.popleft()
        now = asyncio.get_running_loop().time()
        pause = SORTING * len(self._connection.check_list)
        if not self._arranged and (not self._unsent or now - self._arranged_at >= pause):
            self._arrange()
            self._arranged_at = now
        return bool(self._unsent)

    def _proceed(self) -> None:
        # In the next iteration of the event loop, when all pairs being added now are there.
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_soon(self._await_turn)

    def _await_turn(self) -> None:
        self._timer = None
        if self.unsent:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self.pacer.free_at, self._start_next)

    def _start_next(self) -> None:
        self._timer = None
        if self.unsent and self.pacer.take_turn(asyncio.get_running_loop().time()):
            self._connection.check_start_task(self._unsent.popleft())
        self._await_turn()

    def _arrange(self) -> None:
        self._arranged = True
        pairs = self._connection.check_list
        pairs[:] = self.in_order(pairs)
        self._unsent = deque(pair for pair in pairs if is_unsent(pair))

    def _describe(self, pair: CandidatePair) -> Pair:
        local, remote = pair.local_candidate, pair.remote_addr[0]
        if remote not in self._sources:
            if len(self._sources) >= SOURCES:
                self._sources.clear()
            self._sources[remote] = way_to(remote)
        priority = pair_priority(pair, controlling=self._connection.ice_controlling)
        kinds = local.type, pair.remote_candidate.type
        return Pair(local.host, remote, kinds, self._sources[remote], priority)


def is_unsent(pair: CandidatePair) -> bool:
    """Return whether the check of a pair hasn't been started."""
    return pair.task is None and pair.state in UNSENT


def way_to(address: str) -> str | None:
    """Return the local address that the system uses to reach an address, or None."""
    now = time.monotonic()
    asked_at, source = _ways.get(address, (-math.inf, None))
    if now - asked_at >= FRESH:
        if len(_ways) >= SOURCES:
            _ways.clear()
        source = route_to((address, ANY_PORT), family_of(address))
        _ways[address] = now, source
    return source


def default_sources() -> frozenset[str]:
    """Return the local addresses of this host's default routes."""
    found = map(way_to, ANYWHERE)
    return frozenset(source for source in found if source is not None)
