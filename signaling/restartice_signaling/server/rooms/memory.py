"""Sessions and rooms in the memory of one server."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...errors import ServerError
from ...protocol.close_codes import CLOSE_REPLACED, CLOSE_TOO_SLOW
from ...protocol.encoding import encode
from ...protocol.messages import EVERYONE, Limits, PeerEvent, PeerInfo
from ...protocol.reliable import Outbox
from .interface import (
    BackendLimits,
    Claim,
    JoinRequest,
    Lease,
    Outcome,
    Outlet,
    Overloaded,
    is_key,
    key_digest,
    new_secret,
)

__all__ = ["MemoryBackend"]

# The most keys of a session that are valid at a time.
MAX_KEYS = 16
# The part of the limit that stays after too much was waiting.
RELIEVED = 0.9


@dataclass(eq=False)
class _Session:
    """A peer's stay in a room.

    Attributes:
        instance: The id of the stay. A peer that joins again gets another one, so messages to the
            earlier one never reach it.
        rank: Rises with each request. Of two peers, the later one is polite.
        deadline: When it ends unless it is resumed; None while it has a connection.
    """

    session: str
    request: JoinRequest
    peer: str
    rank: int
    outbox: Outbox
    digests: list[str] = field(default_factory=list)
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    outlet: Outlet | None = None
    epoch: int = 0
    last: int = 0
    deadline: float | None = None

    @property
    def room(self) -> str:
        return self.request.room

    def seen_by(self, other: "_Session") -> PeerInfo:
        """Return the information about this session for another one."""
        state = "joined" if self.outlet is not None else "away"
        polite = other.rank > self.rank
        return PeerInfo(self.peer, self.instance, polite, self.request.meta, state)


@dataclass(frozen=True)
class _Over:
    """A session that can't be resumed, and until when its key admits the client."""

    request: JoinRequest
    digests: list[str]
    until: float


class MemoryBackend:
    """Keeps sessions and rooms in memory; they end with the process. The server calls its methods.

    Args:
        limits: The limits of all rooms together.
        client_limits: The limits of each client, as in the settings of the server.
        clock: Returns seconds since an arbitrary moment.
    """

    def __init__(
        self,
        limits: BackendLimits | None = None,
        client_limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or BackendLimits()
        self._client_limits = client_limits or Limits()
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._rooms: dict[str, dict[str, _Session]] = {}
        self._ranks = itertools.count()
        self._used_tokens: dict[str, float] = {}
        self._over: dict[str, _Over] = {}
        self._buffered = 0
        self._freed = asyncio.Event()

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def join(self, request: JoinRequest, outlet: Outlet) -> Lease:
        """Add a peer to a room; see Backend."""
        members = self._rooms.get(request.room, {})
        peer, rival = self._find_place(members, request)
        if rival is not None:
            self._end(rival, "replaced")
            if rival.outlet is not None:
                rival.outlet.dismiss(CLOSE_REPLACED, "replaced")
        if len(self._sessions) >= self._limits.max_sessions:
            raise Overloaded("too many sessions")
        if request.room not in self._rooms and len(self._rooms) >= self._limits.max_rooms:
            raise Overloaded("too many rooms")
        limits = self._client_limits
        outbox = Outbox(limits.max_unacknowledged, limits.max_buffered)
        session = _Session(new_secret(), request, peer, next(self._ranks), outbox)
        self._sessions[session.session] = session
        self._rooms.setdefault(request.room, {})[peer] = session
        lease = self._lease(session, outlet, resumed=False)
        self._tell_others(session, "joined")
        return lease

    def _find_place(
        self, members: dict[str, _Session], request: JoinRequest
    ) -> tuple[str, _Session | None]:
        """Return the id for a peer, and the session that it replaces."""
        rival = members.get(request.peer) if request.peer is not None else None
        if rival is not None and _may_replace(request.claim, rival):
            return rival.peer, rival
        if len(members) >= self._limits.max_peers:
            raise ServerError("room-full", f"the room has {self._limits.max_peers} peers already")
        if request.peer is not None and rival is None:
            return request.peer, None
        if request.claim is Claim.ALWAYS:
            raise ServerError("auth", "the token is for one id only")
        return secrets.token_hex(6), None

    async def resume(  # noqa: PLR0917
        self,
        session: str,
        key: str,
        last: int,
        outlet: Outlet,
        room: str | None = None,
        acknowledged: int = 0,
    ) -> Lease | None:
        """Resume a session; see Backend."""
        found = self._sessions.get(session)
        if not is_key(key, [] if found is None else found.digests) or found is None:
            return None
        if room not in {None, found.room}:
            raise ServerError("protocol", "the session is in another room")
        if found.outlet is not None:
            found.outlet.dismiss(CLOSE_REPLACED, "replaced")
        if not found.outbox.covers(last) or acknowledged > found.last:
            self._end(found, "lost")
            self._remember(found, found.digests)
            return None
        was_away, found.deadline = found.outlet is None, None
        self._forget(found, last)
        lease = self._lease(found, outlet, resumed=True)
        if was_away:
            self._tell_others(found, "back")
        return lease

    def _remember(self, session: _Session, digests: list[str]) -> None:
        """Let the key of a session that has ended admit its client."""
        until = self._clock() + self._limits.resume_window
        claim = session.request.claim if session.request.claim is Claim.ALWAYS else Claim.NONE
        request = replace(session.request, peer=session.peer, claim=claim)
        self._over[session.session] = _Over(request, digests, until)

    async def readmit(self, session: str, key: str, outlet: Outlet, room: str) -> Lease | None:
        """Begin a new session in place of one that can't be resumed; see Backend."""
        over = self._over.get(session)
        if not is_key(key, [] if over is None else over.digests) or over is None:
            return None
        if over.request.room != room:
            return None
        del self._over[session]
        return await self.join(over.request, outlet)

    def _lease(self, session: _Session, outlet: Outlet, *, resumed: bool) -> Lease:
        """Give a session to a connection."""
        key = new_secret()
        # The earlier keys stay valid until the client has shown the new one: the welcome may be
        # lost, and a hello of an earlier attempt may come late.
        session.digests = [key_digest(key), *session.digests][:MAX_KEYS]
        session.outlet = outlet
        session.epoch += 1
        return Lease(
            session=session.session,
            key=key,
            epoch=session.epoch,
            room=session.room,
            peer=session.peer,
            instance=session.instance,
            rights=session.request.rights,
            outlet=outlet,
            last=session.last,
            resumed=resumed,
            others=tuple(other.seen_by(session) for other in self._others(session)),
        )

    async def confirm(self, lease: Lease) -> None:
        """Invalidate the earlier keys; see Backend."""
        if (session := self._find(lease)) is not None:
            session.digests = session.digests[:1]

    def _find(self, lease: Lease) -> _Session | None:
        session = self._sessions.get(lease.session)
        return session if session is not None and session.epoch == lease.epoch else None

    def _others(self, session: _Session) -> list[_Session]:
        members = self._rooms.get(session.room, {})
        return [other for other in members.values() if other is not session]

    async def relay(  # noqa: PLR0917
        self, lease: Lease, seq: int, to: str | None, instance: str | None, text: str, force: bool
    ) -> Outcome:
        """Append a message to outboxes; see Backend."""
        session = self._find(lease)
        if session is None:
            return Outcome.LOST
        recipients = self._recipients(session, to, instance)
        if recipients is None:
            session.last = seq
            return Outcome.NO_PEER
        for other in [other for other in recipients if not self._has_room(other, text)]:
            if not force:
                self._freed.clear()
                return Outcome.FULL
            self._give_up(other)
        for other in recipients:
            self._append(other, text)
        session.last = seq
        return Outcome.DONE

    def _recipients(
        self, sender: _Session, to: str | None, instance: str | None
    ) -> list[_Session] | None:
        members = self._rooms[sender.room]
        if to == EVERYONE:
            return self._others(sender)
        if to is None:
            others = self._others(sender)
            found = others[0] if len(others) == 1 else None
        else:
            found = members.get(to)
        if found is None or found is sender or instance not in {None, found.instance}:
            return None
        return [found]

    def _has_room(self, session: _Session, text: str) -> bool:
        if self._buffered + len(text) > self._limits.max_total_buffered:
            size = session.outbox.size
            # Only the senders to the session with the most waiting messages wait.
            if size and size >= max(other.outbox.size for other in self._sessions.values()):
                return False
        return session.outbox.has_room(text)

    def _make_room(self, more: int) -> None:
        """Remove the sessions with the most waiting messages, if too many wait in all.

        If all senders waited for these, every room would stop.
        """
        most = self._limits.max_total_buffered
        if self._buffered + more <= most:
            return
        by_size = sorted(self._sessions.values(), key=lambda s: s.outbox.size, reverse=True)
        for session in by_size:
            if self._buffered + more <= RELIEVED * most:
                return
            self._give_up(session)

    def _append(self, session: _Session, text: str) -> None:
        self._make_room(len(text))
        if self._sessions.get(session.session) is not session:
            return
        seq = session.outbox.append(text)
        self._buffered += len(text)
        if session.outlet is not None:
            session.outlet.tell(seq, text)

    def _forget(self, session: _Session, seq: int) -> None:
        before = session.outbox.size
        session.outbox.acknowledge(seq)
        self._buffered -= before - session.outbox.size
        self._freed.set()

    def _give_up(self, session: _Session) -> None:
        """Drop the messages for a session, which can't be resumed after that."""
        if session.digests:
            self._remember(session, session.digests)
        self._forget(session, session.outbox.last)
        session.digests = []
        if session.outlet is None:
            self._end(session, "too slow")
        else:
            # It ends when its connection does.
            session.outlet.dismiss(CLOSE_TOO_SLOW, "too slow")

    async def skip(self, lease: Lease, seq: int) -> None:
        """Note a refused message; see Backend."""
        if (session := self._find(lease)) is not None:
            session.last = seq

    async def wait_for_room(self, timeout: float) -> None:
        """Wait until a message is acknowledged; see Backend."""
        try:
            async with asyncio.timeout(timeout):
                await self._freed.wait()
        except TimeoutError:
            return

    async def waiting(self, lease: Lease, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the messages for a lease; see Backend."""
        session = self._find(lease)
        return [] if session is None else list(itertools.islice(session.outbox.after(after), limit))

    async def acknowledge(self, lease: Lease, seq: int) -> None:
        """Drop acknowledged messages; see Backend."""
        if (session := self._find(lease)) is not None:
            self._forget(session, seq)

    async def detach(self, lease: Lease) -> None:
        """Keep a session without its connection; see Backend."""
        session = self._find(lease)
        if session is None or session.outlet is not lease.outlet:
            return
        session.outlet = None
        if not session.digests:
            self._end(session, "too slow")
            return
        session.deadline = self._clock() + self._limits.resume_window
        self._tell_others(session, "away")

    async def leave(self, lease: Lease, reason: str) -> None:
        """End a session; see Backend."""
        if (session := self._find(lease)) is not None:
            self._end(session, reason)

    def _end(self, session: _Session, reason: str) -> None:
        if self._sessions.pop(session.session, None) is None:
            return
        self._forget(session, session.outbox.last)
        members = self._rooms[session.room]
        del members[session.peer]
        if not members:
            del self._rooms[session.room]
        self._tell_others(session, "left", reason)

    def _tell_others(self, session: _Session, event: str, reason: str = "") -> None:
        for other in self._others(session):
            info = session.seen_by(other)
            text = encode(
                PeerEvent(0, event, info.peer, info.instance, info.polite, info.meta, reason)
            )
            # No sender can wait with these, so they get twice the room.
            outbox, limits = other.outbox, self._client_limits
            if (
                len(outbox) < 2 * limits.max_unacknowledged
                and outbox.size < 2 * limits.max_buffered
            ):
                self._append(other, text)
            else:
                self._give_up(other)

    async def use_once(self, token: str, expire: float) -> bool:
        """Use a token that admits a client only once; see Backend."""
        if token in self._used_tokens:
            return False
        self._used_tokens[token] = expire
        return True

    async def give_back(self, token: str) -> None:
        """Note that a token is unused after all; see Backend."""
        self._used_tokens.pop(token, None)

    async def sweep(self) -> None:
        """End the sessions whose window is over; see Backend."""
        now = self._clock()
        for session in list(self._sessions.values()):
            if session.deadline is not None and session.deadline <= now:
                self._end(session, "lost")
        self._over = {name: over for name, over in self._over.items() if over.until > now}
        if self._used_tokens:
            wall = time.time()
            self._used_tokens = {t: end for t, end in self._used_tokens.items() if end > wall}


def _may_replace(claim: Claim, rival: _Session) -> bool:
    return claim is Claim.ALWAYS or (claim is Claim.IF_AWAY and rival.outlet is None)
