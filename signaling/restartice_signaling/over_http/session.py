"""The connection that a web server has with a client."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import TypeAlias

import aiortc

from restartice import RTCPeerConnection

__all__ = ["Prepare", "Session"]

Prepare: TypeAlias = Callable[[RTCPeerConnection], Awaitable[None] | None]


class Session:
    """The connection with a client.

    Attributes:
        name: Its id.
        pc: The connection.
        turn: Held while an offer is answered.
        etag: Which of the answers is the last, as an entity-tag.
        restarts: How many answers have followed the first one.
    """

    def __init__(self, name: str, pc: RTCPeerConnection) -> None:
        self.name = name
        self.pc = pc
        self.turn = asyncio.Lock()
        self.etag = ""
        self.restarts = -1

    async def answer(
        self, offer: aiortc.RTCSessionDescription, prepare: Prepare = lambda _: None
    ) -> None:
        """Answer an offer, when those before it are answered."""
        async with self.turn:
            result = prepare(self.pc)
            if inspect.isawaitable(result):
                await result
            await self.answer_now(offer)

    async def answer_now(self, offer: aiortc.RTCSessionDescription) -> None:
        """Answer an offer while the turn is held."""
        await self.pc.setRemoteDescription(offer)
        # Returns with all candidates, as nothing listens for them.
        await self.pc.setLocalDescription()
        self.etag = f'"{token_urlsafe(9)}"'
        self.restarts += 1
