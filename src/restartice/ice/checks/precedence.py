"""Lets the offerer of a restart send its checks first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from .hole_punching import Punching, punch_holes
from .nomination import Nominating, nominate_at_once, nominate_valid, nominate_when_checked

__all__ = ["connect_first", "connect_second"]

# How many seconds the answerer of a restart waits for the offerer's first check, and how many times
# as long while the offerer sends on the path in use: until a slow signaling has delivered the
# answer. werift sends nothing there any more once it has offered.
PRECEDENCE: Final = 0.5
TURNS: Final = 6


class Connecting(Nominating, Punching, Protocol):
    """The connection of the generation."""

    async def connect(self) -> None:
        """Check the pairs, and return when one is nominated."""


async def connect_first(connection: Connecting, patience: float | None) -> None:
    """Check the pairs as the offerer of a restart, or as an answerer that needn't wait.

    Args:
        connection: The connection of the generation.
        patience: The patience of `nominate_at_once()`; None to nominate a pair after its check.

    Raises:
        ConnectionError: All checks have failed.
    """
    nominating = (
        nominate_valid(connection) if patience is None else nominate_at_once(connection, patience)
    )
    async with _meanwhile(nominating):
        await connection.connect()


async def connect_second(
    connection: Connecting,
    *,
    peer_has_left: Callable[[], bool] | None,
    patience: float | None = None,
) -> None:
    """Check the pairs as the answerer of a restart.

    Args:
        connection: The connection of the generation.
        peer_has_left: Returns whether nothing comes in any more on the path in use, of another
            generation. The offerer may begin; for longer while it sends there. None if there is no
            other generation.
        patience: As in `connect_first()`.

    Raises:
        ConnectionError: All checks have failed.
    """
    # The peer's first check shows that it knows our candidates. A check that arrives before makes a
    # peer-reflexive candidate, whose priority is lower than that of the pair in use. libwebrtc then
    # prefers the old pair for good: it doesn't check the new one, and as the controlling side never
    # nominates it. werift answers such a check, and then sends no checks of its own.
    if peer_has_left is not None:
        async with _meanwhile(punch_holes(connection)):
            for _ in range(TURNS):
                with suppress(TimeoutError):
                    async with asyncio.timeout(PRECEDENCE):
                        await connection.asked.wait()
                if connection.asked.is_set() or peer_has_left():
                    break
    if connection.asked.is_set():
        await connect_first(connection, patience)
        return
    async with _meanwhile(nominate_when_checked(connection)):
        await connection.connect()


@asynccontextmanager
async def _meanwhile(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a job during a with statement; cancel it at the end."""
    task = asyncio.ensure_future(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
