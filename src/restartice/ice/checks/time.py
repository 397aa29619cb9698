"""How long connectivity checks go on without success."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

__all__ = ["finish_checks"]

# How many seconds the last check has to be answered, at least.
ANSWER: Final = 1.0


async def finish_checks(
    checks: Coroutine[Any, Any, None], seconds: float, is_unsent: Callable[[], bool]
) -> None:
    """Run the checks of a generation, for so long, or longer if some haven't been sent by then.

    Args:
        checks: What runs them, and returns when a pair is nominated.
        seconds: How long they may take.
        is_unsent: Says whether there are checks that haven't been sent.

    Raises:
        TimeoutError: No pair was nominated.
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
