"""Closes a failed connection that isn't restarted in time."""

import asyncio
import logging
from collections.abc import Callable

from ..logs import ObjectLogger

__all__ = ["FailureTimer"]

logger = logging.getLogger(__name__)


class FailureTimer:
    """Measures the time since a connection failed, or since the last restartIce().

    Programs for aiortc wait for `closed`. Without this timer they would keep the sockets and
    threads of a vanished peer.

    Args:
        timeout: After how many seconds to call `expire`; None for never.
        expire: Called when the time is over.
        name: The connection's name in the log.
    """

    def __init__(self, timeout: float | None, expire: Callable[[], None], name: str) -> None:
        self._log = ObjectLogger(logger, name)
        self._timeout = timeout
        self._expire = expire
        self._alarm: asyncio.TimerHandle | None = None

    def note(self, *, failed: bool) -> None:
        """Start or stop the timer, by whether the connection has failed."""
        if not failed:
            self._stop()
        elif self._alarm is None:
            self._start()

    def start_again(self) -> None:
        """Restart the timer, if the connection has failed."""
        if self._alarm is not None:
            self._stop()
            self._start()

    def _start(self) -> None:
        if self._timeout is not None:
            self._alarm = asyncio.get_running_loop().call_later(self._timeout, self._end)

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _end(self) -> None:
        self._alarm = None
        self._log.info("closes: it failed and wasn't restarted within %g s", self._timeout)
        self._expire()
