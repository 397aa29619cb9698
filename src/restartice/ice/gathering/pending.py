"""The servers that were asked for candidates, and how long to wait for them."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from ...logs import ObjectLogger
from ...settings import IceSettings
from .known_servers import KNOWN_SERVERS, Verdict
from .servers import StunServer, TurnServer

__all__ = ["PendingServers"]

# How long a STUN server that didn't answer is waited for the next time, in seconds: until the
# request has been repeated once.
SECOND_WAIT: Final = 0.75

Server = StunServer | TurnServer
Kind = type[StunServer] | type[TurnServer]


class PendingServers:
    """The servers that were asked and haven't answered yet.

    Args:
        settings: The ICE settings.
        log: The log of the transport.
        on_end: Called when all have answered, or are given up.
    """

    def __init__(
        self, settings: IceSettings, log: ObjectLogger, on_end: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._log = log
        self._on_end = on_end
        self._asked: dict[asyncio.Task[None], Server] = {}
        self._answered: set[Kind] = set()
        self._progress = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._asked)

    def ask(self, server: Server, job: Coroutine[Any, Any, None]) -> None:
        """Run a job that asks a server, and ends with its answer or without one."""
        task = asyncio.ensure_future(job)
        self._asked[task] = server
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        del self._asked[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("gathering candidates failed", exc_info=error)
        self._progress.set()
        if not self._asked:
            self._on_end()

    def answered(self, server: Server) -> None:
        """Note that a server has given a candidate."""
        self._answered.add(type(server))
        self._progress.set()

    async def wait(self, network: frozenset[str]) -> None:
        """Return when enough of them have answered; give the others up.

        That is after `gathering_timeout`, and `server_grace` after a STUN and a TURN server have
        answered: one answer of each is enough, and a dead server must not delay anything. A STUN
        server that was silent before on the same network is given up after `SECOND_WAIT`, and one
        that has found no NAT there isn't waited for.

        Args:
            network: The addresses of this host that STUN servers are asked from.
        """
        if not self._asked:
            return
        no_nat, silent = (
            self._known(verdict, network) for verdict in (Verdict.NO_NAT, Verdict.SILENT)
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.gathering_timeout) as limit:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SECOND_WAIT):
                        await self._until(lambda: self._kinds_without(no_nat) <= self._answered)
                needless = no_nat | silent
                await self._until(lambda: self._kinds_without(needless) <= self._answered)
                async with asyncio.timeout(self._settings.server_grace if self._answered else 0):
                    await self._until(lambda: not self._kinds_without(needless))
        # The answer of a TURN server takes several round trips, so it is waited for each time.
        for server in {*self._asked.values()} - no_nat if limit.expired() else silent:
            if isinstance(server, StunServer) and StunServer not in self._answered:
                KNOWN_SERVERS.note(server.address, network, Verdict.SILENT, time.monotonic())
        await self.give_up()

    async def give_up(self) -> None:
        """Cancel what waits for answers."""
        self.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    def cancel(self) -> None:
        """Cancel what waits for answers, without waiting for its end."""
        for task in list(self._asked):
            task.cancel()

    def _known(self, verdict: Verdict, network: frozenset[str]) -> set[Server]:
        """Return the servers of which this is known on a network."""
        now = time.monotonic()
        return {
            server
            for server in self._asked.values()
            if KNOWN_SERVERS.verdict(server.address, network, now) is verdict
        }

    def _kinds_without(self, needless: set[Server]) -> set[Kind]:
        """Return the kinds of servers that haven't answered, except the needless ones."""
        return {type(server) for server in self._asked.values() if server not in needless}

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._progress.clear()
            await self._progress.wait()
