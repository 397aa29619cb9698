"""Queues the datagrams of all ICE generations of a transport until they are read."""

import asyncio
from collections import deque
from typing import Final

from .incoming.guard import Discards

__all__ = ["DatagramQueue"]

# How many datagrams may wait. While DTLS runs they are few; before that, such as before an answer,
# the peer may send any number.
LIMIT: Final = 1024
TOO_MANY: Final = "the queue of received packets is full"


class DatagramQueue:
    """A queue for one reader, faster than asyncio's: each packet passes through it.

    Attributes:
        discards: Counts dropped datagrams, here those that found the queue full.
    """

    def __init__(self, discards: Discards) -> None:
        self.discards = discards
        self._waiting: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, datagram: bytes) -> None:
        """Add a datagram, or drop it if the queue is full."""
        if len(self._waiting) >= LIMIT:
            self.discards.add(TOO_MANY, "the other end")
            return
        self._waiting.append(datagram)
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def put_back(self, datagram: bytes) -> None:
        """Put a datagram back, so that the next get() returns it again."""
        self._waiting.appendleft(datagram)

    def close(self) -> None:
        """Make get() fail once the queue is empty."""
        self._closed = True
        self._wake_reader()

    async def get(self) -> bytes:
        """Wait for the next datagram, and return it.

        Raises:
            ConnectionError: The queue is closed.
        """
        while not self._waiting:
            if self._closed:
                raise ConnectionError("RTCIceTransport is closed")
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._waiting.popleft()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
