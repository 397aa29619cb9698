"""Speaking to a signaling server frame by frame."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from connecting import DEADLINE
from restartice_signaling.protocol.messages import SUBPROTOCOL

# What any message may be followed or preceded by.
UNASKED = {"ack"}


class Wire:
    """A connection to a server, on which a test says whatever it likes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **fields: Any) -> None:
        """Send a JSON object."""
        await self.socket.send(json.dumps(fields))

    async def hear(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(DEADLINE):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                if message["type"] not in UNASKED:
                    return message

    async def join(self, room: str = "room", **fields: Any) -> dict[str, Any]:
        """Go into a room and return the welcome."""
        await self.say(type="hello", protocol=1, room=room, **fields)
        welcome = await self.hear()
        assert welcome["type"] == "welcome", welcome
        return welcome

    async def close_code(self) -> int | None:
        """Return the code with which the server closes, after whatever it still says."""
        async with asyncio.timeout(DEADLINE):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code


@asynccontextmanager
async def dial(url: str, subprotocol: str | None = SUBPROTOCOL) -> AsyncIterator[Wire]:
    """Open a connection, which only the test or the server ends: it asks for no signs of life."""
    protocols = None if subprotocol is None else [Subprotocol(subprotocol)]
    async with connect(url, subprotocols=protocols, compression=None, ping_interval=None) as socket:
        yield Wire(socket)
