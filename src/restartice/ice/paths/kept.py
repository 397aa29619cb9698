"""What keeps paths asks of the connection, and of what watches its pair in use."""

from typing import Protocol

from ...seam import CandidatePair
from ...settings import IceSettings
from ..checks.schedule import CheckSchedule
from .announcement import Announcing
from .networks import Pairing
from .round_trip import RoundTrip

__all__ = ["Kept", "Reason", "Watch"]

# Why a pair is taken into use: "silence", "gone" for certain, or the other "peer" sends there.
Reason = str


class Watch(Protocol):
    """What watches the pair in use."""

    heard_at: float
    answered_at: float

    @property
    def round_trip(self) -> RoundTrip:
        """How long an answer takes."""

    @property
    def lost(self) -> bool:
        """Whether nothing seems to get through."""

    def note_traffic(self) -> None:
        """Take note of what has come in since the last look."""

    def ask_now(self) -> None:
        """Ask the other end for a sign of life."""

    def pair_changed(self) -> None:
        """Take note that another pair is in use."""


class Kept(Announcing, Pairing, Protocol):
    """The connection whose paths are kept."""

    settings: IceSettings
    check_list: list[CandidatePair]
    schedule: CheckSchedule

    def is_dead(self, pair: CandidatePair) -> bool:
        """Say if nothing will ever get through on a pair again."""

    def found_to_work(self, pair: CandidatePair, seconds: float) -> None:
        """Take note that a pair has answered, and how long that took."""

    def append_pair(self, pair: CandidatePair) -> None:
        """Add a pair to the check list."""

    def use_pair(self, pair: CandidatePair, reason: Reason) -> None:
        """Send on a pair from now on."""

    def hedge(self, pair: CandidatePair | None) -> None:
        """Send on a second pair, too, or on none any more."""

    def repeat_lost(self) -> None:
        """Send again what seems to have been lost."""

    def path_stays_lost(self) -> None:
        """Report that the pair in use is lost, and that no other one works."""
