"""Ending a connection that has failed and that nobody restarts."""

import asyncio
import logging
from collections.abc import Callable

__all__ = ["FailureTimer"]

logger = logging.getLogger(__name__)


class FailureTimer:
    """Counts the time since a connection has failed, or since somebody asked for a restart.

    A program that waits for `closed`, as those for aiortc do, would otherwise keep the sockets and
    threads of a peer that has vanished.

    Args:
        timeout: After how many seconds to call `expire`; None for never.
        expire: Called once that time is over.
    """

    def __init__(self, timeout: float | None, expire: Callable[[], None]) -> None:
        self._timeout = timeout
        self._expire = expire
        self._alarm: asyncio.TimerHandle | None = None

    def note(self, *, failed: bool) -> None:
        """Take note of whether the connection has failed, which may be no news."""
        if not failed:
            self._stop()
        elif self._alarm is None:
            self._start()

    def start_again(self) -> None:
        """Count from now on, if the connection has failed."""
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
        logger.info(
            "The connection is closed, because it has failed, and nobody has restarted it for %g s",
            self._timeout,
        )
        self._expire()
