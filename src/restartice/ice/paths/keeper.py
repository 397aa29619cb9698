"""Keeps spare paths ready, and switches to one without signaling."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from ...seam import CandidatePair
from .announcement import Announcement
from .doubt import DURATION, TICK, Doubt, Verdict
from .fresh_port import FreshPort
from .inquiry import EARLY, PACE, Inquiry, apart_of
from .kept import Kept, Reason, Watch
from .networks import networks_of
from .peer_moves import PeerMoves
from .spares import Spare

__all__ = ["PathKeeper"]

# How many seconds after the nomination to try spares; the DTLS handshake goes first.
BEGINNING: Final = 0.1
# How often to probe all spares while the pair in use is in doubt, and while it is lost, in seconds.
URGENCY: Final = 0.1
DISTRESS: Final = 0.25
# How late a look may be, and how soon the next look comes then, in seconds; before that the event
# loop reads its sockets.
LATE: Final = 2 * TICK
REREADING: Final = 0.001
# How long the peer's traffic may pause after a switch if it is unknown how long it usually does, in
# seconds.
RESUMPTION: Final = 0.2
# How long to wait for a spare's answer before the pair in use is reported lost, in seconds.
GRACE: Final = 0.3


class PathKeeper:
    """Keeps spares of a connection's pair in use, and switches to one when that pair fails.

    Only authenticated packets cause a switch: a spare is used only if the peer has answered one of
    our requests on it, with a valid signature, within the lifetime of consent.

    Args:
        connection: The connection.
        watch: Watches the pair in use.
        lifetime: Returns how long an answer gives consent; this may change at any time.
    """

    def __init__(self, connection: Kept, watch: Watch, lifetime: Callable[[], float]) -> None:
        now = asyncio.get_running_loop().time()
        self._connection = connection
        self._watch = watch
        self._lifetime = lifetime
        self._inquiry = Inquiry(connection, lifetime, self._take_answer)
        self._spares = self._inquiry.spares
        self._peer = PeerMoves(now)
        self._preference = self._inquiry.preference
        # When we last told the peer that we prefer the pair in use to the one it wants.
        self._refused_at = -math.inf
        self._doubt = Doubt(now)
        self._fresh = FreshPort(connection, self._ask_afresh)
        self._announcement = Announcement(connection, self._fresh.open, watch.pair_refused)
        self._alarm: asyncio.TimerHandle | None = None
        self._due_at = now
        # How long the program was too busy to look, since traffic came in last, in seconds.
        self._missed = 0.0
        # Whether the sockets have been read since a look that was late.
        self._reread = False
        self._distressed = False
        # Whether there is a spare, or one that may come back; the traffic is watched only then. And
        # whether the host got a new address while there was none.
        self._ready = False
        self._expectant = False
        # Since when the pair in use has certainly failed, or None.
        self._gone_at: float | None = None
        # When to report that the pair in use is lost.
        self._report_at = math.inf
        # When all spares were probed last, whether lost packets were repeated in this doubt, and
        # the second pair that packets are sent on.
        self._asked_all_at = -DISTRESS
        self._repeated = False
        self._hedged: CandidatePair | None = None
        self._sync_at: float | None = now + BEGINNING
        self._running = False

    # Called by the connection.

    @property
    def spare_addresses(self) -> frozenset[str]:
        """The local addresses of spares that have answered within the lifetime of consent."""
        now = asyncio.get_running_loop().time()
        spares = self._spares.recent(now, self._lifetime())
        return frozenset(spare.pair.local_candidate.host for spare in spares)

    def start(self) -> None:
        """Start keeping spares."""
        self._running = True
        self.selected_changed()

    def stop(self) -> None:
        """Stop keeping spares."""
        self._running = False
        self._announcement.stop()
        self._fresh.stop()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._inquiry.stop()
        self._set_hedge(None)

    def packet_came(self) -> None:
        """Note the first packet on the pair in use since the last look."""
        if self._ready and not self._doubt.flowing:
            self._look_in(TICK)

    def consent_asked(self) -> None:
        """Ask the spares along with the pair in use, which saves waking up for them."""
        now = asyncio.get_running_loop().time()
        if self._spares.idle and self._alarm is not None and self._alarm.when() < now + EARLY:
            self._inquiry.ask_early(now)

    def traffic_came(self) -> None:
        """Note that traffic came in on a spare."""
        self._look_in(TICK)

    def pairs_changed(self) -> None:
        """Note that there are new candidates."""
        if self._sync_at is None and self._running:
            self._sync_at = asyncio.get_running_loop().time() + PACE
            self._look_in(PACE)

    def networks_changed(self) -> None:
        """Probe silent pairs again."""
        self._inquiry.networks_changed(asyncio.get_running_loop().time())
        self._expectant = not self._ready
        self.pairs_changed()
        self._look_in(0)

    def selected_changed(self) -> None:
        """Note that another pair is in use."""
        pair = self._connection.selected_pair
        if pair is None or not self._running:
            return
        now = asyncio.get_running_loop().time()
        before = self._spares.selected
        if before is None or before.pair is not pair:
            self._take_note(pair, now)
        self._look_in(BEGINNING)

    def path_lost(self) -> bool:
        """Switch to a spare if there is one: the pair in use seems lost.

        Returns:
            True if the loss needn't be reported: a spare is in use, or may soon be.
        """
        now = asyncio.get_running_loop().time()
        best = self._spares.best(now, self._lifetime(), now - GRACE)
        if best is not None and not self._watch.refused:
            self._take_over(best, "silence")
            return True
        hopeful = self._spares.hopeful() and not self._watch.refused
        self._distressed = True
        self._report_at = now + GRACE if hopeful else math.inf
        self._asked_all_at = -DISTRESS
        self._look_in(0)
        return hopeful

    def path_gone(self) -> None:
        """Switch to a spare, or to the next pair that answers: the pair in use has failed for good.

        Has no effect shortly after the last such switch.
        """
        now = asyncio.get_running_loop().time()
        if self._gone_at is not None or not self._peer.may_change(now):
            return
        best = self._spares.best(now, self._lifetime())
        if best is not None:
            self._take_over(best, "gone")
            self._connection.repeat_lost()
            return
        self._gone_at = now
        if self._doubt.begin(now):
            self._begin_doubt(now)
            self._look_in(TICK)

    def pairs_died(self, pairs: list[CandidatePair]) -> None:
        """Note that nothing will ever get through on some pairs again."""
        for pair in pairs:
            self._spares.forget(pair)
        if self._connection.selected_pair in pairs:
            self.path_gone()

    def pair_gone(self, pair: CandidatePair) -> None:
        """Note that a spare doesn't work for now."""
        spare = self._spares.get(pair)
        if spare is not None:
            spare.fail(asyncio.get_running_loop().time())

    def request_came(self, pair: CandidatePair, *, claims: bool, nominates: bool) -> None:
        """Note a signed request on a pair.

        Args:
            pair: The pair.
            claims: Whether the controlled peer announces that it sends on this pair from now on, by
                a nomination number higher than all before.
            nominates: Whether the peer nominates the pair.
        """
        now = asyncio.get_running_loop().time()
        selected = self._connection.selected_pair
        if pair is selected:
            # Checks alone say little: other stacks also check pairs that they don't use.
            self._announcement.checked()
            if nominates:
                self._announcement.heard(now)
        elif (asked := self._spares.get(pair)) is None:
            self.pairs_changed()
        elif asked.was_asked_for(now):
            self._look_in(PACE)
        if not claims or pair is selected:
            return
        spare = self._spares.get(pair) or self._spares.add(pair, networks_of(pair))
        if selected is not None and self._refuses(spare, now):
            self._announcement.start(selected, self._watch.round_trip.timeout(0))
            return
        spare.claim(claimed=True)
        if spare.works(now, self._lifetime()) and self._peer.may_change(now):
            self._take_over(spare, "peer")
        else:
            self._inquiry.ask(spare, now)

    def admits(self, number: int | None, *, nominates: bool, elsewhere: bool) -> bool:
        """Return whether to accept a signed request that nominates or announces a pair.

        Args:
            number: The nomination number, or None. The numbers rise: a late request, or one
                replayed by a stranger, isn't accepted.
            nominates: Whether the peer is the controlling side.
            elsewhere: Whether the request is for another pair than the one in use.
        """
        now = asyncio.get_running_loop().time()
        return self._peer.admits(number, now, nominates=nominates, elsewhere=elsewhere)

    def _refuses(self, spare: Spare[CandidatePair], now: float) -> bool:
        # The peer may have left the pair in use because that fails. If so, we hear nothing there,
        # and our refusal doesn't arrive, so the peer takes the controlling role.
        selected = self._spares.selected
        if selected is None or not selected.standing.beats(spare.standing):
            return False
        self._watch.note_traffic()
        if not self._trusted or self._watch.heard_at <= self._refused_at:
            return False
        self._refused_at = now
        return True

    @property
    def _trusted(self) -> bool:
        """Whether nothing speaks against the pair in use."""
        return self._doubt.since is None and not self._watch.lost and self._gone_at is None

    # The regular look at the pairs.

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
        late = now - self._due_at
        if late > LATE and not self._reread:
            # What has come in meanwhile is to be read first, and to be taken for no gap.
            self._missed += late
            self._reread = True
            self._look_in(REREADING)
            return
        self._reread = False
        self._watch.note_traffic()
        if self._watch.heard_at > self._doubt.heard_at:
            self._doubt.hear(self._watch.heard_at, self._missed)
            self._missed = 0.0
            self._announcement.heard(self._watch.traffic_at)
        if self._gone_at is not None and self._watch.answered_at > self._gone_at:
            # The address is back, or the relay has followed.
            self._gone_at = None
            self._connection.repeat_lost()
        self._look_apart(now)
        if self._doubt.look(now):
            self._begin_doubt(now)
        self._look_closer(now)
        self._look_for_better(now)
        if self._sync_at is not None and now >= self._sync_at:
            self._sync_at = None
            self._inquiry.find_others()
        self._spares.note_traffic(flowing=self._doubt.flowing)
        self._inquiry.ask_next(now)
        self._set_alarm(now)

    def _set_alarm(self, now: float) -> None:
        self._ready = self._spares.hopeful()
        if self._doubt.since is not None or (self._ready and self._doubt.flowing):
            self._look_in(TICK)
            return
        times = [self._spares.next_time(now), self._preference.wake_at]
        if self._sync_at is not None:
            times.append(self._sync_at)
        due_at = max(min(times), self._inquiry.paced_until)
        if self._distressed:
            due_at = min(due_at, self._asked_all_at + DISTRESS, self._report_at)
        if due_at < now + 3600:
            self._look_in(due_at - now)

    def _look_apart(self, now: float) -> None:
        heard = [spare for spare in self._spares if spare.take_heard()]
        for spare in heard if self._watch.refused else ():
            # The peer sends where it was before, so that works again.
            if not spare.claimed:
                spare.claim(claimed=True)
                self._inquiry.ask(spare, now)
        # The peer sends on a spare and not on the pair in use, so it has probably left that pair.
        # While a call begins, others send now here, now there; a stranger may forge the address.
        apart = heard and now - self._doubt.heard_at > TICK
        if apart and self._doubt.begin(now, reserve=1):
            self._begin_doubt(now)

    def _begin_doubt(self, now: float) -> None:
        self._connection.log.debug("nothing comes in on %s", self._connection.selected_pair)
        self._repeated = False
        self._asked_all_at = now
        self._watch.ask_now()
        self._inquiry.ask_all(now)
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

    def _look_for_better(self, now: float) -> None:
        if not self._trusted:
            self._preference.rest()
            return
        controlling = self._connection.ice_controlling
        better = self._preference.choose(now, self._lifetime(), controlling=controlling)
        if better is None:
            return
        if self._preference.is_fresh(better, now):
            self._take_over(better, "preferred")
        elif self._preference.wake_at <= now:
            self._inquiry.ask(better, now)
            self._preference.is_fresh(better, now)

    def _repeat_questions(self, now: float, since: float) -> None:
        pause = TICK if now < since + 3 * TICK else URGENCY
        if now >= self._asked_all_at + pause:
            self._asked_all_at = now
            self._watch.ask_now()
            self._inquiry.ask_all(now, since)

    def _look_in_distress(self, now: float) -> None:
        if not self._watch.lost:
            self._distressed = False
            return
        if now >= self._report_at:
            self._report_at = math.inf
            self._connection.path_stays_lost()
        if now >= self._asked_all_at + DISTRESS:
            self._asked_all_at = now
            self._inquiry.ask_all(now)

    def _set_hedge(self, pair: CandidatePair | None) -> None:
        if pair is not self._hedged:
            self._hedged = pair
            self._connection.hedge(pair)

    # Spares.

    def _take_note(self, pair: CandidatePair, now: float) -> None:
        before = self._spares.selected
        self._announcement.stop()
        self._fresh.stop()
        self._distressed, self._gone_at = False, None
        self._set_hedge(None)
        spare = self._spares.select(pair, networks_of(pair), now)
        stopped = self._connection.reason not in {"peer", "preferred"}
        self._doubt.move(now, None if stopped else 2 * spare.round_trip.timeout(TICK))
        spare.claim(claimed=False)
        apart_of(pair).pop(pair.remote_addr, None)
        if before is not None and before is not spare:
            self._leave(before, spare, now)
            apart_of(before.pair)[before.pair.remote_addr] = before
        if self._sync_at is None:
            self._sync_at = now + BEGINNING

    def _leave(self, before: Spare[CandidatePair], spare: Spare[CandidatePair], now: float) -> None:
        reason, reputation = self._connection.reason, self._connection.reputation
        if reason == "preferred":
            reputation.took(spare, before, now)
            # The pair that we left still works.
            before.worked_until(self._watch.answered_at)
        else:
            refused = reason == "peer" and not self._announcement.followed
            reputation.left(spare, now, refused=refused)
            before.fail(now)

    def _take_over(self, spare: Spare[CandidatePair], reason: Reason) -> None:
        now = asyncio.get_running_loop().time()
        patience = math.inf if reason == "peer" else self._patience(now)
        self._connection.log.info("switched to %s: %s", spare.pair, reason)
        self._connection.use_pair(spare.pair, reason)
        self._announcement.start(spare.pair, spare.round_trip.timeout(0), patience)
        if reason != "peer" and not self._connection.is_checked(spare.pair):
            # A peer checks each pair that it is asked on, unless it has pruned it.
            self._fresh.open(spare.pair)
        self._watch.pair_changed()

    def _patience(self, now: float) -> float:
        """Return how long the peer's traffic may pause, in seconds; infinite if there is none."""
        patience = self._doubt.patience
        recent = now - self._watch.traffic_at < DURATION
        return RESUMPTION if patience == math.inf and recent else patience

    def _ask_afresh(self, pair: CandidatePair) -> None:
        now = asyncio.get_running_loop().time()
        self._inquiry.ask(self._spares.add(pair, networks_of(pair)), now)
        self._look_in(PACE)

    def _take_answer(self, pair: CandidatePair, asked_at: float) -> None:
        now = asyncio.get_running_loop().time()
        spare = self._spares.get(pair)
        if spare is None or pair is self._connection.selected_pair:
            return
        self._inquiry.take_answer(pair, asked_at, now)
        if pair is self._fresh.pair:
            self._take_over(spare, self._connection.reason or "silence")
        elif spare.claimed and self._peer.may_change(now):
            self._take_over(spare, "peer")
        elif self._watch.refused:
            return
        elif self._watch.lost or self._gone_at is not None:
            self._take_over(spare, "silence" if self._gone_at is None else "gone")
            self._connection.repeat_lost()
        elif self._doubt.since is not None:
            self._look_closer(now)
        elif not self._ready:
            self._get_ready(now)
        elif self._preference.question_interval(spare) < math.inf:
            self._look_in(0)
        elif self._alarm is not None and self._alarm.when() > now + TICK:
            # It was to repeat the question.
            self._alarm.cancel()
            self._alarm = None
            self._set_alarm(now)

    def _get_ready(self, now: float) -> None:
        # The traffic wasn't watched so far. If the network has just come up, the pair in use may
        # have failed at the same time.
        self._ready = True
        self._watch.note_traffic()
        self._doubt.hear(now)
        if self._expectant and self._doubt.begin(now):
            self._begin_doubt(now)
        self._expectant = False
        self._look_in(TICK)
