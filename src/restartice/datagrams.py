"""What has come in on any ICE generation of a transport, until it is read."""

import asyncio
from collections import deque

__all__ = ["DatagramQueue"]


class DatagramQueue:
    """A queue for one reader, with less in it than asyncio's: each packet passes through here."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, datagram: bytes) -> None:
        """Add what has come in."""
        self._waiting.append(datagram)
        self._wake_reader()

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
