"""Computes the states of a connection from those of its transports."""

from collections.abc import Collection
from typing import Final

__all__ = [
    "aggregate_connection_state",
    "aggregate_gathering_state",
    "aggregate_ice_connection_state",
    "has_failed",
]

WORKING_ICE: Final = frozenset({"checking", "connected", "completed", "disconnected"})
WORKING_DTLS: Final = frozenset({"new", "connecting", "connected"})


def aggregate_ice_connection_state(ice: Collection[str]) -> str:
    """Return iceConnectionState, from the states of the ICE transports in use.

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
    """Return connectionState, from the states of the ICE and DTLS transports in use.

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
    """Return whether all transports of a connection have failed, so that it needs a restart.

    While one of several transports works, it hasn't, although connectionState is `failed` then.

    Args:
        transports: The states of ICE and DTLS, of each transport in use.
    """
    failed = any("failed" in states for states in transports)
    return failed and not any(
        ice in WORKING_ICE and dtls in WORKING_DTLS for ice, dtls in transports
    )


def aggregate_gathering_state(gatherers: Collection[str]) -> str:
    """Return iceGatheringState, from the states of the gatherers.

    Spec: https://w3c.github.io/webrtc-pc/#rtcicegatheringstate-enum
    """
    states = set(gatherers)
    if "gathering" in states:
        return "gathering"
    return "complete" if states == {"completed"} else "new"
