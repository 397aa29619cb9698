"""Measures a call, and checks the results."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

# How many seconds it takes at most until a silent peer is reported.
NOTICING = 2.0


@dataclass
class Arrivals:
    """Counts numbered frames or messages: the received, the missing, and the longest gap in time.

    Times are in seconds. Two gaps are kept, of the quiet part of the call and of the rest.
    """

    received: int = 0
    reordered: int = 0
    first: int | None = None
    last: int = -1
    unreadable: int = 0
    quiet_gap: float = 0.0
    busy_gap: float = 0.0
    _previous: float | None = None

    def add(self, number: int | None, now: float, *, quiet: bool) -> None:
        """Count one that arrived; None if its number can't be read."""
        if self._previous is not None:
            gap = now - self._previous
            if quiet:
                self.quiet_gap = max(self.quiet_gap, gap)
            else:
                self.busy_gap = max(self.busy_gap, gap)
        self._previous = now
        if number is None:
            self.unreadable += 1
            return
        self.received += 1
        if self.first is None:
            self.first = number
        if number <= self.last:
            self.reordered += 1
        self.last = max(self.last, number)

    @property
    def lost(self) -> int:
        """The number of missing ones between the first and the last."""
        if self.first is None:
            return 0
        return self.last - self.first + 1 - self.received


@dataclass
class PairChange:
    """A transport sends on a pair of another generation."""

    time: float
    ufrag: str
    credentials: str
    local_port: int
    remote_port: int


@dataclass
class PeerReport:
    """The measurements of one peer."""

    peer: str
    messages_sent: int = 0
    messages_announced: int = 0
    messages: Arrivals = field(default_factory=Arrivals)
    frames_sent: int = 0
    frames_counted: bool = True
    frames: Arrivals = field(default_factory=Arrivals)
    rtp_received: int = 0
    rtp_lost: int = 0
    dtls_handshakes: int = 0
    track_expected: bool = False
    track_added: bool = False
    restarts: list[float] = field(default_factory=list)
    pair_changes: list[PairChange] = field(default_factory=list)
    # When ICE was disconnected or failed; and when this program stood still, from and to, as it
    # does on a machine that pauses. Others can't tell that from a lost path.
    losses: list[float] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)

    @property
    def moves(self) -> int:
        """How often it has switched to another pair."""
        ports = [change.local_port for change in self.pair_changes]
        return sum(one != other for one, other in pairwise(ports))

    @property
    def generations(self) -> int:
        """How many generations it has sent on."""
        return len({change.ufrag for change in self.pair_changes})

    @property
    def messages_lost(self) -> int:
        """The number of messages from the other side that didn't arrive."""
        return self.messages_announced - self.messages.received

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PeerReport":
        """Read what to_json() returned."""
        report = cls(**{**values, "messages": Arrivals(**values["messages"])})
        report.frames = Arrivals(**values["frames"])
        report.pair_changes = [PairChange(**change) for change in values["pair_changes"]]
        return report


def restart_times(reports: Sequence[PeerReport]) -> list[float | None]:
    """Return the time of each restart, until all peers sent on a new pair; None if one didn't."""
    requested = sorted(time for report in reports for time in report.restarts)
    ends = [*requested[1:], float("inf")][: len(requested)]
    times: list[float | None] = []
    for start, end in zip(requested, ends, strict=True):
        changes = [
            next((c.time for c in report.pair_changes if start <= c.time < end), None)
            for report in reports
        ]
        done = [time for time in changes if time is not None]
        times.append(max(done) - start if len(done) == len(reports) else None)
    return times


def all_new(report: PeerReport) -> bool:
    """Return whether each generation had its own credentials and ports.

    Within one generation the pair may change, as a better one is found.
    """
    generations = defaultdict[str, list[PairChange]](list)
    for change in report.pair_changes:
        generations[change.ufrag].append(change)
    return all(
        sum(len({getattr(change, value) for change in changes}) for changes in generations.values())
        == len({getattr(change, value) for change in report.pair_changes})
        for value in ("credentials", "local_port", "remote_port")
    )


def failures(reports: Sequence[PeerReport], restarts: int, cuts: int = 0) -> list[str]:
    """Return the failed checks, one sentence each.

    Args:
        reports: What the peers have measured.
        restarts: How many were asked for.
        cuts: How often the link in use was cut, after which each peer is on another pair.
    """
    found = []
    stalls = [stall for report in reports for stall in report.stalls]
    times = restart_times(reports)
    if sum(time is not None for time in times) < restarts:
        found.append(f"{restarts} restarts were asked for, {len(times)} begun, not all done")
    for report in reports:
        checks = {
            "messages arrived": report.messages.received > 0,
            "no message was lost": report.messages_lost == 0,
            "no message was reordered": report.messages.reordered == 0,
            "frames arrived": report.frames.received + report.frames.unreadable > 0,
            "there was one DTLS handshake": report.dtls_handshakes == 1,
        }
        checks |= _checks_of_cuts(report, cuts, stalls) if cuts else _checks_of_restarts(report)
        found += [
            f"{report.peer}: not true that {what}" for what, held in checks.items() if not held
        ]
    return found


def _checks_of_restarts(report: PeerReport) -> dict[str, bool]:
    return {
        "no frame was lost": not report.frames_counted or report.frames.lost == 0,
        # Packets that were repeated too early come twice, so the number can be negative.
        "no RTP packet was lost": report.rtp_lost <= 0 and report.rtp_received > 0,
        "each restart had new credentials and ports": all_new(report),
        "the track added in mid-call arrived": report.track_added or not report.track_expected,
    }


def _checks_of_cuts(
    report: PeerReport, cuts: int, stalls: Sequence[tuple[float, float]]
) -> dict[str, bool]:
    unexplained = [
        time
        for time in report.losses
        if not any(start <= time <= end + NOTICING for start, end in stalls)
    ]
    return {
        f"the call went over to the other network {cuts} times": report.moves >= cuts,
        "there was no ICE restart": report.generations == 1,
        "ICE was never disconnected while both peers ran": not unexplained,
    }


def summary(reports: Sequence[PeerReport], cause: str = "restarts") -> dict[str, Any]:
    """Return the figures of the table; times are in milliseconds.

    Args:
        reports: What the peers have measured.
        cause: What happens in the part of the call that isn't quiet: "restarts" or "cuts".
    """
    times = [1000 * time for time in restart_times(reports) if time is not None]
    return {
        "restarts": len(times),
        "restart_median_ms": round(median(times), 1) if times else None,
        "restart_longest_ms": round(max(times), 1) if times else None,
        "peers": [_peer_summary(report, cause) for report in reports],
    }


def _peer_summary(report: PeerReport, cause: str) -> dict[str, Any]:
    counted = report.frames_counted
    return {
        "peer": report.peer,
        "messages sent": report.messages_sent,
        "messages received": report.messages.received,
        "messages lost": report.messages_lost,
        "messages reordered": report.messages.reordered,
        "frames sent": report.frames_sent,
        "frames received": report.frames.received + report.frames.unreadable,
        "frames lost": report.frames.lost if counted else None,
        "RTP packets received": report.rtp_received,
        "RTP packets lost": report.rtp_lost,
        "longest gap of data, quiet (ms)": round(1000 * report.messages.quiet_gap, 1),
        f"longest gap of data, {cause} (ms)": round(1000 * report.messages.busy_gap, 1),
        "longest gap of frames, quiet (ms)": round(1000 * report.frames.quiet_gap, 1),
        f"longest gap of frames, {cause} (ms)": round(1000 * report.frames.busy_gap, 1),
        "DTLS handshakes": report.dtls_handshakes,
        "generations used": report.generations,
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a table, with a column for each peer."""
    peers = figures["peers"]
    rows = [("", *(peer["peer"] for peer in peers))]
    for name in [name for name in peers[0] if name != "peer"]:
        values = ("-" if peer[name] is None else str(peer[name]) for peer in peers)
        rows.append((name, *values))
    lines = [f"{row[0]:<38}" + "".join(f"{value:>12}" for value in row[1:]) for row in rows]
    if not figures["restarts"]:
        return "\n".join(lines)
    median_time, longest = figures["restart_median_ms"], figures["restart_longest_ms"]
    lines.append(
        f"{figures['restarts']} restarts: median {median_time} ms, longest {longest} ms, from "
        "restartIce() until both sides send on the new pair"
    )
    return "\n".join(lines)
