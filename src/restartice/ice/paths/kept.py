"""The interfaces that the path keeper uses: the connection, and the watch on its pair in use."""

from typing import Protocol

from ...seam import CandidatePair
from ...settings import IceSettings
from ..checks.schedule import CheckSchedule
from .announcement import Announcing
from .fresh_port import Opening
from .networks import Pairing
from .preference import Reputation
from .round_trip import RoundTrip

__all__ = ["Kept", "Reason", "Watch"]

# Why a pair is taken into use: the pair before was silent ("silence") or has certainly failed
# ("gone"), the peer asked for it ("peer"), or its network is preferred ("preferred").
Reason = str


class Watch(Protocol):
    """The watch on the pair in use."""

    heard_at: float
    # When traffic came in last; checks don't count.
    traffic_at: float
    answered_at: float

    @property
    def round_trip(self) -> RoundTrip:
        """The measured round trip."""

    @property
    def lost(self) -> bool:
        """Whether the pair seems lost."""

    @property
    def refused(self) -> bool:
        """Whether the peer hasn't come along to the pair in use, and stays elsewhere."""

    def pair_refused(self) -> None:
        """Note that the peer doesn't come along to the pair in use."""

    def note_traffic(self) -> None:
        """Note the traffic that came in since the last look."""

    def ask_now(self) -> None:
        """Probe the peer."""

    def pair_changed(self) -> None:
        """Note that another pair is in use."""


class Kept(Announcing, Opening, Pairing, Protocol):
    """The connection whose paths are kept."""

    settings: IceSettings
    check_list: list[CandidatePair]
    schedule: CheckSchedule
    reputation: Reputation
    reason: Reason | None

    def is_dead(self, pair: CandidatePair) -> bool:
        """Return whether a pair has failed for good."""

    def is_checked(self, pair: CandidatePair) -> bool:
        """Return whether the peer has ever checked a pair."""

    def found_to_work(self, pair: CandidatePair, seconds: float) -> None:
        """Note that a pair has answered, and after how many seconds."""

    def use_pair(self, pair: CandidatePair, reason: Reason) -> None:
        """Switch to a pair."""

    def hedge(self, pair: CandidatePair | None) -> None:
        """Send packets on a second pair, too; None ends that."""

    def repeat_lost(self) -> None:
        """Repeat the packets that seem lost."""

    def path_stays_lost(self) -> None:
        """Report that the pair in use is lost and no spare works."""
