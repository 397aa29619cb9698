"""Ending tasks and steps for sure: one cancellation may get lost.

Before Python 3.12, `asyncio.wait_for` returns its result, and forgets that it was canceled, if what
it waits for is ready in the same turn of the loop. Whoever uses it, as redis-py does for each
command, goes on then as if nothing had been asked.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

__all__ = ["end", "finish_within"]

Result = TypeVar("Result")

# How long a task may take to clean up after a cancellation, before there is another one.
AGAIN: Final = 0.25
# How long a task is waited for, which does nothing that takes time once it is canceled.
PATIENCE: Final = 5.0


async def end(tasks: Iterable[asyncio.Future[Any]], within: float = PATIENCE) -> bool:
    """Cancel tasks again and again, until they have ended, with whatever that is.

    Args:
        tasks: The tasks.
        within: For how many seconds to try.

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
    """Return what a step returns.

    Unlike in `asyncio.timeout`, a step that loses its cancellation isn't waited for.

    Raises:
        TimeoutError: It takes longer.
    """
    task = asyncio.ensure_future(step)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise TimeoutError(f"it takes longer than {seconds:g} s")
    finally:
        await end([task], within=2 * AGAIN)
    return task.result()


def _look_at(task: asyncio.Future[Any]) -> None:
    # Otherwise asyncio would tell of an exception that nobody has seen.
    if not task.cancelled():
        task.exception()
