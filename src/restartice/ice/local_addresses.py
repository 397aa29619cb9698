"""Follows this host's addresses while a generation is in use, without signaling."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..logs import ObjectLogger
from ..seam import CandidatePair
from ..settings import IceSettings
from .gathering.turn import follow
from .network import NetworkChange, SharedMonitor
from .paths.keeper import PathKeeper
from .paths.networks import sent_from

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LocalAddresses"]

# How many new addresses may join a generation; each takes a socket.
LIMIT: Final = 16


class Following(Protocol):
    """The connection whose addresses are updated."""

    protocols: list[Any]
    log: ObjectLogger
    settings: IceSettings
    check_list: list[CandidatePair]

    @property
    def selected_pair(self) -> CandidatePair | None:
        """The pair in use."""

    async def gather_at(self, address: str) -> None:
        """Gather a candidate on a new address of this host."""


class LocalAddresses:
    """Adds new addresses to a connection, and leaves removed ones at once.

    Args:
        connection: The connection.
        keeper: Keeps its spare paths.
    """

    def __init__(self, connection: Following, keeper: PathKeeper) -> None:
        self._connection = connection
        self._keeper = keeper
        self._joining: set[asyncio.Task[None]] = set()
        self._joined = 0
        self._following: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] | None = None
        try:
            _, self._leave = SharedMonitor.follow(self._take)
        except OSError as error:
            connection.log.info("the addresses of this host can't be watched: %s", error)

    def stop(self) -> None:
        """Stop following."""
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
        if self._following is not None:
            self._following.cancel()
        self._following = self._in_background(self._follow(change.addresses))

    def _leave_pairs(self, address: str) -> None:
        connection, keeper = self._connection, self._keeper
        gone = [pair for pair in connection.check_list if sent_from(pair) == address]
        for pair in gone:
            keeper.pair_gone(pair)
        if connection.selected_pair in gone:
            keeper.path_gone()

    async def _join(self, address: str) -> None:
        await self._connection.gather_at(address)
        self._keeper.networks_changed()

    async def _follow(self, usable: frozenset[str]) -> None:
        if await follow(self._connection.protocols, usable, self._connection.settings):
            self._keeper.networks_changed()

    def _in_background(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(job)
        self._joining.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._joining.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._connection.log.info("no candidate could be gathered: %s", error)
