"""The signaling state as one table."""

from enum import StrEnum
from typing import Final

__all__ = [
    "DescriptionType",
    "Side",
    "SignalingState",
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

# A missing key is an illegal transition.
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


def next_signaling_state(state: str, side: Side, description_type: str) -> SignalingState | None:
    """Return the state after a description, or None if the description isn't allowed."""
    key = (SignalingState(state), side, DescriptionType(description_type))
    return TRANSITIONS.get(key)
