"""Closing a connection, whatever fails meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..seam import abort_data, abort_dtls
from .session import Session

__all__ = ["Closing", "abort"]

# How many seconds what is closed may take before the rest of it is closed.
LIMIT: Final = 5.0

logger = logging.getLogger(__name__)


class Closing:
    """What close() does: each step is taken, whatever has become of those before it.

    Steps fail because aiortc or a program's track does, and they are cancelled when asyncio.run()
    comes to its end. What has failed is logged, and tried again by the next call.
    """

    def __init__(self, connection: Session) -> None:
        self._connection = connection
        self._task: asyncio.Task[None] | None = None
        self._complete = False

    async def run(self) -> None:
        """Close; the connection is closed at once, and this returns when all has ended."""
        try:
            self._enter()
        finally:
            # Even if a listener has raised what isn't an Exception.
            if self._task is None or self._has_failed(self._task):
                self._task = asyncio.ensure_future(self._end())
                self._task.add_done_callback(self._ended)
        if not self._task.done():
            await asyncio.wait([self._task])

    def _has_failed(self, task: asyncio.Task[None]) -> bool:
        """Say if what was begun hasn't ended all, and never will, as its event loop has stopped."""
        if task.done():
            return not self._complete
        return task.get_loop() is not asyncio.get_running_loop()

    def _enter(self) -> None:
        connection = self._connection
        connection.is_closed = True
        connection.operations.close()
        for transceiver in list(connection.transceivers):
            transceiver._core.close()
        connection.enter_signaling_state("closed")
        connection.update_ice_connection_state()
        connection.update_connection_state()

    async def _end(self) -> None:
        connection, self._complete = self._connection, True
        await self._take(connection.operations.wait_ended)
        # Before the senders are stopped, so that none is started after that.
        await self._take(connection.connector.close)
        connection.reveal()
        self._enter()
        closed = connection.closed_future = (
            connection.closed_future or asyncio.get_running_loop().create_future()
        )
        await self._end_users()
        await self._end_transports()
        await self._take(connection.end_background)
        release_timeout = connection.ice_settings.release_timeout
        await self._take(connection.releases.wait, more_time=release_timeout)
        abort(connection)
        connection.update_transport_states()
        connection.viewed.remove_all_listeners()
        if not closed.done():
            closed.set_result(True)

    async def _end_users(self) -> None:
        for transceiver in list(self._connection.transceivers):
            await self._take(transceiver._core.end)
            transceiver._core.owner = None
        if (sctp := self._connection.sctp_transport) is not None:
            await self._take(sctp.stop)

    async def _end_transports(self) -> None:
        # First those which still carry the words that tell the remote side.
        used = self._connection.dtls_transports
        for transport in sorted(self._connection.made_transports, key=lambda t: t not in used):
            transport.parking = transport.transport.parking = False
            await self._take(transport.stop)
            await self._take(transport.transport.stop)

    async def _take(self, step: Callable[[], Awaitable[object]], *, more_time: float = 0.0) -> None:
        """Take a step, once more if it was cancelled, as it is when all tasks are."""
        for _ in range(2):
            try:
                async with asyncio.timeout(LIMIT + more_time):
                    await step()
            except asyncio.CancelledError:
                continue
            except Exception:
                logger.exception("Closing has failed in part, at %s()", step.__qualname__)
                break
            return
        self._complete = False

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._complete = False
            if not task.cancelled():
                logger.error("Closing has failed", exc_info=task.exception())
            abort(self._connection)


def abort(connection: Session) -> None:
    """End the tasks, threads and timers of a connection, and close its sockets, without a wait.

    The remote side isn't told. Without effect on what has ended.
    """
    jobs: list[Callable[[], None]] = [t._core.abort for t in connection.transceivers]
    if (sctp := connection.sctp_transport) is not None:
        jobs.append(lambda: abort_data(sctp))
    for transport in connection.made_transports:
        jobs += [lambda dtls=transport: abort_dtls(dtls), transport.transport.abort]  # type: ignore[misc]
    for job in jobs:
        try:
            job()
        except Exception:
            logger.exception("Closing has failed in part")
