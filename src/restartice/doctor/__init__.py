"""Finds out why calls don't connect on this machine: `python -m restartice check`."""

from .diagnosis import Problem, diagnose
from .facts import Facts, ServerAnswer
from .probes import look_around

__all__ = ["Facts", "Problem", "ServerAnswer", "diagnose", "look_around"]
