"""Connections to the server that end in the middle of something, in whatever way."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest

from connecting import DEADLINE
from restartice_signaling import (
    Limits,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    serve,
)

HUGE = 4 * 2**20
# More than what systems keep for a socket.
MUCH = 64 * 2**20
LIMITS = Limits(rate=1e6, burst=1_000_000, max_buffered=MUCH)


def frame(payload: bytes) -> bytes:
    """Return a text frame of a client, whose mask changes nothing."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xff" + size.to_bytes(8)
    return head + b"\0\0\0\0" + payload


class RawClient:
    """A client that reads only when it is told to, and closes its two directions apart."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def join(cls, port: int) -> "RawClient":
        connection = socket.socket()
        # The less the system keeps, the sooner the server has to.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=2048)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: rtc-signal.v1\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        hello = {"type": "hello", "protocol": 1, "room": "room", "peer": "raw"}
        writer.write(frame(json.dumps(hello).encode()))
        await reader.read(10)
        return cls(reader, writer)

    async def read_to_end(self) -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    if not await self.reader.read(65536):
                        return
                except ConnectionError:
                    return


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with serve(settings=ServerSettings(limits=LIMITS)) as server:
        yield server


async def fill(server: SignalingServer, other: WebSocketSignaling) -> None:
    """Let so much wait for the raw client that its socket takes no more."""
    (connection,) = [c for c in server._connections if c._lease and c._lease.peer == "raw"]
    async with asyncio.timeout(DEADLINE):
        while not connection._socket.transport.get_write_buffer_size():
            await other.send_custom("x" * 50_000, "raw")
            await asyncio.sleep(0)


@pytest.mark.parametrize("said", [frame(b"x" * HUGE), frame(b'{"type":"bye"}'), b"\xff\xff", b""])
async def test_one_that_reads_again_only_after_its_own_end(
    server: SignalingServer, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    """The server has closed, and still much to write, when it is all read at last."""
    async with WebSocketSignaling(server.url, room="room", peer="a") as other:
        raw = await RawClient.join(server.port)
        await other.wait_for_peer("raw")
        await fill(server, other)
        raw.writer.write(said)
        raw.writer.write_eof()
        await asyncio.sleep(0.2)
        await raw.read_to_end()
        raw.writer.close()
        async with asyncio.timeout(DEADLINE):
            while server.metrics.connections > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
