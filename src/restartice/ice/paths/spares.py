"""Which pairs are kept as spares, and when each of them is probed.

This module uses neither clocks nor sockets: the time is an argument.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from .round_trip import RoundTrip

__all__ = ["INTERVAL", "Networks", "Spare", "Spares", "Standing"]

# The pause between two probes of a connection's spares, taken in turn, in seconds.
INTERVAL: Final = 4.0
# The longest pause between two probes of the same spare while there is no traffic: shorter than the
# lifetime of consent and of NAT mappings. (RFC 7675, RFC 4787 section 4.3)
IDLE_INTERVAL: Final = 26.0
# The pause before an unanswered probe is repeated, in seconds, and how often a pair is probed that
# has never answered.
REPETITION: Final = 0.5
TRIES: Final = 4
# After how many seconds without an answer a spare counts as failed.
PATIENCE: Final = 1.6
# An answer that takes longer than this restarts the proving time of a pair, in seconds.
UNSTEADY: Final = 1.0
# The longest pause between two probes of a failed spare, as a multiple of the usual one, and in
# seconds.
LONGEST_REST: Final = 4
REST: Final = 16.0
# How many pairs of new networks are tried, in total.
TRIALS: Final = 64

# The local and the remote network of a pair.
Networks = tuple[str, str]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Standing:
    """The program's ranking of a pair's local network.

    Attributes:
        rank: The lowest is the best.
        network: The name of the interface.
    """

    rank: float = 0.0
    network: str = ""

    def beats(self, other: "Standing") -> bool:
        """Return whether this network is preferred to another one."""
        return self.rank < other.rank


UNRANKED: Final = Standing()


class Spare(Generic[K]):
    """A pair, with the results of its probes. All times are in seconds.

    Attributes:
        pair: The pair.
        networks: The local and the remote network.
        rank: Its place among all pairs; the lowest is the best.
        standing: The program's ranking of its local network.
        round_trip: The measured round trip.
        answered_at: When the last answer came.
        proved_at: When the last answered probe was sent.
        asked_at: When the last probe was sent.
        steady_since: Since when it has answered every probe in time.
        heard: Whether traffic came in on it since the last look.
        claimed: Whether the peer has announced that it sends here.
    """

    def __init__(
        self, pair: K, networks: Networks, rank: int, standing: Standing = UNRANKED
    ) -> None:
        self.pair = pair
        self.networks = networks
        self.rank = rank
        self.standing = standing
        self.round_trip = RoundTrip()
        self.answered_at = self.proved_at = self.asked_at = -math.inf
        self.steady_since = math.inf
        self.heard = False
        self.claimed = False
        self._waiting_since: float | None = None
        self._unanswered = 0
        self._due_at = -math.inf

    def claim(self, *, claimed: bool) -> None:
        """Note whether the peer has announced that it sends here."""
        self.claimed = claimed

    def take_heard(self) -> bool:
        """Return whether traffic came in since the last call."""
        heard, self.heard = self.heard, False
        return heard

    @property
    def has_worked(self) -> bool:
        """Whether it has ever answered."""
        return self.answered_at > -math.inf

    def works(self, now: float, lifetime: float = math.inf) -> bool:
        """Return whether the pair works, and the peer's consent to send there hasn't expired."""
        if now - self.answered_at >= lifetime:
            return False
        waiting = self._waiting_since
        return waiting is None or now - waiting < PATIENCE

    def due_at(self) -> float:
        """Return when to probe it next."""
        if not self.has_worked and self._unanswered >= TRIES:
            return math.inf
        return self._due_at

    def ask(self, now: float, interval: float) -> None:
        """Note that a probe is sent.

        Args:
            now: The time.
            interval: The pause until the next probe after an answer, in seconds.
        """
        self.asked_at = now
        self._unanswered += 1
        if self._waiting_since is None:
            self._waiting_since = now
        repeated = self._unanswered - TRIES
        if repeated < 0:
            repetition = max(REPETITION, self.round_trip.timeout(REPETITION / 3))
            self._due_at = now + min(interval, repetition)
        else:
            rest = interval * min(LONGEST_REST, 1 << min(repeated, LONGEST_REST))
            self._due_at = now + min(rest, max(interval, REST))

    def answer(self, now: float, asked_at: float, interval: float) -> None:
        """Note the answer to the probe sent at `asked_at`."""
        self.round_trip.measure(now - asked_at)
        waiting = now - (now if self._waiting_since is None else self._waiting_since)
        if waiting >= max(UNSTEADY, 2 * self.round_trip.timeout(0)):
            self.steady_since = now
        self.steady_since = min(self.steady_since, now)
        self.answered_at = now
        self.proved_at = max(self.proved_at, asked_at)
        self._waiting_since = None
        self._unanswered = 0
        self._due_at = max(self.asked_at, now) + interval

    def worked_until(self, answered_at: float) -> None:
        """Note that it has answered at that time, unless a later answer is known."""
        self.answered_at = max(self.answered_at, answered_at)

    def fail(self, now: float) -> None:
        """Note that it has failed, for now."""
        self._waiting_since = now - PATIENCE
        self._due_at = now

    def was_asked_for(self, now: float) -> bool:
        """Note a request of the peer on it; return whether it may work again, having failed."""
        if self._waiting_since is None:
            return False
        self._due_at = min(self._due_at, max(now, self.asked_at + REPETITION))
        return True

    def try_again(self, now: float) -> None:
        """Probe it as a new pair, unless it works."""
        if self._waiting_since is not None:
            self._unanswered = 0
            self._due_at = now


class Spares(Generic[K]):
    """The pairs beside the one in use.

    Args:
        limit: How many working spares to keep, each between other networks.
        interval: The pause between two probes, in seconds; the spares take turns.
        vary: Makes an interval a little shorter or longer, so that many connections don't probe in
            step.
        standing: Returns the standing of a pair.

    Attributes:
        selected: The pair in use.
        idle: Whether there is no traffic, so that probes may be rare.
    """

    def __init__(
        self,
        limit: int,
        interval: float = INTERVAL,
        vary: Callable[[float], float] = float,
        standing: Callable[[K], Standing] = lambda _: UNRANKED,
    ) -> None:
        self.selected: Spare[K] | None = None
        self.idle = False
        self._limit = limit
        self._interval = interval
        self._vary = vary
        self._standing = standing
        self._all: dict[K, Spare[K]] = {}
        self._trials = TRIALS

    def note_traffic(self, *, flowing: bool) -> None:
        """Note whether there is traffic."""
        self.idle = not flowing

    def __iter__(self) -> Iterator[Spare[K]]:
        return iter(list(self._all.values()))

    def get(self, pair: K) -> Spare[K] | None:
        """Return the spare of a pair, or None."""
        return self._all.get(pair)

    def select(self, pair: K, networks: Networks, now: float) -> Spare[K]:
        """Note the pair in use, which doesn't count as a spare."""
        self.selected = self._all.get(pair) or self.add(pair, networks)
        self.selected.answered_at = max(self.selected.answered_at, now)
        self.selected.steady_since = min(self.selected.steady_since, now)
        return self.selected

    def add(self, pair: K, networks: Networks, rank: int | None = None) -> Spare[K]:
        """Add a pair."""
        rank = len(self._all) if rank is None else rank
        spare = Spare(pair, networks, rank, self._standing(pair))
        self._all[pair] = spare
        return spare

    def offer(self, pairs: Sequence[tuple[K, Networks]]) -> list[K]:
        """Add some of the pairs to try, if they are new.

        Args:
            pairs: The pairs, best first, each with its networks.

        Returns:
            The added pairs.
        """
        taken: list[K] = []
        # Two pairs for each two networks, as one of the addresses may be unreachable.
        room: dict[Networks, int] = {}
        for spare in self._all.values():
            room[spare.networks] = room.get(spare.networks, 2) - 1
        for shared in (0, 1):
            for rank, (pair, networks) in enumerate(pairs):
                if pair in self._all or self._shared(networks) != shared:
                    continue
                room.setdefault(networks, 2)
                if self._trials and room[networks] > 0:
                    room[networks] -= 1
                    self._trials -= 1
                    self.add(pair, networks, rank)
                    taken.append(pair)
        return taken

    def forget(self, pair: K) -> None:
        """Know nothing of a pair any more, unless it is the one in use."""
        if self.selected is None or self.selected.pair is not pair:
            self._all.pop(pair, None)

    def forget_others(self, pairs: Iterable[K]) -> None:
        """Forget all pairs except these."""
        kept = set(pairs)
        for pair in [pair for pair in self._all if pair not in kept]:
            del self._all[pair]
        if self.selected is not None and self.selected.pair not in kept:
            self.selected = None

    def forgive(self, now: float) -> None:
        """Probe silent pairs again: the networks have changed."""
        self._trials = max(self._trials, TRIALS // 4)
        for spare in self._all.values():
            spare.try_again(now)

    def rank_again(self) -> None:
        """Update the standing of all pairs."""
        for spare in self._all.values():
            spare.standing = self._standing(spare.pair)

    def preferred(self, now: float, lifetime: float = math.inf) -> list[Spare[K]]:
        """Return the working pairs of networks that are preferred to the one in use, best first.

        Within a network, pairs to the current remote network come first: the peer chooses which of
        its own networks to use.
        """
        selected = self.selected
        if selected is None:
            return []
        remote = selected.networks[1]
        better = [s for s in self._all.values() if s.standing.beats(selected.standing)]
        working = [s for s in better if s.has_worked and s.works(now, lifetime)]
        return sorted(working, key=lambda s: (s.standing.rank, s.networks[1] != remote, s.rank))

    def kept(self, now: float) -> list[Spare[K]]:
        """Return the spares to keep, best first, and then failed ones that may come back."""
        known = [s for s in self._all.values() if s is not self.selected and s.has_worked]
        working = [s for s in known if s.works(now)]
        resting = [s for s in known if not s.works(now)]
        resting.sort(key=lambda s: (s.standing.rank, -s.answered_at))
        # First the pair that the call may switch to soon, then those with the fewest networks in
        # common.
        chosen = self.preferred(now)[:1]
        working = [s for s in working if s.networks not in {c.networks for c in chosen}]
        while working and len(chosen) < self._limit:
            best = min(working, key=lambda s: self._worth(s, chosen))
            chosen.append(best)
            working = [s for s in working if s.networks != best.networks]
        networks = {s.networks for s in chosen}
        return chosen + [s for s in resting if s.networks not in networks][: self._limit]

    def hopeful(self) -> bool:
        """Return whether there is a spare that works, or one that worked and may come back."""
        known = (s for s in self._all.values() if s is not self.selected and s.has_worked)
        return self._limit > 0 and any(True for _ in known)

    def recent(self, now: float, lifetime: float) -> list[Spare[K]]:
        """Return the kept spares that have answered within the last `lifetime` seconds."""
        return [s for s in self.kept(now) if now - s.answered_at < lifetime]

    def best(self, now: float, lifetime: float, since: float = -math.inf) -> Spare[K] | None:
        """Return the best working spare that answered a probe sent after `since`, or None."""
        usable = (s for s in self._all.values() if s is not self.selected)
        fresh = [s for s in usable if s.works(now, lifetime) and s.proved_at >= since]
        return min(fresh, key=lambda s: self._worth(s, ()), default=None)

    def due(self, now: float) -> list[Spare[K]]:
        """Return the pairs to probe now: kept spares, and pairs to try."""
        if all(s.due_at() > now for s in self._all.values() if s is not self.selected):
            return []
        return [s for s in [*self.kept(now), *self._untried()] if s.due_at() <= now]

    def next_time(self, now: float) -> float:
        """Return when to send the next probe."""
        times = [s.due_at() for s in [*self.kept(now), *self._untried()]]
        return min(times, default=math.inf)

    def interval(self, now: float) -> float:
        """Return the pause between two probes of the same spare, in seconds."""
        if self.idle:
            return IDLE_INTERVAL
        return self._vary(self._interval * max(1, len(self.kept(now))))

    def _untried(self) -> list[Spare[K]]:
        return [s for s in self._all.values() if s is not self.selected and not s.has_worked]

    def _worth(self, spare: Spare[K], chosen: Sequence[Spare[K]]) -> tuple[float, ...]:
        overlap = sum(_in_common(spare.networks, other.networks) for other in chosen)
        return self._shared(spare.networks), overlap, spare.standing.rank, spare.rank

    def _shared(self, networks: Networks) -> int:
        """Return how many networks a pair shares with the pair in use."""
        return 0 if self.selected is None else _in_common(networks, self.selected.networks)


def _in_common(networks: Networks, others: Networks) -> int:
    return sum(one == other for one, other in zip(networks, others, strict=True))
