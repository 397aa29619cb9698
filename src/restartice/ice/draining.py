"""Previous generations, which still receive but no longer send."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from ..settings import IceSettings
from .generation import IceGeneration

__all__ = ["Draining"]


class Retired:
    """A draining generation, and when traffic was last seen on it."""

    def __init__(self, generation: IceGeneration, now: float, settings: IceSettings) -> None:
        self.enough = asyncio.Event()
        self.generation = generation
        self._settings = settings
        self._retired_at = self.heard_at = now
        self._end_at = now + max(settings.drain_time, settings.drain_timeout)
        self._revoke_at = now + max(settings.drain_time, settings.drain_timeout / 2)
        generation.connection.take_heard()

    def look(self, now: float) -> float:
        """Note the traffic since the last look; return when to look again."""
        connection, settings = self.generation.connection, self._settings
        if connection.take_heard():
            self.heard_at = now
        if now >= self._revoke_at:
            connection.revoke_consent()
        silent_at = self.heard_at + settings.drain_silence
        due = min(self._end_at, max(silent_at, self._retired_at + settings.drain_time))
        return due if now >= self._revoke_at else min(due, self._revoke_at)

    def is_over(self, now: float) -> bool:
        """Return whether it is time to close the sockets."""
        silent = now - self.heard_at >= self._settings.drain_silence
        old = now - self._retired_at >= self._settings.drain_time
        return self.enough.is_set() or now >= self._end_at or (silent and old)


class Draining:
    """The draining generations, oldest first.

    Packets sent on the old pair may still be on their way, and the peer may use it a little longer
    than we do. If it does so for long, we stop answering its requests there. This revokes its
    consent to send, so it takes another pair. (RFC 8445 section 12, RFC 7675 section 5.1)
    """

    def __init__(self, settings: IceSettings) -> None:
        self._settings = settings
        self._limit = settings.drain_limit
        if settings.port_range is not None:
            # Current and future generations need ports, too.
            first, last = settings.port_range
            self._limit = min(self._limit, max(1, (last - first + 1) // 4))
        self._retired: dict[IceGeneration, Retired] = {}

    def __iter__(self) -> Iterator[IceGeneration]:
        return iter(list(self._retired))

    def __len__(self) -> int:
        return len(self._retired)

    def add(self, generation: IceGeneration) -> None:
        """Let a generation drain. If there are too many, the one silent for longest ends."""
        now = asyncio.get_running_loop().time()
        self._retired[generation] = Retired(generation, now, self._settings)
        going_on = [r for r in self._retired.values() if not r.enough.is_set()]
        if len(going_on) > self._limit:
            for retired in going_on:
                retired.look(now)
            # min() returns the oldest of several with the same time.
            min(going_on[:-1], key=lambda retired: retired.heard_at).enough.set()

    async def wait(self, generation: IceGeneration) -> None:
        """Return when a generation has drained, and forget it."""
        retired, loop = self._retired[generation], asyncio.get_running_loop()
        while True:
            next_look = retired.look(loop.time())
            if retired.is_over(loop.time()):
                break
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_look):
                    await retired.enough.wait()
        del self._retired[generation]
