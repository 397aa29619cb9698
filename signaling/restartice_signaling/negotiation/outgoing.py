"""Sends the descriptions of the Negotiator, and their candidates."""

import asyncio
from collections.abc import Callable

import aiortc

from restartice import RTCIceCandidate, RTCPeerConnection

from .channel import SignalingChannel, TrickleChannel
from .politeness import ufrags_in

__all__ = ["Outgoing"]

EVENTS = ("icegatheringstatechange", "signalingstatechange")


class Outgoing:
    """Sends descriptions, and each candidate after its description.

    Args:
        pc: The connection.
        channel: The signaling.
        has_peer: Returns whether there is another peer.
        trickles: Whether the signaling carries candidates. If not, a description waits for all of
            its own.
    """

    def __init__(
        self,
        pc: RTCPeerConnection,
        channel: SignalingChannel,
        has_peer: Callable[[], bool],
        *,
        trickles: bool,
    ) -> None:
        self._pc = pc
        self._channel = channel
        self._has_peer = has_peer
        self._trickle = channel if trickles and isinstance(channel, TrickleChannel) else None
        self._candidates: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
        # The username fragments of which the other side knows.
        self._told = self._in_use()
        self._sending = asyncio.Lock()
        self._changed = asyncio.Event()
        self._listeners: dict[str, Callable[..., None]] = dict.fromkeys(EVENTS, self._changed.set)
        if self._trickle is not None:
            self._listeners["icecandidate"] = self._candidates.put_nowait
        for event, listener in self._listeners.items():
            pc.on(event, listener)

    def close(self) -> None:
        """Stop listening to the connection."""
        for event, listener in self._listeners.items():
            # A closed connection has no listeners any more.
            if listener in self._pc.listeners(event):
                self._pc.remove_listener(event, listener)

    async def send_description(
        self, find: Callable[[], aiortc.RTCSessionDescription | None]
    ) -> None:
        """Send the description that `find` returns when its turn comes, unless that is None."""
        # The description may have been rolled back meanwhile.
        async with self._sending:
            if self._trickle is None:
                await self._gathered()
            if (description := find()) is not None:
                await self._channel.send_description(description)
                self._told = ufrags_in(description.sdp) | (self._told & self._in_use())

    async def next_candidate(self) -> RTCIceCandidate:
        """Wait for the next gathered candidate, and return it."""
        # pc.onicecandidate
        while (candidate := await self._candidates.get()) is None:
            pass
        return candidate

    async def send_candidate(self, candidate: RTCIceCandidate) -> None:
        """Send a candidate, if its description was sent and is still in use.

        A description has the candidates in it that were gathered before it was sent. Without one,
        the other side can't tell what a candidate is for.
        """
        # A peer that joins later gets a description with all candidates.
        async with self._sending:
            description = self._pc.localDescription if self._has_peer() else None
            if self._trickle is None or description is None:
                return
            if candidate.usernameFragment in ufrags_in(description.sdp) & self._told:
                await self._trickle.send_candidate(candidate)

    def _in_use(self) -> set[str]:
        """Return the username fragments of the current description."""
        description = self._pc.currentLocalDescription
        return set() if description is None else ufrags_in(description.sdp)

    async def _gathered(self) -> None:
        """Wait until all candidates are in the local description."""
        while self._pc.iceGatheringState == "gathering" and self._pc.signalingState != "closed":
            self._changed.clear()
            await self._changed.wait()
