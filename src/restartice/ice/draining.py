"""Previous generations that nothing is sent on any more, but that may still be sent to."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from ..settings import IceSettings
from .generation import IceGeneration

__all__ = ["Draining"]


class Retired:
    """A generation that drains, and when something was heard on it, as far as is known."""

    def __init__(self, generation: IceGeneration, now: float, settings: IceSettings) -> None:
        self.enough = asyncio.Event()
        self.generation = generation
        self._settings = settings
        self._retired_at = self.heard_at = now
        self._end_at = now + max(settings.drain_time, settings.drain_timeout)
        self._revoke_at = now + max(settings.drain_time, settings.drain_timeout / 2)
        generation.connection.heard = False

    def look(self, now: float) -> float:
        """Take note of what was heard; return when to look again, or to end, which is then."""
        connection, settings = self.generation.connection, self._settings
        if connection.heard:
            connection.heard = False
            self.heard_at = now
        if now >= self._revoke_at:
            connection.revoked = True
        silent_at = self.heard_at + settings.drain_silence
        due = min(self._end_at, max(silent_at, self._retired_at + settings.drain_time))
        return due if now >= self._revoke_at else min(due, self._revoke_at)

    def is_over(self, now: float) -> bool:
        """Return whether it is time to close the sockets."""
        silent = now - self.heard_at >= self._settings.drain_silence
        old = now - self._retired_at >= self._settings.drain_time
        return self.enough.is_set() or now >= self._end_at or (silent and old)


class Draining:
    """The generations that drain, oldest first.

    "Every candidate of the latest exchange can receive": what the remote side sent on the old pair
    may still be under way, and it may go on with that a little longer than we do. If it goes on for
    long, its requests aren't answered any more, which revokes its consent to send there, so that it
    takes another pair. (RFC 8445 section 12, RFC 7675 section 5.1)
    """

    def __init__(self, settings: IceSettings) -> None:
        self._settings = settings
        self._limit = settings.drain_limit
        if settings.port_range is not None:
            # Those in use and to come need ports, too.
            first, last = settings.port_range
            self._limit = min(self._limit, max(1, (last - first + 1) // 4))
        self._retired: dict[IceGeneration, Retired] = {}

    def __iter__(self) -> Iterator[IceGeneration]:
        return iter(list(self._retired))

    def __len__(self) -> int:
        return len(self._retired)

    def add(self, generation: IceGeneration) -> None:
        """Let a generation drain. Where there are too many, the one ends that is silent longest."""
        now = asyncio.get_running_loop().time()
        self._retired[generation] = Retired(generation, now, self._settings)
        going_on = [r for r in self._retired.values() if not r.enough.is_set()]
        if len(going_on) > self._limit:
            for retired in going_on:
                retired.look(now)
            # The oldest one of those that were heard at the same time.
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
