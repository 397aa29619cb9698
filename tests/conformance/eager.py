"""Coroutines that begin when they are called, as a JavaScript method does."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

__all__ = ["Done", "start"]

Done = Callable[[Any, BaseException | None], None]


def start(coroutine: Coroutine[Any, Any, Any], done: Done) -> asyncio.Task[None] | None:
    """Run a coroutine up to where it first waits, and the rest of it in a task, which is returned.

    `done` is called with the result or the exception, at once if the coroutine never waits.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        done(end.value, None)
    except Exception as error:  # noqa: BLE001  # it is handed over
        done(None, error)
    else:
        return asyncio.ensure_future(_finish(coroutine, awaited, done))
    return None


async def _finish(coroutine: Coroutine[Any, Any, Any], awaited: Any, done: Done) -> None:
    try:
        result = await _go_on(coroutine, awaited)
    except Exception as error:  # noqa: BLE001  # it is handed over
        done(None, error)
    else:
        done(result, None)


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Wait for what a coroutine waits for already, and go on with it."""
    while True:
        failure: BaseException | None = None
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001  # it belongs to the coroutine
            failure = error
        try:
            awaited = coroutine.send(None) if failure is None else coroutine.throw(failure)
        except StopIteration as end:
            return end.value
