"""The remote end, as a web page would be: it offers, receives, and restarts ICE."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiortc import AudioStreamTrack, MediaStreamTrack, RTCSessionDescription, VideoStreamTrack

from connecting import DEADLINE, sending_ufrags, wait_connected, wait_restarted
from restartice import RTCIceCandidate, RTCPeerConnection

# Takes an offer to the other end, and returns its answer.
Signaling = Callable[[RTCSessionDescription], Awaitable[RTCSessionDescription]]


class Remote:
    """A connection with a data channel, and what it receives."""

    def __init__(self, signal: Signaling, *kinds: str) -> None:
        self.pc = pc = RTCPeerConnection()
        self.tracks: list[MediaStreamTrack] = []
        self.offers: list[RTCSessionDescription] = []
        self.messages = asyncio.Queue[str]()
        self.channel = pc.createDataChannel("text")
        self.opened = asyncio.Event()
        self._signal = signal
        self.channel.on("open", self.opened.set)
        self.channel.on("message", self.messages.put_nowait)
        pc.on("track", self.tracks.append)
        for kind in kinds:
            pc.addTrack(AudioStreamTrack() if kind == "audio" else VideoStreamTrack())

    async def __aenter__(self) -> Self:
        """Return itself, which will be closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pc.close()

    async def negotiate(self) -> None:
        """Offer, and take the answer."""
        await self.pc.setLocalDescription()
        self.offers.append(self.pc.localDescription)
        await self.pc.setRemoteDescription(await self._signal(self.offers[-1]))

    async def connect(self) -> None:
        """Negotiate for the first time, and wait for it."""
        await self.negotiate()
        await wait_connected(self.pc)
        async with asyncio.timeout(DEADLINE):
            await self.opened.wait()

    def trickle(self) -> "asyncio.Future[list[dict[str, Any]]]":
        """Make offers without candidates; return those that come, as JSON, when all have."""
        found: list[dict[str, Any]] = []
        complete = asyncio.get_running_loop().create_future()

        @self.pc.on("icecandidate")
        def keep(candidate: RTCIceCandidate | None) -> None:
            if candidate is None:
                complete.set_result(found)
            elif candidate.candidate:
                found.append(candidate.toJSON())

        return complete

    async def restart(self) -> None:
        """Restart ICE, and wait until packets take the new path."""
        before = sending_ufrags(self.pc)
        self.pc.restartIce()
        await self.negotiate()
        await wait_restarted(self.pc, since=[before])

    async def receive(self, count: int = 10) -> None:
        """Receive frames on all tracks."""
        await asyncio.gather(*(receive(track, count) for track in self.tracks))

    async def message(self, text: str = "") -> str:
        """Return the next message that has a text in it."""
        async with asyncio.timeout(DEADLINE):
            while text not in (message := await self.messages.get()):
                pass
        return message


async def receive(track: MediaStreamTrack, count: int) -> None:
    """Receive frames of a track."""
    async with asyncio.timeout(DEADLINE):
        for _ in range(count):
            await track.recv()


async def answer(pc: RTCPeerConnection, offer: RTCSessionDescription) -> RTCSessionDescription:
    """Answer an offer where a package has no way of its own to negotiate again."""
    await pc.setRemoteDescription(offer)
    await pc.setLocalDescription()
    return pc.localDescription
