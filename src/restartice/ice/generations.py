"""ICE generations: which one sends, what state they make up, which ones go, whose a candidate is.

A restart makes a next generation. The previous one carries the traffic until the next has a
nominated pair (make before break): "data MUST continue to be sent using the previous pair until a
new one is selected". (RFC 8445 section 9 and 12)
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

__all__ = ["Phase", "find_generation", "superfluous", "transport_state"]

# How many generations are kept beside the one that carries the traffic.
KEPT: Final = 2


class Phase(Enum):
    """How far a generation has come."""

    NEW = auto()
    CHECKING = auto()
    NOMINATED = auto()
    LOST = auto()  # it was nominated, and its path doesn't work for now
    FAILED = auto()


def transport_state(phases: Sequence[Phase], *, checks_ended: bool = True) -> str:
    """Return an ICE transport's state for the phases of its generations.

    The first is the one that carries the traffic, or would, if it had a pair; the others are newer.
    On a restart `completed` becomes `connected` while the checks run, and `failed` becomes
    `checking`, as does `disconnected`. A restart that fails leaves the transport `completed` if the
    previous pair works, and `disconnected` if that may yet heal.

    Args:
        phases: Those of the generations.
        checks_ended: Whether all is known of the first one that its checks will tell.

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
    """Return the places of generations that will never be needed, of that many.

    A restart that is overtaken by others before it has nominated a pair must not pile up sockets.
    Kept are the first one, which carries the traffic, and the newest.
    """
    return range(1, max(1, count - KEPT))


def find_generation(ufrag: str | None, ufrags: Sequence[str]) -> int | None:
    """Return the place of the generation that a remote candidate belongs to, or None.

    Without a username fragment it is the newest one's. With an unknown one it is nobody's, as of
    a generation that is no longer in use. (RFC 8838 section 10, RFC 8840 section 4.4)
    """
    if ufrag is None:
        return len(ufrags) - 1 if ufrags else None
    return next((i for i in reversed(range(len(ufrags))) if ufrags[i] == ufrag), None)
