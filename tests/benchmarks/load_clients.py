"""Clients that cost little: they read and write WebSocket frames by hand.

They do what the protocol asks, but don't look at more than they need.
"""

import asyncio
import json
from typing import Final, Self

__all__ = ["Client", "EchoClient", "Peer"]

TEXT: Final = 0x81
# As long as a candidate.
PADDING: Final = "x" * 150
ACK_AFTER: Final = 16


def frame(payload: bytes) -> bytes:
    """Return a text frame of a client. A mask of zeros changes nothing, and is allowed."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, 0x80 | size)) + b"\0\0\0\0" + payload
    return bytes((TEXT, 0xFE)) + size.to_bytes(2) + b"\0\0\0\0" + payload


class Client(asyncio.Protocol):
    """A connection that counts what comes, and for how long it was under way."""

    path = "/"
    subprotocol = ""

    def __init__(self) -> None:
        self.received = 0
        self.latencies: list[float] = []
        self.answering = False
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._upgraded = self._loop.create_future()
        self._open = False

    @classmethod
    async def open(cls, port: int, room: str, peer: str) -> Self:
        """Connect, and return when it can be spoken."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, "127.0.0.1", port)
        await client._upgraded
        await client.enter(room, peer)
        return client

    async def enter(self, room: str, peer: str) -> None:
        """Go into a room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        subprotocol = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        transport.write(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"{subprotocol}\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._upgraded.done():
            self._upgraded.set_exception(exc or ConnectionError("closed"))

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._open:
            head, end, _ = bytes(buffer).partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._open = True
            self._upgraded.set_result(None)
            del buffer[: len(head) + 4]
        start, available = 0, len(buffer)
        while available - start >= 4:
            size, head_size = buffer[start + 1], 2
            if size == 126:
                size, head_size = int.from_bytes(buffer[start + 2 : start + 4]), 4
            end_of_frame = start + head_size + size
            if end_of_frame > available:
                break
            self.take(bytes(buffer[start + head_size : end_of_frame]))
            start = end_of_frame
        del buffer[:start]

    def take(self, text: bytes) -> None:
        """Act on a message."""
        at = text.find(b'"t":')
        if at < 0:
            return
        now = self._loop.time()
        self.received += 1
        self.latencies.append(now - float(text[at + 4 : text.index(b",", at)]))
        if self.answering:
            self.send(now)

    def send(self, due: float) -> None:
        """Send a message that was due at a time."""
        raise NotImplementedError


class EchoClient(Client):
    """A client of the echo, of which the messages look as a Peer's do."""

    def send(self, due: float) -> None:
        text = f'{{"seq":1,"type":"signal","data":{{"custom":{{"t":{due},"pad":"{PADDING}"}}}}}}'
        self._transport.write(frame(text.encode()))


class Peer(Client):
    """A client of the signaling server."""

    subprotocol = "rtc-signal.v1"

    def __init__(self) -> None:
        super().__init__()
        self._seq = 0
        self._seen = 0
        self._acknowledged = 0
        self._joined = self._loop.create_future()

    async def enter(self, room: str, peer: str) -> None:
        hello = {"type": "hello", "protocol": 1, "room": room, "peer": peer}
        self._transport.write(frame(json.dumps(hello).encode()))
        await self._joined

    def take(self, text: bytes) -> None:
        if text.startswith(b'{"seq":'):
            self._seen = int(text[7 : text.index(b",")])
            if self._seen - self._acknowledged >= ACK_AFTER:
                self._acknowledged = self._seen
                self._transport.write(frame(b'{"type":"ack","seq":%d}' % self._seen))
            super().take(text)
        elif not self._joined.done():
            assert b'"type":"welcome"' in text, text
            self._joined.set_result(None)

    def send(self, due: float) -> None:
        self._seq += 1
        ack = ""
        if self._seen > self._acknowledged:
            self._acknowledged = self._seen
            ack = f'"ack":{self._seen},'
        text = (
            f'{{"seq":{self._seq},{ack}"type":"signal",'
            f'"data":{{"custom":{{"t":{due},"pad":"{PADDING}"}}}}}}'
        )
        self._transport.write(frame(text.encode()))
