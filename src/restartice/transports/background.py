"""Background tasks whose errors are only logged."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from ..logs import ObjectLogger

__all__ = ["BackgroundTasks"]


class BackgroundTasks:
    """The background tasks of a connection.

    Args:
        log: The connection's log.
    """

    def __init__(self, log: ObjectLogger) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a job in the background; log its failure."""
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.debug("failed in the background: %r", error)

    async def wait_ended(self) -> None:
        """Return when all tasks have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
