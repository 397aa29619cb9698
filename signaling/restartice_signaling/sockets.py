"""Connections of `websockets` whose transport can be aborted at any time, even after its end.

asyncio closes a socket after its last write. If the transport is aborted after that, asyncio
raises an AttributeError, which leaves `close()` and `send()` of `websockets`, and ends a handler.
"""

import asyncio
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

__all__ = ["ClientSocket", "ServerSocket"]


class _LostTransport:
    """A transport whose connection is lost."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def abort(self) -> None:
        """Do nothing: the connection is lost."""


def _lost(transport: asyncio.Transport) -> asyncio.Transport:
    return cast("asyncio.Transport", _LostTransport(transport))


class ClientSocket(ClientConnection):
    """The connection of a client."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Replace the transport by one that can be aborted."""
        super().connection_lost(exc)
        self.transport = _lost(self.transport)


class ServerSocket(ServerConnection):
    """The connection of a server."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Replace the transport by one that can be aborted."""
        super().connection_lost(exc)
        self.transport = _lost(self.transport)
