"""The signaling state as one table, and the states that are aggregated from the transports'."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

__all__ = [
    "DescriptionType",
    "Side",
    "SignalingState",
    "aggregate_connection_state",
    "aggregate_gathering_state",
    "aggregate_ice_connection_state",
    "has_failed",
    "next_signaling_state",
]


class SignalingState(StrEnum):
    """Spec: https://w3c.github.io/webrtc-pc/#rtcsignalingstate-enum."""

    STABLE = "stable"
    HAVE_LOCAL_OFFER = "have-local-offer"
    HAVE_REMOTE_OFFER = "have-remote-offer"
    HAVE_LOCAL_PRANSWER = "have-local-pranswer"
    HAVE_REMOTE_PRANSWER = "have-remote-pranswer"
    CLOSED = "closed"


class Side(StrEnum):
    """Which of the two descriptions is set."""

    LOCAL = "local"
    REMOTE = "remote"


class DescriptionType(StrEnum):
    """Spec: https://w3c.github.io/webrtc-pc/#rtcsdptype."""

    OFFER = "offer"
    PRANSWER = "pranswer"
    ANSWER = "answer"
    ROLLBACK = "rollback"


_S, _L, _T = SignalingState, Side, DescriptionType

# A key that is missing is a transition that is illegal.
# Spec: https://w3c.github.io/webrtc-pc/#dom-rtcsignalingstate
TRANSITIONS: Final[dict[tuple[SignalingState, Side, DescriptionType], SignalingState]] = {
    (_S.STABLE, _L.LOCAL, _T.OFFER): _S.HAVE_LOCAL_OFFER,
    (_S.STABLE, _L.REMOTE, _T.OFFER): _S.HAVE_REMOTE_OFFER,
    (_S.HAVE_LOCAL_OFFER, _L.LOCAL, _T.OFFER): _S.HAVE_LOCAL_OFFER,
    (_S.HAVE_LOCAL_OFFER, _L.REMOTE, _T.ANSWER): _S.STABLE,
    (_S.HAVE_LOCAL_OFFER, _L.REMOTE, _T.PRANSWER): _S.HAVE_REMOTE_PRANSWER,
    (_S.HAVE_LOCAL_OFFER, _L.LOCAL, _T.ROLLBACK): _S.STABLE,
    (_S.HAVE_REMOTE_OFFER, _L.REMOTE, _T.OFFER): _S.HAVE_REMOTE_OFFER,
    (_S.HAVE_REMOTE_OFFER, _L.LOCAL, _T.ANSWER): _S.STABLE,
    (_S.HAVE_REMOTE_OFFER, _L.LOCAL, _T.ROLLBACK): _S.STABLE,
    (_S.HAVE_REMOTE_OFFER, _L.LOCAL, _T.PRANSWER): _S.HAVE_LOCAL_PRANSWER,
    (_S.HAVE_REMOTE_OFFER, _L.REMOTE, _T.ROLLBACK): _S.STABLE,
    (_S.HAVE_LOCAL_PRANSWER, _L.LOCAL, _T.ANSWER): _S.STABLE,
    (_S.HAVE_LOCAL_PRANSWER, _L.LOCAL, _T.PRANSWER): _S.HAVE_LOCAL_PRANSWER,
    (_S.HAVE_REMOTE_PRANSWER, _L.REMOTE, _T.ANSWER): _S.STABLE,
    (_S.HAVE_REMOTE_PRANSWER, _L.REMOTE, _T.PRANSWER): _S.HAVE_REMOTE_PRANSWER,
}

WORKING_ICE: Final = frozenset({"checking", "connected", "completed", "disconnected"})
WORKING_DTLS: Final = frozenset({"new", "connecting", "connected"})


def next_signaling_state(state: str, side: Side, description_type: str) -> SignalingState | None:
    """Return the state that a description leads to, or None if it isn't allowed in this one."""
    key = (SignalingState(state), side, DescriptionType(description_type))
    return TRANSITIONS.get(key)


def aggregate_ice_connection_state(ice: Collection[str]) -> str:
    """Return iceConnectionState for the states of the ICE transports in use.

    Spec: https://w3c.github.io/webrtc-pc/#rtciceconnectionstate-enum
    """
    states = set(ice)
    for state in ("failed", "disconnected"):
        if state in states:
            return state
    if states <= {"new", "closed"}:
        return "new"
    if states & {"new", "checking"}:
        return "checking"
    return "completed" if states <= {"completed", "closed"} else "connected"


def aggregate_connection_state(ice: Collection[str], dtls: Collection[str]) -> str:
    """Return connectionState for the states of the ICE and DTLS transports in use.

    Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnectionstate-enum
    """
    states = set(ice) | set(dtls)
    for state in ("failed", "disconnected"):
        if state in states:
            return state
    if states <= {"new", "closed"}:
        return "new"
    return "connecting" if states & {"new", "checking", "connecting"} else "connected"


def has_failed(transports: Collection[tuple[str, str]]) -> bool:
    """Say if a connection has failed as a whole: nothing is transmitted, or will be by itself.

    It hasn't if one of several transports still works, though connectionState is `failed` then.

    Args:
        transports: The states of ICE and DTLS, of each transport in use.
    """
    failed = any("failed" in states for states in transports)
    return failed and not any(
        ice in WORKING_ICE and dtls in WORKING_DTLS for ice, dtls in transports
    )


def aggregate_gathering_state(gatherers: Collection[str]) -> str:
    """Return iceGatheringState for the states of the gatherers, in which "completed" is the end.

    Spec: https://w3c.github.io/webrtc-pc/#rtcicegatheringstate-enum
    """
    states = set(gatherers)
    if "gathering" in states:
        return "gathering"
    return "complete" if states == {"completed"} else "new"
