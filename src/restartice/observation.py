"""Tells observers of a connection which methods are called, and which events fire."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, TypeVar, cast

__all__ = ["NEW", "Observer", "entry"]

F = TypeVar("F", bound=Callable[..., Any])
# Gets "call", "return", "failure" or "event", then the name of the method or event, then the
# arguments by name, the result, the exception or the arguments of the event. It must not raise.
Observer = Callable[[str, str, Any], None]
# Called with each new connection.
NEW: Final[list[Callable[[Any], None]]] = []


def entry(method: F) -> F:
    """Make a method of a connection one that programs call: only in the connection's thread.

    A call that raises an error is logged. Observers are told of the call and of its result.
    """
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def call_and_wait(pc: Any, *args: Any, **kwargs: Any) -> Any:
            with _told(pc._core, method, (pc, *args), kwargs) as results:
                results.append(await method(pc, *args, **kwargs))
            return results[0]

        return cast("F", call_and_wait)

    @wraps(method)
    def call(pc: Any, *args: Any, **kwargs: Any) -> Any:
        with _told(pc._core, method, (pc, *args), kwargs) as results:
            results.append(method(pc, *args, **kwargs))
        return results[0]

    return cast("F", call)


@contextmanager
def _told(
    core: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[list[Any]]:
    """Check the thread and tell observers of a call, whose result the caller puts into the list."""
    name, results = method.__name__, list[Any]()
    core.home.check(f"{name}()")
    observers: list[Observer] = core.state.observers
    if observers:
        given = inspect.signature(method).bind_partial(*args, **kwargs).arguments
        core.state.tell("call", name, dict(list(given.items())[1:]))
    try:
        with core.log.refusal(f"{name}()"):
            yield results
    except Exception as error:
        core.state.tell("failure", name, error)
        raise
    core.state.tell("return", name, results[0])
