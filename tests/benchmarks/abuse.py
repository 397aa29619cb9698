"""Strangers who do to a signaling server what they can, until they are killed.

python tests/benchmarks/abuse.py pings 8765
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: rtc-signal.v1\r\n\r\n"
)
TEXT, CONT, PING, PONG = 0x1, 0x0, 0x9, 0xA
MEDIUM: Final = 126
SMALL_SIZE: Final = 65_536
STRANGERS: Final = 4
SILENT: Final = 1_500


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Return a frame of a client, with a mask of zeros."""
    first = (0x80 if final else 0) | opcode
    if len(payload) < MEDIUM:
        return bytes((first, 0x80 | len(payload))) + bytes(4) + payload
    assert len(payload) < SMALL_SIZE
    return bytes((first, 0xFE)) + len(payload).to_bytes(2) + bytes(4) + payload


def text(**fields: object) -> bytes:
    return frame(TEXT, json.dumps(fields).encode())


async def open_connection(port: int, name: str) -> asyncio.StreamWriter:
    """Join a room; nothing is ever read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(text(type="hello", protocol=1, room="abuse", peer=name))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return writer


async def repeat(port: int, name: str, chunk: bytes, first: bytes = b"") -> None:
    """Say the same again and again, over one connection after another."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer = await open_connection(port, name)
            writer.write(first)
            while not writer.is_closing():
                writer.write(chunk)
                await writer.drain()
        await asyncio.sleep(0.05)


async def say_bye(port: int, name: str) -> None:
    """Come and go, with many words."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer = await open_connection(port, name)
            writer.write(text(type="bye", reason="x" * 60_000))
            await writer.drain()
            writer.close()
        await asyncio.sleep(0.01)


async def be_silent(port: int, _name: str) -> None:
    """Open connections and say nothing."""
    writers = []
    while True:
        for _ in range(SILENT // STRANGERS):
            with contextlib.suppress(OSError):
                writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
        await asyncio.sleep(1)
        for writer in writers:
            writer.transport.abort()
        writers.clear()


async def fill(port: int, name: str) -> None:
    """Send large messages to somebody who doesn't read."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            deaf = await open_connection(port, f"{name}-deaf")
            writer = await open_connection(port, name)
            seq = 0
            while not writer.is_closing() and not deaf.is_closing():
                seq += 1
                data = {"custom": "x" * 50_000}
                writer.write(text(type="signal", seq=seq, to=f"{name}-deaf", data=data))
                await writer.drain()
        await asyncio.sleep(0.05)


KINDS: Final[Mapping[str, Callable[[int, str], Awaitable[None]]]] = {
    "pings": lambda port, name: repeat(port, name, frame(PING, b"x" * 125) * 200),
    "small pings": lambda port, name: repeat(port, name, frame(PING) * 2_000),
    "pongs": lambda port, name: repeat(port, name, frame(PONG, b"x") * 2_000),
    "parts": lambda port, name: repeat(
        port, name, frame(CONT, final=False) * 2_000, frame(TEXT, final=False)
    ),
    "messages": lambda port, name: repeat(port, name, text(type="ping", t=1) * 200),
    "byes": say_bye,
    "silence": be_silent,
    "deafness": fill,
}


async def main(kind: str, port: int) -> None:
    """Be several of a kind."""
    await asyncio.gather(*(KINDS[kind](port, f"stranger-{n}") for n in range(STRANGERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
