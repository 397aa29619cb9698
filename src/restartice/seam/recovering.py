"""Recovers data that was lost soon, and takes no pause of this program for a loss."""

import asyncio
import time
from typing import Any, Final

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import USERDATA_MAX_LENGTH, Chunk

from .acknowledged import THRESHOLD
from .interleaved_chunks import DATA_HEADER
from .interleaving import Interleaving, InterleavingSctpTransport
from .names import require
from .outbound import OutboundChunk, Packets
from .sending import put

__all__ = ["Recovering", "RecoveringSctpTransport"]

_SCTP = rtcsctptransport.RTCSctpTransport
_ESTABLISHED = rtcsctptransport.RTCSctpTransport.State.ESTABLISHED
# How long, in seconds, an acknowledgement may take at least, and at most unless four round trips
# take longer, before all in flight is repeated; and how much longer than a round trip: the other
# side may delay it.
SHORTEST_TIMEOUT: Final = 0.4
LONGEST_TIMEOUT: Final = 1.0
LEAST_VARIANCE: Final = 0.22
# How late a timer is, in seconds, if this program has kept the event loop from running. What came
# in meanwhile is read first, for so many seconds at least, and so often at most in a row.
LATE: Final = 0.05
GRACE: Final = 0.1
MOST_GRACES: Final = 3
# How much too early the event loop may be, in seconds.
PRECISION: Final = 0.001
# After how many round trips, and seconds at least, without an acknowledgement the last packet is
# repeated, so that the other side tells what it lacks. (RFC 8985 section 7.2)
ROUND_TRIPS: Final = 2
SHORTEST_PROBE: Final = 0.03
# How many packets may be in flight at first on a path, of which nothing is known. (RFC 6928)
FIRST_PACKETS: Final = 10

for _name in (
    "_association_state",
    "_cwnd",
    "_rto",
    "_rttvar",
    "_srtt",
    "_sent_queue",
    "_t3_handle",
):
    require(_SCTP, _name)
for _method in (
    "_flight_size_increase",
    "_send_chunk",
    "_set_state",
    "_t3_expired",
    "_t3_restart",
    "_t3_start",
    "_update_rto",
):
    require(_SCTP, _method)


class Deadline:
    """What aiortc keeps of a timer: when it expires, by the time of the event loop."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    def when(self) -> float:
        """Return when it expires."""
        return self.at

    def cancel(self) -> None:
        """Have no effect: a timer that aiortc forgets does nothing."""


class Recovering(Interleaving):
    """The known losses."""

    # What looks if the retransmission timer has expired. Each acknowledgement sets that anew, which
    # would take longer with one of the event loop's.
    look: asyncio.TimerHandle | None = None

    # How often in a row the timer has waited for what wasn't read.
    graces = 0
    # The congestion window and its threshold before the timer expired, until that is confirmed.
    before: tuple[int, int] | None = None
    # What repeats the last packet, whether it has, and when something was sent or acknowledged.
    probing: asyncio.TimerHandle | None = None
    probe: asyncio.Task[None] | None = None
    probed = False
    active_at = 0.0

    def can_be_answered(self) -> bool:
        """Return whether there is a path, so that a missing answer is a failure."""
        raise NotImplementedError

    def take_progress(self) -> None:
        """Note that something has arrived."""
        self.graces, self.probed = 0, False
        if self.premature and self.before is not None:
            # The timer has expired too early. (RFC 5682)
            sctp = self.viewed
            sctp._cwnd, vars(sctp)[THRESHOLD] = self.before
            for chunk in sctp._sent_queue:
                if chunk._retransmit:
                    chunk._retransmit = False
                    sctp._flight_size_increase(chunk)
                    self.packets += chunk.leads
        self.before, self.premature = None, False

    def open_window(self) -> None:
        """Begin anew on a path that works again, or is another one."""
        sctp = self.viewed
        self.before, self.graces, self.probed = None, 0, False
        self.shortest_round_trip = self.recent = 0.0
        sctp._cwnd = FIRST_PACKETS * USERDATA_MAX_LENGTH
        vars(sctp)[THRESHOLD] = max(vars(sctp)[THRESHOLD], 1 << 20)
        sctp._fast_recovery_exit = None

    def postpones(self, expired: Deadline) -> bool:
        """Return whether it is too early to repeat all, although the timer has expired."""
        sctp = self.viewed
        late = sctp._loop.time() - expired.when() > LATE
        if late and self.graces < MOST_GRACES:
            self.graces += 1
            delay = max(GRACE, ROUND_TRIPS * (sctp._srtt or 0.0))
        elif not self.can_be_answered():
            delay = sctp._rto
        else:
            self.confirm_loss()
            return False
        self.set_timer(delay)
        return True

    def confirm_loss(self) -> None:
        """Note that all in flight counts as lost."""

    def set_timer(self, delay: float) -> None:
        """Set the retransmission timer."""
        sctp = self.viewed
        at = sctp._loop.time() + delay
        sctp._t3_handle = Deadline(at)
        if self.look is None or self.look.when() > at:
            self.look_at(at)

    def look_at(self, at: float) -> None:
        """Look at the retransmission timer at a time."""
        if self.look is not None:
            self.look.cancel()
        self.look = self.viewed._loop.call_at(at, self.look_at_timer)

    def look_at_timer(self) -> None:
        """Let the retransmission timer expire if it is time."""
        sctp, self.look = self.viewed, None
        if sctp._t3_handle is None:
            return
        at = sctp._t3_handle.when()
        if at > sctp._loop.time() + PRECISION:
            self.look_at(at)
        else:
            sctp._t3_expired()

    def watch_tail(self) -> None:
        """Repeat the last packet if no acknowledgement comes soon."""
        sctp = self.viewed
        self.active_at = sctp._loop.time()
        if self.probing is None and sctp._srtt is not None and self.may_probe():
            self.probing = sctp._loop.call_later(self.patience(), self.look_at_tail)

    def may_probe(self) -> bool:
        """Return whether something is in flight that can be acknowledged."""
        sctp = self.viewed
        return bool(sctp._sent_queue) and sctp._association_state is _ESTABLISHED

    def patience(self) -> float:
        """Return how long to wait for an acknowledgement, in seconds."""
        return max(SHORTEST_PROBE, ROUND_TRIPS * min(self.viewed._srtt or 0.0, self.latest))

    def look_at_tail(self) -> None:
        """Repeat the last packet, unless something has happened meanwhile."""
        sctp, self.probing = self.viewed, None
        if self.probed or not self.may_probe():
            return
        left = self.active_at + self.patience() - sctp._loop.time()
        if left > 0.001:
            self.probing = sctp._loop.call_later(left, self.look_at_tail)
            return
        chunk = next(filter(_can_repeat, reversed(sctp._sent_queue)), None)
        if chunk is not None and self.can_be_answered():
            self.probed = True
            packets = Packets(self.header)
            put(sctp, packets, chunk, time.monotonic())
            sctp._t3_restart()
            self.probe = asyncio.ensure_future(_send(sctp, packets.finish()))

    def end_timers(self) -> None:
        """End with the association."""
        for timer in (self.probing, self.look):
            if timer is not None:
                timer.cancel()
        self.probing = self.look = None


class RecoveringSctpTransport(InterleavingSctpTransport):
    """aiortc's SCTP transport, which takes less than a second to find out what was lost."""

    _core: Recovering
    _t3_handle: Deadline | None  # type: ignore[assignment]

    def _update_rto(self, R: float) -> None:
        super()._update_rto(R)
        timeout = (self._srtt or R) + max(4 * (self._rttvar or R), LEAST_VARIANCE)
        # Some may have been measured while the event loop didn't run.
        longest = max(LONGEST_TIMEOUT, 4 * R)
        self._rto = max(SHORTEST_TIMEOUT, min(timeout, longest))

    def _t3_start(self) -> None:
        self._core.set_timer(self._rto)

    def _t3_restart(self) -> None:
        self._core.set_timer(self._rto)

    def _t3_expired(self) -> None:
        core = self._core
        timer = self._t3_handle
        if timer is not None and core.postpones(timer):
            return
        threshold = vars(self).get(THRESHOLD, 0)
        again = core.before is not None
        core.before = core.before or (self._cwnd, threshold)
        super()._t3_expired()
        # One packet, which may have room for a little less.
        self._cwnd -= core.header - DATA_HEADER
        if again:
            # It is the same loss as before.
            vars(self)[THRESHOLD] = threshold

    def _set_state(self, state: rtcsctptransport.RTCSctpTransport.State) -> None:
        if state == self.State.CLOSED:
            self._core.end_timers()
        super()._set_state(state)


def _can_repeat(chunk: OutboundChunk) -> bool:
    """Return whether a chunk is in flight that may be sent once more."""
    most, expiry = chunk._max_retransmits, chunk._expiry
    return (
        chunk._in_flight
        and (most is None or chunk._sent_count <= most)
        and (expiry is None or expiry > time.time())
    )


async def _send(sctp: Any, packets: list[Chunk]) -> None:
    for packet in packets:
        await sctp._send_chunk(packet)
