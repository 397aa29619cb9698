"""One ICE generation of a transport: its connection, and both sides' parameters and candidates."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import aioice
import aiortc
from aiortc.exceptions import OperationError

from ..seam import address_of, candidate_from_aioice, candidate_to_aioice, hear_answers
from .candidate import RTCIceCandidate, with_ufrag
from .connection import IceConnection
from .credentials import IceCredentials
from .gathering.forgotten import weakly
from .gathering.mdns import answers_only
from .gathering.servers import StunServer, TurnServer
from .generations import Phase
from .remote import RemoteIce

__all__ = ["IceGeneration"]

# How often an mDNS name is queried, and the pause in seconds. Each query waits for one second.
QUERIES: Final = 3
PAUSE: Final = 0.25


class IceGeneration:
    """Credentials, sockets, candidates and check list of one generation."""

    def __init__(
        self, connection: IceConnection, on_news: Callable[[], None] = lambda: None
    ) -> None:
        self.connection = connection
        self.begun_at = time.monotonic()
        self.phase = Phase.NEW
        self.gathering_state = "new"
        self._on_news = on_news
        self.remote: RemoteIce | None = None
        self.check_task: asyncio.Task[None] | None = None
        # The candidates to announce once the local description is set.
        self.found: list[RTCIceCandidate] = []
        self._known: list[RTCIceCandidate] = []
        self._gather_task: asyncio.Task[None] | None = None
        self._resolving: set[asyncio.Task[None]] = set()

    @property
    def credentials(self) -> IceCredentials:
        """The local username fragment and password."""
        return self.connection.credentials

    @property
    def name(self) -> str:
        """The local username fragment, by which the log and candidates tell generations apart."""
        return self.credentials.ufrag

    def local_candidates(self) -> list[RTCIceCandidate]:
        """Return the candidates announced so far."""
        return list(self._known)

    @property
    def finished(self) -> bool:
        """Whether all candidates have been announced, but not yet the end of candidates."""
        gathering = self.gathering_state == "gathering"
        return gathering and self.connection.gathered and not self.found

    def next_found(self) -> RTCIceCandidate:
        """Remove and return the next candidate to announce."""
        candidate = self.found.pop(0)
        self._known.append(candidate)
        return candidate

    @property
    def has_gathered(self) -> bool:
        """Whether gathering has begun, even if it was taken back."""
        return self._gather_task is not None

    def take_back(self) -> None:
        """Let the candidates be announced again, for another description."""
        known, self._known = self._known, []
        self.found = [replace(c, sdpMid=None, sdpMLineIndex=None) for c in [*known, *self.found]]
        self.gathering_state = "new"

    def remote_candidates(self) -> list[RTCIceCandidate]:
        """Return the candidates that the remote side has told, not those learned from its checks.

        One that was learned before it was told stays as it was learned in aioice.
        """
        known, remote = self.connection.remote_candidates, self.remote
        told = [candidate_from_aioice(c) for c in known if c.type != "prflx"]
        learned = {address_of(c) for c in known if c.type == "prflx"}
        told += [c for c in remote.candidates if (c.ip, c.port) in learned] if remote else []
        return [with_ufrag(c, remote.credentials.ufrag if remote else None) for c in told]

    @property
    def has_remote_candidates(self) -> bool:
        """Whether there is a UDP candidate to check, or one whose name is being resolved."""
        told = self.connection.remote_candidates
        return bool(self._resolving) or any(c.transport.lower() == "udp" for c in told)

    def enter(self, phase: Phase) -> None:
        """Enter a phase."""
        self.phase = phase

    def enter_gathering(self, state: str) -> None:
        """Enter a gathering state."""
        self.gathering_state = state

    def begin_checks(self, checks: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the checks as a task, until this generation is closed."""
        # A check of the peer may have had its answer already.
        if self.phase is Phase.NEW:
            self.phase = Phase.CHECKING
        self.check_task = asyncio.ensure_future(checks)
        return self.check_task

    def use_remote(self, remote: RemoteIce) -> None:
        """Set the remote generation to check against."""
        self.remote = remote
        self.connection.use_remote(remote.parameters)

    async def begin_gathering(self, servers: Sequence[StunServer | TurnServer]) -> None:
        """Gather host candidates, once, and ask the servers.

        Cancelling the caller doesn't cancel the gathering.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        if self._gather_task is None:
            gathering = self.connection.begin_gathering(servers, weakly(self._candidate_found))
            self._gather_task = asyncio.ensure_future(gathering)
        try:
            await asyncio.shield(self._gather_task)
        except OperationError:
            self._gather_task = None
            raise

    async def gather_enough(self) -> None:
        """Return when the servers have answered or are given up; all candidates are announced."""
        await self.connection.gather_enough()
        while self.found:
            self.next_found()

    async def add_remote_candidates(self, candidates: Iterable[aiortc.RTCIceCandidate]) -> None:
        """Check remote candidates."""
        for candidate in candidates:
            if not candidate.ip.endswith(".local"):
                await self.connection.add_remote_candidate(candidate_to_aioice(candidate))
            # The name is resolved by multicast DNS in the background, unless it is that of a TCP
            # candidate, which aioice can't use.
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
        """Close the sockets and cancel all tasks, without waiting."""
        for task in self._running_tasks():
            task.cancel()
        self.connection.abort()

    def _running_tasks(self) -> list[asyncio.Task[None]]:
        tasks = (self.check_task, self._gather_task, *self._resolving)
        return [task for task in tasks if task is not None and not task.done()]

    def _candidate_found(self, candidate: aioice.Candidate) -> None:
        ufrag = self.credentials.ufrag
        self.found.append(with_ufrag(candidate_from_aioice(candidate), ufrag))
        self._on_news()

    async def _resolve(self, candidate: aiortc.RTCIceCandidate) -> None:
        # aioice queries once. But a responder may stay silent for a second after it has announced
        # the name, which it does when the candidate is made. (RFC 6762 sections 5.2 and 6)
        for _ in range(QUERIES):
            try:
                await hear_answers(self.connection, answers_only)
                await self.connection.add_remote_candidate(candidate_to_aioice(candidate))
            except OSError as error:
                self.connection.log.info("the name %s can't be resolved: %s", candidate.ip, error)
                return
            if candidate.ip in {known.host for known in self.connection.remote_candidates}:
                return
            # aioice sends no query while another one for the same name is waiting.
            await asyncio.sleep(PAUSE)

    def _in_background(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)
