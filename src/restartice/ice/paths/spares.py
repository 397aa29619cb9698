"""Which pairs are kept beside the one in use, and when each of them is asked if it still works.

Nothing here knows of clocks or sockets: the time is an argument.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from .round_trip import RoundTrip

__all__ = ["INTERVAL", "Networks", "Spare", "Spares"]

# How many seconds there are from one question to the next, of all spares of a connection in turn.
INTERVAL: Final = 4.0
# How soon a question is repeated that wasn't answered, and how often a pair is asked that never
# has been heard of.
REPETITION: Final = 0.5
TRIES: Final = 4
# After how many seconds without an answer a spare doesn't count.
PATIENCE: Final = 1.6
# How much longer it takes until one is asked that doesn't work any more, at most.
LONGEST_REST: Final = 4
# How many pairs of new networks are tried, in all.
TRIALS: Final = 64

# The local and the remote network of a pair.
Networks = tuple[str, str]
K = TypeVar("K", bound=Hashable)


class Spare(Generic[K]):
    """A pair, and what is known of it.

    Attributes:
        pair: The pair.
        networks: Those that it leads between.
        rank: Its place among all pairs; the lowest is the best.
        round_trip: How long its answers take.
        answered_at: When it answered last.
        proved_at: When it was asked what it has answered last.
        asked_at: When it was asked last.
        heard: Whether traffic has come in on it that nobody has looked at yet.
        claimed: Whether the other end has said that it sends here from now on.
    """

    def __init__(self, pair: K, networks: Networks, rank: int) -> None:
        self.pair = pair
        self.networks = networks
        self.rank = rank
        self.round_trip = RoundTrip()
        self.answered_at = self.proved_at = self.asked_at = -math.inf
        self.heard = False
        self.claimed = False
        self._waiting_since: float | None = None
        self._unanswered = 0
        self._due_at = -math.inf

    @property
    def has_worked(self) -> bool:
        """Whether it has ever answered."""
        return self.answered_at > -math.inf

    def works(self, now: float, lifetime: float = math.inf) -> bool:
        """Say if it is known to work, and the other end's consent to send there is in force."""
        if now - self.answered_at >= lifetime:
            return False
        waiting = self._waiting_since
        return waiting is None or now - waiting < PATIENCE

    def due_at(self) -> float:
        """Return when it is to be asked again."""
        if not self.has_worked and self._unanswered >= TRIES:
            return math.inf
        return self._due_at

    def ask(self, now: float, interval: float) -> None:
        """Note that it is asked.

        Args:
            now: The time.
            interval: How long it is until the next time, if it answers.
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
            self._due_at = now + interval * min(LONGEST_REST, 1 << min(repeated, LONGEST_REST))

    def answer(self, now: float, asked_at: float, interval: float) -> None:
        """Note that it has answered what it was asked then."""
        self.round_trip.measure(now - asked_at)
        self.answered_at = now
        self.proved_at = max(self.proved_at, asked_at)
        self._waiting_since = None
        self._unanswered = 0
        self._due_at = max(self.asked_at, now) + interval

    def fail(self, now: float) -> None:
        """Note that it doesn't work now."""
        self._waiting_since = now - PATIENCE
        self._due_at = now

    def try_again(self, now: float) -> None:
        """Ask it as if it was new, unless it works."""
        if self._waiting_since is not None:
            self._unanswered = 0
            self._due_at = now


class Spares(Generic[K]):
    """The pairs beside the one in use.

    Args:
        limit: How many that work are kept, each between other networks.
        interval: From one question to the next, of all in turn.
        vary: Makes an interval a little shorter or longer, so that many don't keep step.
    """

    def __init__(
        self, limit: int, interval: float = INTERVAL, vary: Callable[[float], float] = float
    ) -> None:
        self.selected: Spare[K] | None = None
        self._limit = limit
        self._interval = interval
        self._vary = vary
        self._all: dict[K, Spare[K]] = {}
        self._trials = TRIALS

    def __iter__(self) -> Iterator[Spare[K]]:
        return iter(list(self._all.values()))

    def get(self, pair: K) -> Spare[K] | None:
        """Return what is known of a pair."""
        return self._all.get(pair)

    def select(self, pair: K, networks: Networks, now: float) -> Spare[K]:
        """Take note of the pair in use, which is none of the spares."""
        self.selected = self._all.get(pair) or self.add(pair, networks)
        self.selected.answered_at = max(self.selected.answered_at, now)
        return self.selected

    def add(self, pair: K, networks: Networks, rank: int | None = None) -> Spare[K]:
        """Add a pair."""
        spare = Spare(pair, networks, len(self._all) if rank is None else rank)
        self._all[pair] = spare
        return spare

    def offer(self, pairs: Sequence[tuple[K, Networks]]) -> list[K]:
        """Take some of the pairs that aren't known yet, to be tried; the first ones are the best.

        Returns:
            Those that are taken.
        """
        taken: list[K] = []
        # Two of the same networks, as one of the addresses may be unreachable.
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

    def forget_others(self, pairs: Iterable[K]) -> None:
        """Know only of these pairs any more."""
        kept = set(pairs)
        for pair in [pair for pair in self._all if pair not in kept]:
            del self._all[pair]
        if self.selected is not None and self.selected.pair not in kept:
            self.selected = None

    def forgive(self, now: float) -> None:
        """Try those again that didn't answer: the networks have changed."""
        self._trials = max(self._trials, TRIALS // 4)
        for spare in self._all.values():
            spare.try_again(now)

    def kept(self, now: float) -> list[Spare[K]]:
        """Return the spares that are kept, the best first, and those that may come back."""
        known = [s for s in self._all.values() if s is not self.selected and s.has_worked]
        working = [s for s in known if s.works(now)]
        resting = sorted((s for s in known if not s.works(now)), key=lambda s: -s.answered_at)
        chosen: list[Spare[K]] = []
        while working and len(chosen) < self._limit:
            best = min(working, key=lambda s: self._worth(s, chosen))
            chosen.append(best)
            working = [s for s in working if s.networks != best.networks]
        networks = {s.networks for s in chosen}
        return chosen + [s for s in resting if s.networks not in networks][: self._limit]

    def best(self, now: float, lifetime: float, since: float = -math.inf) -> Spare[K] | None:
        """Return the best spare that works, of those that were proved since then, or None."""
        usable = (s for s in self._all.values() if s is not self.selected)
        fresh = [s for s in usable if s.works(now, lifetime) and s.proved_at >= since]
        return min(fresh, key=lambda s: self._worth(s, ()), default=None)

    def due(self, now: float) -> list[Spare[K]]:
        """Return those that are to be asked now: the kept ones, and those to be tried."""
        return [s for s in [*self.kept(now), *self._untried()] if s.due_at() <= now]

    def next_time(self, now: float) -> float:
        """Return when one is to be asked next."""
        times = [s.due_at() for s in [*self.kept(now), *self._untried()]]
        return min(times, default=math.inf)

    def interval(self, now: float) -> float:
        """Return how long it is from one question to the next of the same spare."""
        return self._vary(self._interval * max(1, len(self.kept(now))))

    def _untried(self) -> list[Spare[K]]:
        return [s for s in self._all.values() if s is not self.selected and not s.has_worked]

    def _worth(self, spare: Spare[K], chosen: Sequence[Spare[K]]) -> tuple[int, int, int]:
        overlap = sum(_in_common(spare.networks, other.networks) for other in chosen)
        return self._shared(spare.networks), overlap, spare.rank

    def _shared(self, networks: Networks) -> int:
        """Return how many networks a pair has in common with the one in use."""
        return 0 if self.selected is None else _in_common(networks, self.selected.networks)


def _in_common(networks: Networks, others: Networks) -> int:
    return sum(one == other for one, other in zip(networks, others, strict=True))
