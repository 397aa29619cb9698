"""Warns of a restart that isn't offered, and of an offer that isn't answered."""

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Final

from ..logs import ObjectLogger

__all__ = ["Reminders"]

logger = logging.getLogger(__name__)

# After how many seconds to warn.
RESTART_UNHEARD: Final = 1.0
OFFER_UNANSWERED: Final = 10.0


class Reminders:
    """Logs a warning when a negotiation doesn't continue.

    Args:
        is_restart_unheard: Returns whether a restart is wanted and nothing listens for
            `negotiationneeded`.
        name: The connection's name in the log.
    """

    def __init__(self, is_restart_unheard: Callable[[], bool], name: str) -> None:
        self._log = ObjectLogger(logger, name)
        self._is_restart_unheard = is_restart_unheard
        self._told_of_restart = False
        self._restart: asyncio.TimerHandle | None = None
        self._offer: asyncio.TimerHandle | None = None

    def restart_needed(self) -> None:
        """Warn, once per connection, if no restart is offered and nothing listens."""
        if not self._told_of_restart and self._restart is None and self._is_restart_unheard():
            self._restart = _call_later(RESTART_UNHEARD, self._tell_of_restart)

    def offering(self, *, is_open: bool) -> None:
        """Warn if an offer stays open for long."""
        if self._offer is not None:
            self._offer.cancel()
        self._offer = _call_later(OFFER_UNANSWERED, self._tell_of_offer) if is_open else None

    def stop(self) -> None:
        """Stop warning."""
        for alarm in (self._restart, self._offer):
            if alarm is not None:
                alarm.cancel()

    def _tell_of_restart(self) -> None:
        self._restart = None
        if self._is_restart_unheard():
            self._told_of_restart = True
            self._log.warning(
                "restartIce() has no effect yet: nothing listens to negotiationneeded, and no "
                "offer was made within %g s. Make an offer, or use a Negotiator",
                RESTART_UNHEARD,
            )

    def _tell_of_offer(self) -> None:
        self._offer = None
        self._log.warning("the offer has had no answer for %g s", OFFER_UNANSWERED)


def _call_later(seconds: float, method: Callable[[], None]) -> asyncio.TimerHandle:
    """Call a method after some seconds, unless its object has been collected."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if (found := reference()) is not None:
            found()

    return asyncio.get_running_loop().call_later(seconds, call)
