"""Following this host's addresses while a generation is in use, without signaling."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..seam import CandidatePair
from .network import NetworkChange, SharedMonitor
from .paths.keeper import PathKeeper

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LocalAddresses"]

# How many addresses join a generation that weren't there when it was gathered: each has a socket.
LIMIT: Final = 16

logger = logging.getLogger(__name__)


class Following(Protocol):
    """The connection that follows."""

    protocols: list[Any]

    check_list: list[CandidatePair]

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair in use."""

    async def gather_at(self, address: str) -> None:
        """Gather a candidate at an address that is new to this host."""


class LocalAddresses:
    """Lets new addresses join a connection, and those that go away be left at once.

    Args:
        connection: The connection.
        keeper: What keeps its paths.
    """

    def __init__(self, connection: Following, keeper: PathKeeper) -> None:
        self._connection = connection
        self._keeper = keeper
        self._joining: set[asyncio.Task[None]] = set()
        self._joined = 0
        self._leave: Callable[[], None] | None = None
        try:
            self._leave = SharedMonitor.follow(self._take)
        except OSError as error:
            logger.info("The addresses of this host can't be watched: %s", error)

    def stop(self) -> None:
        """Follow no more."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        for task in self._joining:
            task.cancel()

    def _take(self, change: NetworkChange) -> None:
        for address in sorted(change.removed):
            self._leave_pairs(address)
        known = {protocol.local_candidate.host for protocol in self._connection.protocols}
        for address in sorted(change.added - known):
            if self._joined < LIMIT:
                self._joined += 1
                self._in_background(self._join(address))
        if change.added & known:
            self._keeper.networks_changed()

    def _leave_pairs(self, address: str) -> None:
        connection, keeper = self._connection, self._keeper
        gone = [pair for pair in connection.check_list if pair.local_candidate.host == address]
        for pair in gone:
            keeper.pair_gone(pair)
        if connection.selected_pair in gone:
            keeper.path_gone()

    async def _join(self, address: str) -> None:
        await self._connection.gather_at(address)
        self._keeper.networks_changed()

    def _in_background(self, job: Any) -> None:
        task = asyncio.ensure_future(job)
        self._joining.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._joining.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.info("No candidate could be gathered: %s", error)
