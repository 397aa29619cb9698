"""What has come in on any ICE generation of a transport, until it is read."""

import asyncio
from collections import deque
from typing import Final

from .incoming.guard import Discards

__all__ = ["DatagramQueue"]

# How many datagrams may wait. While DTLS runs they are few; before it begins, as before an answer,
# the other end might send for as long as it likes.
LIMIT: Final = 1024
TOO_MANY: Final = "more came in than could be handled"


class DatagramQueue:
    """A queue for one reader, with less in it than asyncio's: each packet passes through here.

    Attributes:
        discards: Counts what was dropped, here because too much waited already.
    """

    def __init__(self) -> None:
        self.discards = Discards()
        self._waiting: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, datagram: bytes) -> None:
        """Add what has come in, or drop it if too much waits already."""
        if len(self._waiting) >= LIMIT:
            self.discards.add(TOO_MANY, "the other end")
            return
        self._waiting.append(datagram)
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def close(self) -> None:
        """Let get() fail when all that has come in is read."""
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
