"""Sessions and rooms in Redis, shared by any number of servers. It needs the extra `redis`.

Each step is one call of redis.lua, which Redis runs atomically. A message on the channel of a
server is a hint that one of its sessions has messages; after each reconnection to Redis the server
checks all its sessions, because hints may be lost.
"""

import asyncio
import contextlib
import json
import math
import secrets
import time
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from redis.exceptions import RedisError

from ...cancellation import end, finish_within
from ...errors import ServerError
from ...protocol.close_codes import CLOSE_REPLACED, CLOSE_TOO_SLOW
from ...protocol.encoding import encode_object
from ...protocol.messages import JsonObject, Limits, PeerInfo
from .interface import (
    BackendDown,
    BackendLimits,
    Claim,
    JoinRequest,
    Lease,
    Outcome,
    Outlet,
    Overloaded,
    key_digest,
    new_secret,
)
from .keeper import Keeper
from .redis_link import TIMEOUT, RedisLink, close_quietly

__all__ = ["RedisBackend"]

PREFIX: Final = "rtc-signal:"
FULL_PAUSE: Final = 0.05
RECONNECT_PAUSE: Final = 0.5
REFUSALS: Final = {
    "room-full": "the room is full",
    "auth": "the token is for one id only",
}


class RedisBackend:
    """Keeps sessions and rooms in Redis 6.2 or later, not in a cluster.

    Set `appendonly yes` in Redis so that its restart loses nothing, and `appendfsync always` if
    its machine may fail.

    Args:
        url: The URL of Redis, such as `redis://127.0.0.1:6379/0`, see redis-py; or of Sentinels,
            such as `redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster/0`.
        limits: The limits of all rooms together, the same on all servers.
        client_limits: The limits of each client, as in the settings of the server.
        node: A name that no other server has.
        replicas: How many replicas must at least have confirmed what a client is told; None for one
            with Sentinels, and none without. If there are more, all must.

    Raises:
        ValueError: The URL isn't one of Redis or of Sentinels.
    """

    def __init__(
        self,
        url: str,
        limits: BackendLimits | None = None,
        client_limits: Limits | None = None,
        *,
        node: str | None = None,
        replicas: int | None = None,
    ) -> None:
        self._limits = limits or BackendLimits()
        client_limits = client_limits or Limits()
        # A new one at each start: a server doesn't maintain the sessions of a killed predecessor.
        self._node = f"{node or 'node'}-{secrets.token_hex(4)}"
        source = resources.files(__package__).joinpath("redis.lua").read_text("utf-8")
        self._link = RedisLink(url, source, self._limits.redis_connections, replicas=replicas)
        self._bounds = (
            client_limits.max_unacknowledged,
            client_limits.max_buffered,
            self._limits.max_total_buffered,
            max(1, int(self._limits.resume_window * 1000)),
        )
        self._keeper = Keeper(self._step, self._node, self._limits.resume_window)
        self._seats = self._keeper.leases
        self._task: asyncio.Task[None] | None = None
        self._subscribed_at = -math.inf

    async def _step(self, name: str, *arguments: object) -> Any:
        texts = [name, *map(str, self._bounds), *map(str, arguments)]
        return await self._link.evaluate(PREFIX, texts, count=name == "tick")

    async def start(self) -> None:
        """Connect, and listen on this server's channel; see Backend."""
        pubsub = await self._subscribe()
        try:
            await self._keeper.sweep()
        except BackendDown:
            await close_quietly(pubsub)
            raise
        self._task = asyncio.create_task(self._listen(pubsub))

    async def _subscribe(self) -> Any:
        pubsub = self._link.pubsub()
        self._subscribed_at = time.monotonic()
        try:
            await finish_within(TIMEOUT, self._subscribe_to_ours(pubsub))
        except (RedisError, OSError, TimeoutError) as error:
            await close_quietly(pubsub)
            raise BackendDown(f"Redis: {error}") from error
        return pubsub

    async def _subscribe_to_ours(self, pubsub: Any) -> None:
        await pubsub.subscribe(f"{PREFIX}n:{self._node}")
        await anext(pubsub.listen())

    async def _listen(self, pubsub: Any) -> None:
        while True:
            if pubsub is None:
                pubsub = await self._subscribe_again()
                # Hints may have been missed.
                for lease in list(self._seats.values()):
                    lease.outlet.wake()
            try:
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        self._take_hint(*message["data"].split(" "))
            except (RedisError, OSError):
                pass
            finally:
                await close_quietly(pubsub)
            pubsub = None

    async def _subscribe_again(self) -> Any:
        while True:
            try:
                return await self._subscribe()
            except BackendDown:
                await asyncio.sleep(RECONNECT_PAUSE)

    def _take_hint(self, session: str, word: str = "") -> None:
        lease = self._seats.get(session)
        if lease is None:
            return
        if word == "overflow":
            lease.outlet.dismiss(CLOSE_TOO_SLOW, "too slow")
        elif word == "replaced" or (word.isdecimal() and int(word) > lease.epoch):
            lease.outlet.dismiss(CLOSE_REPLACED, "replaced")
        else:
            lease.outlet.wake()

    async def close(self) -> None:
        """Disconnect. Sessions stay in Redis for the resume window; see Backend."""
        if self._task is not None:
            await end([self._task])
            with contextlib.suppress(BackendDown):
                await self._keeper.retire()
        await self._link.close()

    async def join(self, request: JoinRequest, outlet: Outlet) -> Lease:
        """Add a peer to a room; see Backend."""
        key = new_secret()
        answer = await self._step(
            "join",
            request.room,
            request.peer or "",
            encode_object({"meta": request.meta}),
            request.claim.value,
            " ".join(sorted(request.rights)),
            *self._new_session(key),
        )
        return self._take_new(answer, key, outlet)

    def _new_session(self, key: str) -> tuple[object, ...]:
        limits = self._limits
        return (
            new_secret(),
            secrets.token_hex(6),
            secrets.token_hex(8),
            key_digest(key),
            self._node,
            limits.max_peers,
            limits.max_rooms,
            limits.max_sessions,
        )

    def _take_new(self, answer: list[Any] | str, key: str, outlet: Outlet) -> Lease:
        if isinstance(answer, str):
            if answer in REFUSALS:
                raise ServerError(answer, REFUSALS[answer])
            raise Overloaded("too many rooms or sessions")
        return self._take_lease(answer, key, outlet)

    async def resume(  # noqa: PLR0917
        self,
        session: str,
        key: str,
        last: int,
        outlet: Outlet,
        room: str | None = None,
        acknowledged: int = 0,
    ) -> Lease | None:
        """Resume a session, also one of another server; see Backend."""
        new_key = new_secret()
        answer = await self._step(
            "resume",
            session,
            key_digest(key),
            last,
            key_digest(new_key),
            self._node,
            room or "",
            acknowledged,
        )
        if answer == "room":
            raise ServerError("protocol", "the session is in another room")
        return self._take_lease(answer, new_key, outlet) if answer else None

    async def readmit(self, session: str, key: str, outlet: Outlet, room: str) -> Lease | None:
        """Begin a new session in place of one that can't be resumed; see Backend."""
        new_key = new_secret()
        answer = await self._step(
            "readmit", session, key_digest(key), room, *self._new_session(new_key)
        )
        return self._take_new(answer, new_key, outlet) if answer else None

    def _take_lease(self, answer: list[Any], key: str, outlet: Outlet) -> Lease:
        session, epoch, room, peer, instance, rights, last, rank, others, meta, claim, resumed = (
            answer
        )
        infos = tuple(
            PeerInfo(
                other, other_instance, int(rank) > int(other_rank), _read_meta(other_meta), state
            )
            for other, other_instance, other_rank, other_meta, state in others
        )
        lease = Lease(
            session=session,
            key=key,
            epoch=int(epoch),
            room=room,
            peer=peer,
            instance=instance,
            rights=frozenset(rights.split()),
            outlet=outlet,
            last=int(last),
            resumed=bool(resumed),
            others=infos,
            meta=_read_meta(meta),
            claim=Claim(claim),
        )
        before = self._keeper.take(lease)
        if before is not None and before.outlet is not outlet:
            before.outlet.dismiss(CLOSE_REPLACED, "replaced")
        return lease

    async def confirm(self, lease: Lease) -> None:
        """Invalidate the earlier keys; see Backend."""
        await self._step("confirm", lease.session, lease.epoch)

    async def relay(  # noqa: PLR0917
        self, lease: Lease, seq: int, to: str | None, instance: str | None, text: str, force: bool
    ) -> Outcome:
        """Append a message to outboxes; see Backend."""
        answer = await self._step(
            "relay", lease.session, lease.epoch, seq, to or "", instance or "", text, int(force)
        )
        await self._keeper.look_at(lease, answer)
        return Outcome(answer)

    async def skip(self, lease: Lease, seq: int) -> None:
        """Note a refused message; see Backend."""
        answer = await self._step("skip", lease.session, lease.epoch, seq)
        await self._keeper.look_at(lease, answer)

    async def wait_for_room(self, timeout: float) -> None:
        """Wait a moment: no hint comes when a client of another server acknowledges."""
        await asyncio.sleep(min(timeout, FULL_PAUSE))

    async def waiting(self, lease: Lease, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the messages for a lease; see Backend."""
        entries = await self._step("waiting", lease.session, lease.epoch, after, limit)
        if isinstance(entries, str):
            await self._keeper.look_at(lease, entries)
            return []
        return [(int(entry.partition("-")[0]), fields[1]) for entry, fields in entries]

    async def acknowledge(self, lease: Lease, seq: int) -> None:
        """Drop acknowledged messages; see Backend."""
        answer = await self._step("acknowledge", lease.session, lease.epoch, seq)
        await self._keeper.look_at(lease, answer)

    async def detach(self, lease: Lease) -> None:
        """Keep a session without its connection; see Backend."""
        await self._keeper.let_go(lease, None)

    async def leave(self, lease: Lease, reason: str) -> None:
        """End a session; see Backend."""
        await self._keeper.let_go(lease, reason)

    async def use_once(self, token: str, expire: float) -> bool:
        """Use a token that admits a client only once; see Backend."""
        # For longer than it is valid, in case the clock of Redis is ahead, or jumps.
        left = max(0.0, expire - time.time()) + 86_400
        name, lifetime = f"{PREFIX}t:{token}", int(left * 1000)
        return bool(await self._link.execute("SET", name, "1", "NX", "PX", lifetime))

    async def give_back(self, token: str) -> None:
        """Note that a token is unused after all; see Backend."""
        await self._link.execute("DEL", f"{PREFIX}t:{token}")

    async def sweep(self) -> None:
        """Keep the sessions of this server, and end expired ones; see Backend."""
        await self._keeper.sweep()
        if self._link.failed_at > self._subscribed_at and self._task is not None:
            # What failed may have been another Redis than the one that answers now.
            await end([self._task])
            self._task = asyncio.create_task(self._listen(None))


def _read_meta(text: str) -> JsonObject:
    meta: JsonObject = json.loads(text)["meta"]
    return meta
