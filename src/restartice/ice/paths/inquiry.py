"""Probes spare pairs to find out which ones work."""

import random
from collections.abc import Callable
from typing import Any, Final

from ...seam import CandidatePair
from .kept import Kept
from .networks import networks_of, unknown_pairs
from .preference import Preference
from .ranks import NetworkRanks
from .requests import Questions
from .spares import Spare, Spares

__all__ = ["EARLY", "PACE", "Inquiry", "apart_of"]

# The shortest pause between two probes, in seconds.
PACE: Final = 0.01
# How many seconds before it is due a spare is asked along with the pair in use, which is asked for
# consent each 5 seconds or so.
EARLY: Final = 6.0


class Inquiry:
    """Finds the pairs that may become spares of a connection, and probes them.

    Args:
        connection: The connection.
        lifetime: Returns how long an answer gives consent; this may change at any time.
        on_answer: Called with the pair that answered, and the time of the probe.

    Attributes:
        spares: The pairs.
        preference: Chooses pairs of preferred networks.
        paced_until: When the next regular probe may be sent.
    """

    def __init__(
        self,
        connection: Kept,
        lifetime: Callable[[], float],
        on_answer: Callable[[CandidatePair, float], None],
    ) -> None:
        settings = connection.settings
        self.spares: Spares[CandidatePair]
        self.paced_until = 0.0
        self._ranks: NetworkRanks | None = None
        if settings.prefer is None:
            self.spares = Spares(settings.spares, vary=vary)
        else:
            self._ranks = NetworkRanks(settings.prefer, connection.log)
            self.spares = Spares(settings.spares, vary=vary, standing=self._ranks)
        self._connection = connection
        self.preference = Preference(self.spares, connection.reputation)
        self._lifetime = lifetime
        self._questions = Questions(connection, on_answer)

    def stop(self) -> None:
        """Stop probing, and ignore answers."""
        self._questions.stop()
        for protocol in self._connection.protocols:
            protocol.apart.clear()

    def networks_changed(self, now: float) -> None:
        """Probe silent pairs again, and look up the networks of all pairs."""
        if self._ranks is not None:
            self._ranks.forget()
            self.spares.rank_again()
        self.spares.forgive(now)

    def find_others(self) -> None:
        """Add new pairs as spares to try, and forget removed pairs."""
        connection = self._connection
        selected = connection.selected_pair
        if selected is None:
            return
        listed = [pair for pair in connection.check_list if not connection.is_dead(pair)]
        self.spares.forget_others([*listed, selected])
        others = [p for p in [*listed, *unknown_pairs(connection)] if p is not selected]
        offered = [(p, networks_of(p)) for p in connection.schedule.in_order(others)]
        listed_now = set(listed)
        for pair in self.spares.offer(offered):
            if pair not in listed_now:
                connection.append_pair(pair)

    def ask_next(self, now: float) -> None:
        """Probe the first spare that is due, if the pace allows it."""
        if now < self.paced_until:
            return
        if due := self.spares.due(now):
            self.paced_until = now + PACE
            self.ask(due[0], now)

    def ask_early(self, now: float) -> None:
        """Ask those that are due soon, all at once."""
        for spare in self.spares.due(now + EARLY):
            if spare.works(now):
                self.ask(spare, now)

    def ask_all(self, now: float, since: float | None = None) -> None:
        """Probe all kept spares, except those that answered a probe sent after `since`."""
        for spare in self.spares.kept(now):
            if since is None or spare.proved_at < since:
                self.ask(spare, now)

    def ask(self, spare: Spare[CandidatePair], now: float) -> None:
        """Probe a spare."""
        spare.ask(now, self._interval(spare, now))
        self._questions.ask(spare.pair, now, self._lifetime())

    def take_answer(self, pair: CandidatePair, asked_at: float, now: float) -> None:
        """Note the answer of a pair."""
        spare = self.spares.get(pair)
        if spare is not None:
            self._connection.found_to_work(pair, now - asked_at)
            spare.answer(now, asked_at, self._interval(spare, now))
            apart_of(pair)[pair.remote_addr] = spare

    def _interval(self, spare: Spare[CandidatePair], now: float) -> float:
        return min(self.spares.interval(now), self.preference.question_interval(spare))


def apart_of(pair: CandidatePair) -> dict[tuple[str, int], Spare[CandidatePair]]:
    """Return the spares known to a pair's socket, by remote address."""
    socket: Any = pair.protocol
    apart: dict[tuple[str, int], Spare[CandidatePair]] = socket.apart
    return apart


def vary(interval: float) -> float:
    """Vary an interval, so that many connections don't keep step."""
    return interval * random.uniform(0.8, 1.2)  # noqa: S311  no secret
