"""Closes a connection, even if some of its parts fail to close."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ..logs import ObjectLogger
from ..seam import abort_data, abort_dtls
from ..transports.aggregate_states import AggregateStates
from ..transports.background import BackgroundTasks
from ..transports.connector import Connector
from ..transports.factory import TransportFactory
from .masking import SectionMask
from .operations import OperationsChain
from .outcome import Outcome
from .state import State

__all__ = ["Closing"]

# The time limit of each step, in seconds.
LIMIT: Final = 5.0


@dataclass(eq=False, repr=False)
class Closing:
    """The steps of close(). A step that fails doesn't prevent the next one.

    A step fails when aiortc or a program's track does, or when asyncio.run() cancels all tasks at
    its end. A failed step is logged, and the next call of close() tries it again.
    """

    state: State
    mask: SectionMask
    operations: OperationsChain
    states: AggregateStates
    transports: TransportFactory
    outcome: Outcome
    connector: Connector
    background: BackgroundTasks
    log: ObjectLogger
    release_timeout: float
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _complete: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Close the connection at once, and return when all its parts have ended."""
        try:
            self._enter()
        finally:
            # Even if a listener raises a BaseException.
            if self._task is None or self._has_failed(self._task):
                self._task = asyncio.ensure_future(self._end())
                self._task.add_done_callback(self._ended)
        if not self._task.done():
            await asyncio.wait([self._task])

    def _has_failed(self, task: asyncio.Task[None]) -> bool:
        """Return whether closing has failed in part, or its event loop has stopped."""
        if task.done():
            return not self._complete
        return task.get_loop() is not asyncio.get_running_loop()

    def _enter(self) -> None:
        self.state.is_closed = True
        self.states.close()
        self.operations.close()
        for transceiver in list(self.state.transceivers):
            transceiver._core.close()
        self.outcome.enter_signaling_state("closed")
        self.states.update_ice_connection_state()
        self.states.update_connection_state()
        for transport in self.transports.made:
            # "Set the state to closed", which fires no event.
            transport.remove_all_listeners()
            transport.transport.remove_all_listeners()
            transport._core.close()
            transport.transport._core.close()

    async def _end(self) -> None:
        state, self._complete = self.state, True
        await self._take(self.operations.wait_ended)
        # Before the senders are stopped, so that none is started afterwards.
        await self._take(self.connector.close)
        self.mask.unmask()
        self._enter()
        closed = state.closed_future = (
            state.closed_future or asyncio.get_running_loop().create_future()
        )
        await self._end_users()
        await self._end_transports()
        await self._take(self.background.wait_ended)
        await self._take(self.transports.releases.wait, more_time=self.release_timeout)
        self._abort()
        self.states.update()
        state.viewed.remove_all_listeners()
        if not closed.done():
            closed.set_result(True)

    async def _end_users(self) -> None:
        for transceiver in list(self.state.transceivers):
            await self._take(transceiver._core.end)
            transceiver._core.forget_owner()
        if (sctp := self.state.sctp_transport) is not None:
            await self._take(sctp.stop)

    async def _end_transports(self) -> None:
        # The transports in use first: they tell the peer that the connection is closed.
        used = self.state.dtls_transports
        for transport in sorted(self.transports.made, key=lambda t: t not in used):
            transport._core.park_stops(parking=False)
            await self._take(transport.stop)
            await self._take(transport.transport.stop)

    async def _take(self, step: Callable[[], Awaitable[object]], *, more_time: float = 0.0) -> None:
        """Run a step, and run it again if it was cancelled, as at the end of asyncio.run()."""
        for _ in range(2):
            try:
                async with asyncio.timeout(LIMIT + more_time):
                    await step()
            except asyncio.CancelledError:
                continue
            except Exception:
                self.log.exception("closing has failed in part, at %s()", step.__qualname__)
                break
            return
        self._complete = False

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._complete = False
            if not task.cancelled():
                self.log.error("closing has failed", exc_info=task.exception())
            self._abort()

    def _abort(self) -> None:
        """End all tasks, threads and timers, and close all sockets, without waiting.

        The peer isn't told. Has no effect on parts that have ended.
        """
        jobs: list[Callable[[], None]] = [t._core.abort for t in self.state.transceivers]
        if (sctp := self.state.sctp_transport) is not None:
            jobs.append(lambda: abort_data(sctp))
        for transport in self.transports.made:
            jobs += [lambda dtls=transport: abort_dtls(dtls), transport.transport._core.abort]  # type: ignore[misc]
        for job in jobs:
            try:
                job()
            except Exception:
                self.log.exception("closing has failed in part")
