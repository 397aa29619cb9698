"""Keeping other paths ready beside the one in use, and going over to one without signaling."""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from typing import Any, Final

from ...seam import CandidatePair
from .announcement import Announcement
from .doubt import TICK, Doubt, Verdict
from .kept import Kept, Reason, Watch
from .networks import networks_of, unknown_pairs
from .requests import Questions
from .spares import Spare, Spares

__all__ = ["PathKeeper"]

# How many seconds after the nomination others are tried, which leaves the handshake its turn, and
# how many there are from one to the next.
BEGINNING: Final = 0.1
PACE: Final = 0.01
# How often all are asked while the one in use is in doubt, and while it is lost.
URGENCY: Final = 0.1
DISTRESS: Final = 0.25
# How long a spare has to answer before it is told that the one in use is lost, if none has been
# asked shortly before.
GRACE: Final = 0.3
# How often the pair may be changed in short order because the other end wants it so, and how many
# seconds it takes to win one of these changes back.
CHANGES: Final = 8
RECOVERY: Final = 0.5

logger = logging.getLogger(__name__)


class PathKeeper:
    """Keeps spares of a connection's pair in use, and lets one take over when that fails.

    Nothing that isn't authenticated moves it: a spare is used only if it has answered a request of
    ours, signed, within the lifetime of consent.

    Args:
        connection: The connection.
        watch: What watches its pair in use.
        lifetime: Returns how long an answer gives consent, which may change at any time.
    """

    def __init__(self, connection: Kept, watch: Watch, lifetime: Callable[[], float]) -> None:
        now = asyncio.get_running_loop().time()
        self._connection = connection
        self._watch = watch
        self._lifetime = lifetime
        self._spares: Spares[CandidatePair] = Spares(connection.settings.spares, vary=vary)
        self._doubt = Doubt(now)
        self._announcement = Announcement(connection)
        self._questions = Questions(connection, self._take_answer)
        self._alarm: asyncio.TimerHandle | None = None
        self._due_at = now
        self._distressed = False
        # Whether there is a spare, without which nobody looks at the traffic, and whether the
        # host has got another address since there was none.
        self._ready = False
        self._expectant = False
        # Whether nothing will get through on the pair in use, for certain.
        self._gone = False
        # When it is to be told that the pair in use is lost.
        self._report_at = math.inf
        # When all were asked last, whether what was lost was sent again in this doubt, and where it
        # is sent to.
        self._asked_all_at = -DISTRESS
        self._repeated = False
        self._hedged: CandidatePair | None = None
        self._sync_at: float | None = now + BEGINNING
        self._paced_until = 0.0
        # The highest number of a nomination of the other end.
        self._nomination = 0
        self._changes = float(CHANGES)
        self._changed_at = now
        self._running = False

    # What the connection calls.

    def start(self) -> None:
        """Begin to keep spares."""
        self._running = True
        self.selected_changed()

    def stop(self) -> None:
        """Keep none any more."""
        self._running = False
        self._announcement.stop()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._questions.stop()
        for protocol in self._connection.protocols:
            protocol.apart.clear()
        self._set_hedge(None)

    def packet_came(self) -> None:
        """Take note of the first packet on the pair in use since the last look."""
        if self._ready and not self._doubt.flowing:
            self._look_in(TICK)

    def traffic_came(self) -> None:
        """Take note that traffic has come in on a spare."""
        self._look_in(TICK)

    def pairs_changed(self) -> None:
        """Take note that there are candidates that weren't there before."""
        if self._sync_at is None and self._running:
            self._sync_at = asyncio.get_running_loop().time() + PACE
            self._look_in(PACE)

    def networks_changed(self) -> None:
        """Try all pairs again that didn't answer."""
        self._spares.forgive(asyncio.get_running_loop().time())
        self._expectant = not self._ready
        self.pairs_changed()
        self._look_in(0)

    def selected_changed(self) -> None:
        """Take note that another pair is in use."""
        pair = self._connection.selected_pair
        if pair is None or not self._running:
            return
        now = asyncio.get_running_loop().time()
        before = self._spares.selected
        if before is None or before.pair is not pair:
            self._take_note(pair, now)
        self._look_in(BEGINNING)

    def path_lost(self) -> bool:
        """Go over to a spare if there is one, as the pair in use seems lost.

        Returns:
            Whether that needn't be told: another one is in use, or may soon be.
        """
        now = asyncio.get_running_loop().time()
        best = self._spares.best(now, self._lifetime(), now - GRACE)
        if best is not None:
            self._take_over(best, "silence")
            return True
        # Those that didn't work when they were asked last may do so by now.
        hopeful = bool(self._spares.kept(now))
        self._distressed = True
        self._report_at = now + GRACE if hopeful else math.inf
        self._asked_all_at = -DISTRESS
        self._look_in(0)
        return hopeful

    def path_gone(self) -> None:
        """Go over to a spare, or to the next pair that answers: the one in use is gone for certain.

        Without effect if that was the case a short while ago, too.
        """
        now = asyncio.get_running_loop().time()
        if self._gone or not self.may_change(now):
            return
        best = self._spares.best(now, self._lifetime())
        if best is not None:
            self._take_over(best, "gone")
            self._connection.repeat_lost()
            return
        self._gone = True
        if self._doubt.begin(now):
            self._begin_doubt(now)
            self._look_in(TICK)

    def pair_gone(self, pair: CandidatePair) -> None:
        """Take note that a spare doesn't work for now."""
        spare = self._spares.get(pair)
        if spare is not None:
            spare.fail(asyncio.get_running_loop().time())

    def request_came(self, pair: CandidatePair, *, claims: bool, nominates: bool) -> None:
        """Take note of a signed request on a pair.

        Args:
            pair: The pair.
            claims: Whether the other end, which is controlled, says that it sends there from now
                on, by the number of a nomination that is higher than all before.
            nominates: Whether it nominates the pair.
        """
        now = asyncio.get_running_loop().time()
        selected = self._connection.selected_pair
        if pair is selected:
            # Checks alone say nothing: others check what they don't use, too.
            if nominates:
                self._announcement.heard()
        elif self._spares.get(pair) is None:
            self.pairs_changed()
        if not claims or pair is selected:
            return
        spare = self._spares.get(pair) or self._spares.add(pair, networks_of(pair))
        spare.claimed = True
        if spare.works(now, self._lifetime()) and self.may_change(now):
            self._take_over(spare, "peer")
        else:
            self._ask(spare, now)

    def admits(self, number: int | None, *, nominates: bool, elsewhere: bool) -> bool:
        """Say if a signed request of the other end counts that nominates a pair, or claims it.

        Args:
            number: The number of the nomination, if it has one. These rise: what comes late, or is
                sent again by a stranger, is dropped.
            nominates: Whether the other end controls.
            elsewhere: Whether it isn't the pair in use.
        """
        if number is not None:
            if number <= self._nomination:
                return False
            self._nomination = number
        now = asyncio.get_running_loop().time()
        return not (nominates and elsewhere) or self.may_change(now)

    def may_change(self, now: float) -> bool:
        """Say if the other end may have the pair changed once more, and count that."""
        won = (now - self._changed_at) / RECOVERY
        self._changes = min(float(CHANGES), self._changes + won)
        self._changed_at = now
        if self._changes < 1:
            return False
        self._changes -= 1
        return True

    # Looking.

    def _look_in(self, delay: float) -> None:
        if not self._running:
            return
        loop = asyncio.get_running_loop()
        due_at = loop.time() + delay
        if self._alarm is not None:
            if self._alarm.when() <= due_at:
                return
            self._alarm.cancel()
        self._due_at = due_at
        self._alarm = loop.call_at(due_at, self._look)

    def _look(self) -> None:
        self._alarm = None
        now = asyncio.get_running_loop().time()
        self._watch.note_traffic()
        if self._watch.heard_at > self._doubt.heard_at:
            self._doubt.hear(self._watch.heard_at)
            self._announcement.heard()
        self._look_apart(now)
        if self._doubt.look(now, now - self._due_at):
            self._begin_doubt(now)
        self._look_closer(now)
        if self._sync_at is not None and now >= self._sync_at:
            self._sync_at = None
            self._find_others()
        self._ask_those_due(now)
        self._set_alarm(now)

    def _set_alarm(self, now: float) -> None:
        self._ready = self._spares.best(now, self._lifetime()) is not None
        times = [self._spares.next_time(now)]
        if self._sync_at is not None:
            times.append(self._sync_at)
        due_at = max(min(times), self._paced_until)
        if self._doubt.since is not None or (self._ready and self._doubt.flowing):
            due_at = min(due_at, now + TICK)
        elif self._distressed:
            due_at = min(due_at, self._asked_all_at + DISTRESS, self._report_at)
        if due_at < now + 3600:
            self._look_in(due_at - now)

    def _look_apart(self, now: float) -> None:
        heard = [spare for spare in self._spares if spare.heard]
        for spare in heard:
            spare.heard = False
        # The other end sends there and not here: it has its reasons.
        if heard and now - self._doubt.heard_at > TICK and self._doubt.begin(now):
            self._begin_doubt(now)

    def _begin_doubt(self, now: float) -> None:
        logger.debug("Nothing comes in on %s", self._connection.selected_pair)
        self._repeated = False
        self._asked_all_at = now
        self._watch.ask_now()
        for spare in self._spares.kept(now):
            self._ask(spare, now)
        best = self._spares.best(now, self._lifetime())
        self._set_hedge(None if best is None else best.pair)

    def _look_closer(self, now: float) -> None:
        if self._distressed:
            self._look_in_distress(now)
        since = self._doubt.since
        if since is None:
            self._set_hedge(None)
            return
        if self._watch.answered_at > since:
            self._doubt.end()
            self._set_hedge(None)
            return
        proved = self._spares.best(now, self._lifetime(), since)
        if proved is not None:
            self._set_hedge(proved.pair)
            if not self._repeated:
                self._repeated = True
                self._connection.repeat_lost()
        self._repeat_questions(now, since)
        proved_at = None if proved is None else proved.answered_at
        verdict = self._doubt.judge(now, proved_at, self._watch.round_trip.timeout(0))
        if verdict is Verdict.SWITCH and proved is not None:
            self._take_over(proved, "silence")
        elif verdict is Verdict.GIVE_UP:
            self._doubt.end()
            self._set_hedge(None)

    def _repeat_questions(self, now: float, since: float) -> None:
        pause = TICK if now < since + 3 * TICK else URGENCY
        if now >= self._asked_all_at + pause:
            self._asked_all_at = now
            self._watch.ask_now()
            for spare in self._spares.kept(now):
                if spare.proved_at < since:
                    self._ask(spare, now)

    def _look_in_distress(self, now: float) -> None:
        if not self._watch.lost:
            self._distressed = False
            return
        if now >= self._report_at:
            self._report_at = math.inf
            self._connection.path_stays_lost()
        if now >= self._asked_all_at + DISTRESS:
            self._asked_all_at = now
            for spare in self._spares.kept(now):
                self._ask(spare, now)

    def _set_hedge(self, pair: CandidatePair | None) -> None:
        if pair is not self._hedged:
            self._hedged = pair
            self._connection.hedge(pair)

    # Spares.

    def _take_note(self, pair: CandidatePair, now: float) -> None:
        before = self._spares.selected
        self._announcement.stop()
        self._doubt.move(now)
        self._distressed = self._gone = False
        self._set_hedge(None)
        spare = self._spares.select(pair, networks_of(pair), now)
        spare.claimed = False
        apart_of(pair).pop(pair.remote_addr, None)
        if before is not None and before is not spare:
            before.fail(now)
            apart_of(before.pair)[before.pair.remote_addr] = before
        if self._sync_at is None:
            self._sync_at = now + BEGINNING

    def _take_over(self, spare: Spare[CandidatePair], reason: Reason) -> None:
        logger.debug("Sending on %s from now on: %s", spare.pair, reason)
        self._connection.use_pair(spare.pair, reason)
        self._announcement.start(spare.pair, spare.round_trip.timeout(0))
        self._watch.pair_changed()

    def _find_others(self) -> None:
        connection = self._connection
        selected = connection.selected_pair
        if selected is None:
            return
        listed = connection.check_list
        self._spares.forget_others([*listed, selected])
        others = [p for p in [*listed, *unknown_pairs(connection)] if p is not selected]
        offered = [(p, networks_of(p)) for p in connection.schedule.in_order(others)]
        listed_now = set(listed)
        for pair in self._spares.offer(offered):
            if pair not in listed_now:
                connection.append_pair(pair)

    def _ask_those_due(self, now: float) -> None:
        if now < self._paced_until:
            return
        due = [s for s in self._spares.due(now) if not self._connection.is_dead(s.pair)]
        if due:
            self._paced_until = now + PACE
            self._ask(due[0], now)

    def _ask(self, spare: Spare[CandidatePair], now: float) -> None:
        spare.ask(now, self._spares.interval(now))
        if not self._connection.is_dead(spare.pair):
            self._questions.ask(spare.pair, now, self._lifetime())

    def _take_answer(self, pair: CandidatePair, asked_at: float) -> None:
        now = asyncio.get_running_loop().time()
        spare = self._spares.get(pair)
        if spare is None or pair is self._connection.selected_pair:
            return
        self._connection.found_to_work(pair, now - asked_at)
        spare.answer(now, asked_at, self._spares.interval(now))
        apart_of(pair)[pair.remote_addr] = spare
        if spare.claimed and self.may_change(now):
            self._take_over(spare, "peer")
        elif self._watch.lost or self._gone:
            self._take_over(spare, "gone" if self._gone else "silence")
            self._connection.repeat_lost()
        elif self._doubt.since is not None:
            self._look_closer(now)
        elif not self._ready:
            self._get_ready(now)

    def _get_ready(self, now: float) -> None:
        # Nobody has looked at the traffic. Where the network has just come up, the pair in use may
        # have failed at the same time.
        self._ready = True
        self._watch.note_traffic()
        self._doubt.hear(now)
        if self._expectant and self._doubt.begin(now):
            self._begin_doubt(now)
        self._expectant = False
        self._look_in(TICK)


def apart_of(pair: CandidatePair) -> dict[tuple[str, int], Spare[CandidatePair]]:
    """Return what a pair's socket knows of the paths beside the one in use."""
    socket: Any = pair.protocol
    apart: dict[tuple[str, int], Spare[CandidatePair]] = socket.apart
    return apart


def vary(interval: float) -> float:
    """Vary an interval, so that many connections don't keep step."""
    return interval * random.uniform(0.8, 1.2)  # noqa: S311  no secret
