"""What the program has given the Negotiator to call, whose errors must not end the negotiation."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from restartice import RestartEvent

from ..errors import SignalingClosed

__all__ = ["Callbacks"]

logger = logging.getLogger(__name__)


class Callbacks:
    """Calls what the program has given, or logs where it has given nothing."""

    def __init__(
        self,
        on_custom: Callable[[object], None] | None,
        on_error: Callable[[Exception], None] | None,
        on_restart: Callable[[RestartEvent], None] | None,
    ) -> None:
        self._on_custom = on_custom
        self._on_error = on_error or _log_error
        self._on_restart = on_restart or _log_restart

    async def report(self, step: Coroutine[Any, Any, None]) -> None:
        """Do a step, and tell what goes wrong, but for the end of the signaling."""
        try:
            await step
        except SignalingClosed:
            raise
        except Exception as error:  # noqa: BLE001  whatever the remote side did
            self.tell_error(error)

    def call(self, callback: Callable[[Any], None], value: object) -> None:
        """Call a function, and tell what goes wrong."""
        try:
            callback(value)
        except Exception as error:  # noqa: BLE001  whatever the program did
            self.tell_error(error)

    def tell_custom(self, value: object) -> None:
        """Tell what the other side's application sent."""
        if self._on_custom is not None:
            self.call(self._on_custom, value)

    def tell_restart(self, event: RestartEvent) -> None:
        """Tell that a restart starts, succeeds or fails."""
        self.call(self._on_restart, event)

    def tell_error(self, error: Exception) -> None:
        """Tell what went wrong."""
        try:
            self._on_error(error)
        except Exception:
            logger.exception("What was given as on_error has failed")


def _log_restart(event: RestartEvent) -> None:
    logger.info("ICE restart: %s", event)


def _log_error(error: Exception) -> None:
    logger.warning("Negotiation: %s: %s", type(error).__name__, error)
