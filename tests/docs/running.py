"""What a reader of a page has already when it comes to its blocks of code."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import connecting
from restartice import RTCPeerConnection
from restartice_signaling import Negotiator, WebSocketSignaling, serve

DEADLINE = 120.0
Names = dict[str, Any]


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[Names]:
    yield {}


@contextlib.asynccontextmanager
async def connected_pair() -> AsyncIterator[Names]:
    """Two peers of one program, connected."""
    pc, peer = RTCPeerConnection(), RTCPeerConnection()
    await connecting.connect(pc, peer)
    await connecting.wait_connected(pc, peer)
    yield {"pc": pc, "peer": peer}


@contextlib.asynccontextmanager
async def other_in_room() -> AsyncIterator[Names]:
    """A signaling server, on which another program waits in the room of the pages."""
    other = RTCPeerConnection()
    async with (
        serve() as server,
        WebSocketSignaling(server.url, room="robot-7") as signaling,
        Negotiator(other, signaling, recovery=False),
    ):
        names: Names = {"URL": server.url, "other": other}
        yield names | {"near": RTCPeerConnection(), "far": RTCPeerConnection()}


@contextlib.asynccontextmanager
async def member_of_room() -> AsyncIterator[Names]:
    """A peer connection and a signaling to another program."""
    async with (
        other_in_room() as names,
        WebSocketSignaling(names["URL"], room="robot-7") as signaling,
    ):
        yield names | {"pc": RTCPeerConnection(), "signaling": signaling}


class Wire:
    """A signaling of one's own, which only notes what it is to send."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


@contextlib.asynccontextmanager
async def own_signaling() -> AsyncIterator[Names]:
    yield {"signaling": Wire()}
