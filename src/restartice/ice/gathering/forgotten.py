"""Closes the sockets of connections that a program drops without calling close().

The event loop refers to each socket and its protocol. So the protocol must not refer to the peer
connection before the first check; after that, tasks keep it alive.
"""

import asyncio
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["OpenConnections", "weakly"]


class Abortable(Protocol):
    """An ICE connection."""

    protocols: list[Any]

    def abort(self) -> None:
        """Close the sockets and cancel all tasks, without waiting."""


class OpenConnections:
    """The ICE connections of a peer connection, which are closed when it is garbage-collected."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[Abortable] = weakref.WeakSet()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, connection: Abortable) -> None:
        """Note a connection that is about to open sockets."""
        self._loop = asyncio.get_running_loop()
        self._connections.add(connection)

    def belong_to(self, owner: object) -> None:
        """Abort open connections when their owner is collected, with a warning."""
        finalizer = weakref.finalize(owner, self._let_go, type(owner).__name__)
        # At the end of the program, asyncio closes its sockets itself.
        finalizer.atexit = False

    def _let_go(self, name: str) -> None:
        # The garbage collector may run this in any thread, at any time.
        left = [connection for connection in self._connections if connection.protocols]
        if not left or self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(abort_all, left)
        warnings.warn(
            f"unclosed {name}: it was dropped without close()", ResourceWarning, stacklevel=1
        )


def abort_all(connections: list[Abortable]) -> None:
    """Close the sockets of some connections."""
    for connection in connections:
        connection.abort()


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return a function that calls a method while its object is alive, and then does nothing."""
    known = weakref.WeakMethod(method)

    def call(*args: object) -> None:
        if (found := known()) is not None:
            found(*args)

    return call
