"""The time limit of connectivity checks, and the repetition of unanswered ones."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ...seam import AioiceConnection, CandidatePair, repeat_requests
from .repetition import LOOKS, Repetitions

__all__ = ["finish_checks", "keep_repeating"]

# How long to wait for the answer to the last check, in seconds.
ANSWER: Final = 1.0


async def finish_checks(
    checks: Coroutine[Any, Any, None], seconds: float, is_unsent: Callable[[], bool]
) -> None:
    """Run the checks of a generation within a time limit, extended until all have been sent.

    Args:
        checks: Runs the checks, and returns when a pair is nominated.
        seconds: The time limit in seconds.
        is_unsent: Returns whether there are checks that haven't been sent.

    Raises:
        TimeoutError: No pair was nominated in time.
        ConnectionError: The checks have failed.
    """
    running = asyncio.ensure_future(checks)
    try:
        await asyncio.wait([running], timeout=seconds)
        left = is_unsent()
        while left and not running.done():
            left = is_unsent()
            await asyncio.wait([running], timeout=ANSWER)
        if not running.done():
            raise TimeoutError
        running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def keep_repeating(connection: AioiceConnection, interval: float) -> None:
    """Repeat the unanswered checks of a connection, soon at first, until this is cancelled.

    Args:
        connection: The connection.
        interval: The pause after the first ones, in seconds.
    """
    repetitions = Repetitions[CandidatePair](interval)
    while True:
        await asyncio.sleep(min(LOOKS, interval))
        in_progress = CandidatePair.State.IN_PROGRESS
        unanswered = (pair for pair in connection.check_list if pair.state is in_progress)
        for pair in repetitions.due(unanswered, asyncio.get_running_loop().time()):
            repeat_requests(pair)
