"""Restarts ICE by itself when the path is lost, or the network changes."""

from ..ice.network import NetworkChange, NetworkMonitor
from .policy import (
    PathEnds,
    PathSwitched,
    RecoverySettings,
    RestartEvent,
    RestartFailed,
    RestartStarted,
    RestartSucceeded,
)
from .recoverer import AutomaticRestart

__all__ = [
    "AutomaticRestart",
    "NetworkChange",
    "NetworkMonitor",
    "PathEnds",
    "PathSwitched",
    "RecoverySettings",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
]
