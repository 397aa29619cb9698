"""The connections of a server to Redis, to the primary that Sentinels name if there are any."""

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from ...cancellation import finish_within
from .confirmations import Confirmations
from .interface import BackendDown
from .redis_url import Sentinels, read_sentinels

__all__ = ["TIMEOUT", "RedisLink", "close_quietly"]

TIMEOUT: Final = 5.0
# How long replicas may take to confirm what is told to the primary, in milliseconds.
REPLICATION_TIMEOUT: Final = 2000
# How long all replicas are waited for when they are counted, in milliseconds, and how many they are
# at most.
COUNT_TIMEOUT: Final = 100
MOST_REPLICAS: Final = 1000
# To which nobody listens.
CHANNEL: Final = "rtc-signal:w"
# How long a Sentinel may take, after which the next one is asked.
SENTINEL_TIMEOUT: Final = 1.0


class RedisLink:
    """Runs commands in Redis.

    Args:
        url: The URL of Redis or of Sentinels.
        script: The source of the Lua script.
        connections: The most connections at a time.
        replicas: How many replicas must at least have confirmed a command before it counts as done,
            or 0 if none need to; None for one with Sentinels, and none without. If there are more,
            all must.

    Attributes:
        failed_at: When a command failed last, by `time.monotonic()`.

    Raises:
        ValueError: The URL isn't one of Redis or of Sentinels.
    """

    def __init__(
        self, url: str, script: str, connections: int, *, replicas: int | None = None
    ) -> None:
        # Clients retry by themselves, and a step must not run twice.
        common: dict[str, Any] = {
            "decode_responses": True,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
        }
        commands = {**common, "socket_timeout": TIMEOUT, "max_connections": connections}
        sentinels = read_sentinels(url)
        self._sentinel = None if sentinels is None else _make_sentinel(sentinels)
        if sentinels is None or self._sentinel is None:
            pool = redis.asyncio.ConnectionPool.from_url(url, **commands)
            self._redis: Any = redis.asyncio.Redis.from_pool(pool)
            # Without a timeout: the channel may be silent for long.
            self._listener: Any = redis.asyncio.from_url(url, **common)
        else:
            self._redis, self._listener = (
                redis.asyncio.Redis.from_pool(
                    SentinelConnectionPool(  # type: ignore[no-untyped-call]
                        sentinels.service, self._sentinel, **options, **sentinels.options
                    )
                )
                for options in (commands, common)
            )
        least = int(sentinels is not None) if replicas is None else replicas
        self._confirmations = Confirmations(least) if least else None
        self._source = script
        self._digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        # First come, first served, which redis-py's own pool doesn't promise.
        self._turns = asyncio.Semaphore(connections)
        self.failed_at = -math.inf

    def pubsub(self) -> Any:
        """Return an object to listen to channels with."""
        return self._listener.pubsub(ignore_subscribe_messages=False)

    async def evaluate(self, key: str, arguments: list[str], *, count: bool = False) -> Any:
        """Run the script, and return its answer when it can't be lost with the primary.

        Args:
            key: Its only key.
            arguments: Its arguments.
            count: Whether to count the replicas, too.

        Raises:
            BackendDown: It may or may not have run, or may be lost with the primary.
        """
        command = ("EVALSHA", self._digest, 1, key, *arguments)

        async def run() -> Any:
            try:
                return await self._run(command, count=count)
            except NoScriptError:
                await self._redis.script_load(self._source)
                return await self._run(command, count=count)

        return await self._ask(run)

    async def execute(self, *command: object) -> Any:
        """Run a command, and return its answer; see evaluate()."""
        return await self._ask(lambda: self._run(command))

    async def _run(self, command: tuple[object, ...], *, count: bool = False) -> Any:
        confirmations = self._confirmations
        if confirmations is None:
            return await self._redis.execute_command(*command)
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*command)
            # WAIT is for what this connection has written, and what it has read may have been
            # written by another one.
            pipeline.publish(CHANNEL, "")
            if count:
                pipeline.wait(MOST_REPLICAS, COUNT_TIMEOUT)
            needed = confirmations.needed
            pipeline.wait(needed, REPLICATION_TIMEOUT)
            answer, _, *copies = await pipeline.execute()
        if not confirmations.are_enough(max(copies), needed):
            # It may be a primary that has been replaced.
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            raise BackendDown(f"Redis: {max(copies)} of {needed} replicas have confirmed")
        return answer

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        began = time.monotonic()
        async with self._turns:
            if self.failed_at > began:
                # Don't let each waiting step wait for its own timeout.
                raise BackendDown("Redis: another command has failed meanwhile")
            try:
                return await command()
            except (RedisError, OSError, TimeoutError) as error:
                self.failed_at = time.monotonic()
                raise BackendDown(f"Redis: {error}") from error
            except BackendDown:
                self.failed_at = time.monotonic()
                raise

    async def close(self) -> None:
        """Disconnect."""
        for client in (self._redis, self._listener):
            await close_quietly(client)
            await client.connection_pool.disconnect()
        for sentinel in () if self._sentinel is None else self._sentinel.sentinels:
            await close_quietly(sentinel)


def _make_sentinel(sentinels: Sentinels) -> Any:
    options = {
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    return Sentinel(  # type: ignore[no-untyped-call]
        list(sentinels.addresses), sentinel_kwargs={**options, **sentinels.sentinel_options}
    )


async def close_quietly(client: Any) -> None:
    """Close something of redis-py, whether it is connected or not."""
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        await finish_within(TIMEOUT, client.aclose())
