"""Restarting ICE without being asked: when the path is lost, or the network changes."""

from ..ice.network import NetworkChange, NetworkMonitor
from .policy import (
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
    "RecoverySettings",
    "RestartEvent",
    "RestartFailed",
    "RestartStarted",
    "RestartSucceeded",
]
