"""Rules for ICE generations: which one sends, their state, which to drop, which owns a candidate.

A restart makes a next generation. The previous one carries the traffic until the next has a
nominated pair (make before break): "data MUST continue to be sent using the previous pair until a
new one is selected". (RFC 8445 section 9 and 12)
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

__all__ = ["Phase", "find_generation", "superfluous", "transport_state"]

# How many generations are kept besides the one that carries the traffic.
KEPT: Final = 2


class Phase(Enum):
    """The progress of a generation."""

    NEW = auto()
    CHECKING = auto()
    NOMINATED = auto()
    LOST = auto()  # a pair was nominated, but its path doesn't work for now
    FAILED = auto()


def transport_state(phases: Sequence[Phase], *, checks_ended: bool = True) -> str:
    """Return an ICE transport's state from the phases of its generations.

    In a restart, `completed` becomes `connected` while the checks run; `failed` and `disconnected`
    become `checking`. A failed restart leaves the transport `completed` if the previous pair works,
    and `disconnected` if its path is lost but may come back.

    Args:
        phases: The phases, oldest first. The first generation carries the traffic.
        checks_ended: Whether the checks of the first generation have ended.

    Spec: https://w3c.github.io/webrtc-pc/#rtcicetransportstate-enum
    """
    checking = Phase.CHECKING in phases or not checks_ended
    if phases[0] is Phase.NOMINATED:
        return "connected" if checking else "completed"
    if Phase.CHECKING in phases:
        return "checking"
    if phases[0] is Phase.LOST:
        return "disconnected"
    return "failed" if Phase.FAILED in phases else "new"


def superfluous(count: int) -> range:
    """Return the indices of the generations to drop, of `count` generations.

    The first one, which carries the traffic, and the newest are kept. Restarts that follow each
    other before a pair is nominated must not pile up sockets.
    """
    return range(1, max(1, count - KEPT))


def find_generation(ufrag: str | None, ufrags: Sequence[str]) -> int | None:
    """Return the index of the generation that a remote candidate belongs to, or None.

    A candidate without a username fragment belongs to the newest generation. One with an unknown
    fragment belongs to none, such as after its generation has ended. (RFC 8838 section 10, RFC 8840
    section 4.4)
    """
    if ufrag is None:
        return len(ufrags) - 1 if ufrags else None
    return next((i for i in reversed(range(len(ufrags))) if ufrags[i] == ufrag), None)
