"""fastrtc's Stream, with restartice's class in place of aiortc's."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from unittest import mock

import fastrtc
import fastrtc.stream
import numpy as np
import pytest
from aiortc import RTCSessionDescription

from connecting import wait_connected
from downstream.remote import Remote, answer
from restartice import RTCPeerConnection

PATCHED = "fastrtc.webrtc_connection_mixin.RTCPeerConnection"
RESTARTS = 3


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    with mock.patch(PATCHED, RTCPeerConnection):
        yield


class Server:
    """A stream, and the offers that come to it."""

    def __init__(self, stream: fastrtc.Stream) -> None:
        self.stream = stream

    @property
    def pc(self) -> RTCPeerConnection:
        pc = self.stream.pcs["me"]
        assert isinstance(pc, RTCPeerConnection)
        return pc

    async def signal(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Handle the first offer as fastrtc's web server does, which refuses others."""
        if self.stream.pcs:
            return await answer(self.pc, offer)
        body = fastrtc.stream.Body(sdp=offer.sdp, type=offer.type, webrtc_id="me")
        return RTCSessionDescription(**await self.stream.offer(body))


class EchoHandler(fastrtc.AsyncStreamHandler):  # type: ignore[misc]  # untyped
    """Sends back what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.Queue[tuple[int, np.ndarray]]()

    async def receive(self, frame: "tuple[int, np.ndarray]") -> None:
        self.heard.put_nowait(frame)

    async def emit(self) -> "tuple[int, np.ndarray]":
        return await self.heard.get()

    def copy(self) -> "EchoHandler":
        return EchoHandler()

    async def start_up(self) -> None:
        pass


@asynccontextmanager
async def call(stream: fastrtc.Stream, *kinds: str) -> AsyncIterator[tuple[Server, Remote]]:
    """Connect a page to a stream."""
    server = Server(stream)
    async with Remote(server.signal, *kinds) as remote:
        await remote.connect()
        yield server, remote
        await server.pc.close()


async def check(remote: Remote) -> None:
    """Check that media comes back, and that messages are logged."""
    remote.channel.send("hello")
    await remote.message("Server received: hello")
    await remote.receive()


async def test_video_is_handled_and_sent_back_through_restarts() -> None:
    handled = []

    def handle(picture: np.ndarray) -> np.ndarray:
        handled.append(picture.shape)
        return np.flip(picture, axis=0)

    stream = fastrtc.Stream(handle, modality="video", mode="send-receive")
    async with call(stream, "video") as (server, remote):
        server.stream.set_input("me", None)
        await check(remote)
        for _ in range(RESTARTS):
            handled.clear()
            await remote.restart()
            await check(remote)
            assert handled
            assert set(handled) == {(480, 640, 3)}


async def test_sound_is_sent_back_through_restarts() -> None:
    stream = fastrtc.Stream(EchoHandler(), modality="audio", mode="send-receive")
    async with call(stream, "audio") as (_, remote):
        await check(remote)
        for _ in range(RESTARTS):
            await remote.restart()
            await check(remote)


async def test_candidates_are_taken_one_by_one() -> None:
    server = Server(fastrtc.Stream(EchoHandler(), modality="audio", mode="send-receive"))
    async with Remote(server.signal, "audio") as remote:
        candidates = remote.trickle()
        await remote.negotiate()
        assert "a=candidate" not in remote.offers[0].sdp
        for candidate in await candidates:
            body = {"type": "ice-candidate", "webrtc_id": "me", "candidate": candidate}
            await server.stream.handle_offer(body, None)
        await wait_connected(remote.pc, server.pc)
        await remote.receive()
        await server.pc.close()
