"""Letting go of the sockets of connections that a program forgets without close().

The event loop keeps a socket, and whatever hears of what comes in on it. So nothing there may keep
the connection, until it has something to do by itself: from the first check on, tasks keep it.
"""

import asyncio
import warnings
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

__all__ = ["OpenConnections", "weakly", "weakly_asked"]

Subject = TypeVar("Subject")
Value = TypeVar("Value")


class Abortable(Protocol):
    """An ICE connection, as far as it is known here."""

    protocols: list[Any]

    def abort(self) -> None:
        """Close the sockets and end all tasks at once, without waiting for that."""


class OpenConnections:
    """The ICE connections of a peer connection, which are closed when that is garbage."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[Abortable] = weakref.WeakSet()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, connection: Abortable) -> None:
        """Take note of a connection that is about to open sockets."""
        self._loop = asyncio.get_running_loop()
        self._connections.add(connection)

    def belong_to(self, owner: object) -> None:
        """Close them when their owner is collected, and warn if that leaves any open."""
        finalizer = weakref.finalize(owner, self._let_go, type(owner).__name__)
        # When the program ends, asyncio closes its sockets.
        finalizer.atexit = False

    def _let_go(self, name: str) -> None:
        # This may be any thread, in the middle of anything.
        left = [connection for connection in self._connections if connection.protocols]
        if not left or self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(abort_all, left)
        warnings.warn(
            f"unclosed {name}: it was forgotten without close()", ResourceWarning, stacklevel=1
        )


def abort_all(connections: list[Abortable]) -> None:
    """Close the sockets of some connections."""
    for connection in connections:
        connection.abort()


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return what calls a method while its object is in use, and does nothing afterwards."""
    known = weakref.WeakMethod(method)

    def call(*args: object) -> None:
        if (found := known()) is not None:
            found(*args)

    return call


def weakly_asked(
    method: Callable[[Subject, Value], Awaitable[bool]], subject: Subject
) -> Callable[[Value], Awaitable[bool]]:
    """Return what asks a method about something while both are in use, and says no afterwards."""
    known, about = weakref.WeakMethod(method), weakref.ref(subject)

    async def ask(value: Value) -> bool:
        found, still = known(), about()
        return found is not None and still is not None and await found(still, value)

    return ask
