"""The operations chain."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiortc import InvalidStateError

__all__ = ["OperationsChain"]

T = TypeVar("T")


class OperationsChain:
    """A queue per connection, which runs its operations one after the other.

    Spec: https://w3c.github.io/webrtc-pc/#dfn-operations-chain
    """

    def __init__(self, on_empty: Callable[[], None]) -> None:
        self._on_empty = on_empty
        self._turns: list[asyncio.Future[None]] = []
        self._running: asyncio.Task[Any] | None = None
        self._afterwards: list[Callable[[], object]] = []
        self._closed = False
        self._settled = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether no operation runs or waits."""
        return not self._turns

    async def run(
        self, operation: Callable[[], Awaitable[T]], check: Callable[[], None] | None = None
    ) -> T:
        """Run the operation when all earlier ones have settled, and return its result.

        Cancelling the caller cancels the operation, whether it runs or still waits.

        Args:
            operation: The operation.
            check: Called when the operation's turn has come; raises an error if it isn't allowed.
                Without an earlier operation, it is called at once.

        Raises:
            InvalidStateError: The connection is closed, or was closed before the operation ended.
        """
        # If connection.[[IsClosed]] is true, reject with an InvalidStateError.
        self._raise_if_closed()
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        if self._turns[0] is turn:
            turn.set_result(None)
        try:
            await turn
            if check is not None:
                check()
            return await self._perform(operation)
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        finally:
            self._settle(turn)

    def afterwards(self, job: Callable[[], object]) -> None:
        """Do a job when the running operation has settled and its caller has gone on.

        It is done at once if no operation runs, and not at all if the connection closes meanwhile.
        """
        if self._turns:
            self._afterwards.append(job)
        else:
            job()

    @property
    def settled(self) -> asyncio.Event:
        """Set when the running operation has settled and its caller has gone on, or at close()."""
        return self._settled

    def close(self) -> None:
        """Cancel the running operation, and refuse the waiting ones."""
        self._closed = True
        self._afterwards.clear()
        self._settled.set()
        for turn in self._turns:
            turn.cancel()
        if self._running is not None:
            self._running.cancel()

    async def wait_ended(self) -> None:
        """Return when the cancelled operation has ended."""
        if (running := self._running) is not None:
            await asyncio.wait([running])

    async def _perform(self, operation: Callable[[], Awaitable[T]]) -> T:
        # A task of its own lets close() end the operation without touching its caller.
        task: asyncio.Task[T] = asyncio.ensure_future(_as_coroutine(operation))
        self._running = task
        try:
            return await task
        finally:
            self._running = None

    def _settle(self, turn: asyncio.Future[None]) -> None:
        # Remove the operation from the chain, and start the next one.
        was_first = self._turns[0] is turn
        self._turns.remove(turn)
        if self._closed:
            return
        if was_first:
            jobs, self._afterwards = [*self._afterwards, self._settled.set], []
            self._settled = asyncio.Event()
            for job in jobs:
                asyncio.get_running_loop().call_soon(job)
        if not self._turns:
            self._on_empty()
        elif was_first and not self._turns[0].done():
            self._turns[0].set_result(None)

    def _raise_if_closed(self) -> None:
        task = asyncio.current_task()
        if self._closed and not (task and task.cancelling()):
            raise InvalidStateError("RTCPeerConnection is closed")


async def _as_coroutine(operation: Callable[[], Awaitable[T]]) -> T:
    return await operation()
