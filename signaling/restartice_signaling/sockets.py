"""Connections of `websockets` that can be given up at any time, also when they are already gone.

asyncio closes a socket that still has something to write when that has been written. Giving up the
transport after that raises AttributeError, with which `close()` and `send()` of `websockets` then
end, and so does a handler.
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
        """Do nothing, because all is done."""


def _lost(transport: asyncio.Transport) -> asyncio.Transport:
    return cast("asyncio.Transport", _LostTransport(transport))


class ClientSocket(ClientConnection):
    """A client's connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self.transport = _lost(self.transport)


class ServerSocket(ServerConnection):
    """A server's connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self.transport = _lost(self.transport)
