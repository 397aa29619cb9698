"""One ICE generation of a transport: what either side said of it, and its connection."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import aioice
import aiortc
from aiortc.exceptions import OperationError

from ..seam import candidate_from_aioice, candidate_to_aioice, hear_answers
from .candidate import RTCIceCandidate, with_ufrag
from .connection import IceConnection
from .credentials import IceCredentials
from .gathering.forgotten import weakly
from .gathering.mdns import answers_only
from .gathering.servers import StunServer, TurnServer
from .generations import Phase
from .remote import RemoteIce

__all__ = ["IceGeneration"]

# How often the address of a name is asked for. Each time is waited for a second.
QUERIES: Final = 3
PAUSE: Final = 0.25

logger = logging.getLogger(__name__)


class IceGeneration:
    """Credentials, sockets, candidates and check list of one generation."""

    def __init__(self, connection: IceConnection) -> None:
        self.connection = connection
        self.phase = Phase.NEW
        self.gathering_state = "new"
        self.on_news: Callable[[], None] = _ignore
        self.remote: RemoteIce | None = None
        self.check_task: asyncio.Task[None] | None = None
        # Candidates that were found, but not yet made known, which waits for the description.
        self.found: list[RTCIceCandidate] = []
        self._known: list[RTCIceCandidate] = []
        self._gather_task: asyncio.Task[None] | None = None
        self._resolving: set[asyncio.Task[None]] = set()

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password."""
        return self.connection.credentials

    def local_candidates(self) -> list[RTCIceCandidate]:
        """Return the candidates that have been made known so far."""
        return list(self._known)

    @property
    def finished(self) -> bool:
        """Whether all candidates have been found and made known, but not the end of them."""
        gathering = self.gathering_state == "gathering"
        return gathering and self.connection.gathered and not self.found

    def next_found(self) -> RTCIceCandidate:
        """Make the next candidate known, and return it."""
        candidate = self.found.pop(0)
        self._known.append(candidate)
        return candidate

    def use_remote(self, remote: RemoteIce) -> None:
        """Check against a generation of the remote side."""
        self.remote = remote
        # Let the controlling side nominate one pair that works (RFC 8445 section 8.1.1), as aioice
        # does only where the remote side is lite. Otherwise it nominates all pairs that it checks,
        # and the two sides may end up sending on different ones.
        self.connection.remote_is_lite = True
        self.connection.remote_username = remote.parameters.usernameFragment
        self.connection.remote_password = remote.parameters.password

    async def begin_gathering(self, servers: Sequence[StunServer | TurnServer]) -> None:
        """Gather host candidates, once, and ask the servers.

        A caller that is cancelled doesn't cancel that.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        if self._gather_task is None:
            self.connection.on_candidate = weakly(self._candidate_found)
            self._gather_task = asyncio.ensure_future(self.connection.begin_gathering(servers))
        try:
            await asyncio.shield(self._gather_task)
        except OperationError:
            self._gather_task = None
            raise

    async def gather_enough(self) -> None:
        """Return when the servers have answered or are given up, with all candidates known."""
        await self.connection.gather_enough()
        while self.found:
            self.next_found()

    async def add_remote_candidates(self, candidates: Iterable[aiortc.RTCIceCandidate]) -> None:
        """Check candidates of the remote side."""
        for candidate in candidates:
            if not candidate.ip.endswith(".local"):
                await self.connection.add_remote_candidate(candidate_to_aioice(candidate))
            # The name is resolved by multicast DNS, which must not hold anything up. Those of TCP
            # candidates, which aioice has no use for, would only be asked for in vain.
            elif candidate.protocol.lower() == "udp":
                self._in_background(self._resolve(candidate))

    async def close(self) -> None:
        """Close the sockets and end all tasks."""
        for task in self._running_tasks():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        await self.connection.close()

    def abort(self) -> None:
        """Close the sockets and end all tasks at once, without waiting for that."""
        for task in self._running_tasks():
            task.cancel()
        self.connection.abort()

    def _running_tasks(self) -> list[asyncio.Task[None]]:
        tasks = (self.check_task, self._gather_task, *self._resolving)
        return [task for task in tasks if task is not None and not task.done()]

    def _candidate_found(self, candidate: aioice.Candidate) -> None:
        ufrag = self.credentials.ufrag
        self.found.append(with_ufrag(candidate_from_aioice(candidate), ufrag))
        self.on_news()

    async def _resolve(self, candidate: aiortc.RTCIceCandidate) -> None:
        # A responder may keep silent for a second after it has announced the name, which it does
        # when the candidate is made, and aioice asks once. (RFC 6762 section 5.2 and 6)
        for _ in range(QUERIES):
            try:
                await hear_answers(self.connection, answers_only)
                await self.connection.add_remote_candidate(candidate_to_aioice(candidate))
            except OSError as error:
                logger.info("The name %s can't be resolved: %s", candidate.ip, error)
                return
            if candidate.ip in {known.host for known in self.connection.remote_candidates}:
                return
            # aioice doesn't ask while it still waits for the same name on behalf of others.
            await asyncio.sleep(PAUSE)

    def _in_background(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)


def _ignore() -> None:
    """Tell nobody."""
