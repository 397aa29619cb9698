"""Calls the callbacks of the program, whose errors must not end the negotiation."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from restartice import RestartEvent, RTCPeerConnection

from ..errors import SignalingClosed

__all__ = ["Callbacks"]

logger = logging.getLogger(__name__)


class Callbacks:
    """Calls the callbacks of the program; without one, logs errors and restarts.

    Raises:
        TypeError: One of them isn't a function.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        on_custom: Callable[[object], None] | None,
        on_error: Callable[[Exception], None] | None,
        on_restart: Callable[[RestartEvent], None] | None,
    ) -> None:
        given = {"on_custom": on_custom, "on_error": on_error, "on_restart": on_restart}
        for name, callback in given.items():
            if callback is not None and not callable(callback):
                raise TypeError(f"{name} must be a function or None, not {callback!r}")
        self._pc = pc
        self._on_custom = on_custom
        self._on_error = on_error or self._log_error
        self._on_restart = on_restart or self._log_restart

    async def report(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step, and report its error unless the signaling has ended."""
        try:
            await step
        except SignalingClosed:
            raise
        except Exception as error:  # noqa: BLE001  the remote side may cause any
            self.tell_error(error)

    def call(self, callback: Callable[[Any], None], value: object) -> None:
        """Call a function, and report its error."""
        try:
            callback(value)
        except Exception as error:  # noqa: BLE001  the program may raise any
            self.tell_error(error)

    def tell_custom(self, value: object) -> None:
        """Report a message of the other application."""
        if self._on_custom is not None:
            self.call(self._on_custom, value)

    def tell_restart(self, event: RestartEvent) -> None:
        """Report that a restart starts, succeeds or fails, or that the path has been switched."""
        self.call(self._on_restart, event)

    def tell_error(self, error: Exception) -> None:
        """Report an error."""
        try:
            self._on_error(error)
        except Exception:
            logger.exception("%s: the callback on_error raised an error", self._pc)

    def _log_restart(self, event: RestartEvent) -> None:
        logger.info("%s: ICE restart: %s", self._pc, event)

    def _log_error(self, error: Exception) -> None:
        logger.warning("%s: negotiation: %s: %s", self._pc, type(error).__name__, error)
