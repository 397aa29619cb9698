"""Maintains the sessions of a server in Redis, which may lose them.

The server of a session ends it, or the other servers do if that one has died, all by clocks that
don't jump. If Redis has lost a session, or a part of it, the server closes the connection; the
client reconnects and gets a new session.
"""

import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...protocol.close_codes import CLOSE_REPLACED, CLOSE_TOO_SLOW, CLOSE_TRY_LATER
from ...protocol.encoding import encode_object
from .fleet import Fleet
from .interface import Lease, key_digest

__all__ = ["Keeper"]

Step = Callable[..., Awaitable[Any]]

# All sessions are checked within so many seconds, or within a quarter of the resume window if that
# is less.
ROUND: Final = 5.0
# The sessions that are checked in one step.
BATCH: Final = 200
DISMISSALS: Final = {
    "forgotten": (CLOSE_TRY_LATER, "session lost"),
    "lost": (CLOSE_REPLACED, "replaced"),
    "overflow": (CLOSE_TOO_SLOW, "too slow"),
}


@dataclass
class _Left:
    """A session without a connection. With a reason it ends; otherwise it waits until a time."""

    lease: Lease
    reason: str | None
    until: float
    stored: bool = False


class Keeper:
    """Maintains the sessions of this server.

    Args:
        step: Runs a step of redis.lua.
        holder: The name of this server.
        window: How many seconds a session without a connection is kept.
        clock: Returns seconds since an arbitrary moment.

    Attributes:
        leases: The leases of sessions with connections, by session.
    """

    def __init__(
        self,
        step: Step,
        holder: str,
        window: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.leases: dict[str, Lease] = {}
        self._step = step
        self._holder = holder
        self._window = window
        self._clock = clock
        self._fleet = Fleet(holder, window)
        self._left: dict[str, _Left] = {}
        self._adopted: set[str] = set()
        # Sessions that Redis has for this server, but this server doesn't, and when to end them.
        self._orphans: dict[str, float] = {}
        self._beats = 0
        self._round: Iterator[Sequence[Lease]] = iter(())
        self._round_ends = -math.inf
        self._batches_each = 1

    def take(self, lease: Lease) -> Lease | None:
        """Note a lease; return the one that had its session before."""
        before = self.leases.get(lease.session)
        self.leases[lease.session] = lease
        self._left.pop(lease.session, None)
        return before

    async def let_go(self, lease: Lease, reason: str | None) -> None:
        """Note the end of a connection; with a reason, end its session."""
        if self.leases.get(lease.session) is not lease:
            return
        del self.leases[lease.session]
        if lease.is_lost:
            return
        left = _Left(lease, reason, self._clock() + self._window)
        self._left[lease.session] = left
        await self._tell(left)

    async def _tell(self, left: _Left) -> None:
        lease = left.lease
        if left.reason is None:
            await self._step("detach", lease.session, lease.epoch)
        else:
            await self._step("leave", lease.session, lease.epoch, left.reason)
        left.stored = True
        if left.reason is not None and self._left.get(lease.session) is left:
            del self._left[lease.session]

    async def look_at(self, lease: Lease, state: str) -> None:
        """Close the connection of a session that has ended or is lost."""
        if state not in DISMISSALS or lease.is_lost:
            return
        if state == "forgotten":
            # First, so that the key still admits the client.
            await self._remember(lease)
        lease.is_lost = True
        lease.outlet.dismiss(*DISMISSALS[state])

    async def _remember(self, lease: Lease) -> None:
        await self._step(
            "remember",
            lease.session,
            key_digest(lease.key),
            lease.room,
            lease.peer,
            encode_object({"meta": lease.meta}),
            " ".join(sorted(lease.rights)),
            lease.claim.value,
        )

    async def retire(self) -> None:
        """Hand the sessions to the other servers, or let them expire."""
        await self._step("retire", self._holder, *self._fleet.silent(self._clock()))

    # Called about every second.

    async def sweep(self) -> None:
        """Keep the sessions of this server, and end expired ones, also of dead servers."""
        beat, counters = await self._step("tick", self._holder)
        now = self._clock()
        pause = self._fleet.note(now, dict(zip(counters[::2], counters[1::2], strict=True)))
        for left in self._left.values():
            # No client could have resumed meanwhile.
            left.until += pause
        if int(beat) <= self._beats:
            # Redis has lost data, at least the counter.
            self._round_ends = -math.inf
        self._beats = int(beat)
        await self._check()
        await self._end_those_left()
        await self._look_after_others()

    async def _check(self) -> None:
        now = self._clock()
        if now >= self._round_ends:
            await self._check_batches(list(self._round))
            await self._end_orphans()
            held = [*self.leases.values(), *(left.lease for left in self._left.values())]
            batches = [held[start : start + BATCH] for start in range(0, len(held), BATCH)]
            seconds = min(ROUND, self._window / 4)
            self._round_ends = now + seconds
            self._batches_each = max(1, math.ceil(len(batches) / max(1.0, seconds)))
            self._round = iter(batches)
        await self._check_batches(list(itertools.islice(self._round, self._batches_each)))

    async def _check_batches(self, batches: list[Sequence[Lease]]) -> None:
        for batch in batches:
            # Some may have ended meanwhile.
            leases = {lease.session: lease for lease in batch if self._holds(lease)}
            if not leases:
                continue
            known = [(lease.session, lease.epoch, *lease.progress()) for lease in leases.values()]
            for session, state in await self._step("check", self._holder, *itertools.chain(*known)):
                await self._lose(leases[session], state)

    def _holds(self, lease: Lease) -> bool:
        left = self._left.get(lease.session)
        is_away = left is not None and left.lease is lease and left.reason is None
        return is_away or (self.leases.get(lease.session) is lease and not lease.is_lost)

    async def _lose(self, lease: Lease, state: str) -> None:
        if self.leases.get(lease.session) is lease:
            await self.look_at(lease, state)
        elif self._left.get(lease.session) is not None:
            if state == "forgotten":
                await self._remember(lease)
            self._left.pop(lease.session, None)

    async def _end_those_left(self) -> None:
        now = self._clock()
        for session, left in list(self._left.items()):
            if not left.stored:
                await self._tell(left)
            if now >= left.until:
                await self._step("expire", session, left.lease.epoch)
                if self._left.get(session) is left:
                    del self._left[session]

    async def _end_orphans(self) -> None:
        """End sessions whose step succeeded, but whose answer was lost."""
        now = self._clock()
        known = self.leases.keys() | self._left.keys()
        strange = [name for name in await self._step("held", self._holder) if name not in known]
        self._orphans = {
            name: self._orphans.get(name, now + self._window + ROUND) for name in strange
        }
        over = [name for name, until in self._orphans.items() if now >= until]
        for start in range(0, len(over), BATCH):
            await self._step("orphans", self._holder, *over[start : start + BATCH])

    async def _look_after_others(self) -> None:
        now = self._clock()
        silent = set(self._fleet.silent(now))
        for name in silent - self._adopted:
            await self._step("adopt", name)
        self._adopted = silent
        for name in list(self._fleet.dead(now)):
            while int(await self._step("bury", name)):
                pass
