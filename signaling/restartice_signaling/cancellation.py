"""Cancels tasks until they end, because one cancellation may get lost.

Before Python 3.12, `asyncio.wait_for` returns its result and drops the cancellation if the awaited
future is ready in the same turn of the loop. Its callers, such as redis-py at each command, then
continue.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

__all__ = ["end", "finish_within"]

Result = TypeVar("Result")

# How long a task may take to clean up before it is cancelled again, in seconds.
AGAIN: Final = 0.25
# How long to wait for a task that only has to clean up, in seconds.
PATIENCE: Final = 5.0


async def end(tasks: Iterable[asyncio.Future[Any]], within: float = PATIENCE) -> bool:
    """Cancel tasks repeatedly until all have ended, with any result.

    Args:
        tasks: The tasks.
        within: How many seconds to try.

    Returns:
        Whether all have ended.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        left = deadline - loop.time()
        done, pending = await asyncio.wait(pending, timeout=max(0.0, min(AGAIN, left)))
        for task in done:
            _look_at(task)
        if left <= 0:
            break
    return not pending


async def finish_within(seconds: float, step: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine and return its result.

    Unlike `asyncio.timeout`, it doesn't wait for a coroutine that loses its cancellation.

    Raises:
        TimeoutError: The coroutine takes longer.
    """
    task = asyncio.ensure_future(step)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise TimeoutError(f"no result within {seconds:g} s")
    finally:
        await end([task], within=2 * AGAIN)
    return task.result()


def _look_at(task: asyncio.Future[Any]) -> None:
    # Otherwise asyncio logs that the exception was never retrieved.
    if not task.cancelled():
        task.exception()
