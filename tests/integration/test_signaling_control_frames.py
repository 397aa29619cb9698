"""Pings, pongs and parts of messages are limited like messages, also where nothing is read."""

import asyncio
import contextlib

from websockets.exceptions import ConnectionClosed

from connecting import DEADLINE
from restartice_signaling import CustomReceived, WebSocketSignaling
from signalingevents import next_of
from signalingnode import Node, node
from wire import Wire, dial

PING, PONG, TEXT, CONT = 0x9, 0xA, 0x1, 0x0
ALLOWED = 32 * 1024  # KiB


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Return a frame of a client."""
    head = bytes([(0x80 if final else 0) | opcode, 0x80 | len(payload)])
    return head + bytes(4) + payload


KINDS = {
    "small pings": frame(PING) * 2_000,
    "large pings": frame(PING, b"x" * 125) * 500,
    "pongs": frame(PONG, b"x") * 2_000,
    "parts": frame(CONT, final=False) * 2_000,
}


async def flood(wire: Wire, chunk: bytes) -> None:
    """Send as much as is taken, and read nothing."""
    transport = wire.socket.transport
    transport.pause_reading()
    if chunk == KINDS["parts"]:
        transport.write(frame(TEXT, final=False))
    while not transport.is_closing():
        if transport.get_write_buffer_size() < len(chunk):
            transport.write(chunk)
        await asyncio.sleep(0)


async def metrics(server: Node) -> dict[str, float]:
    """Return what the server has counted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        body = (await reader.read()).decode().partition("\r\n\r\n")[2]
    writer.close()
    lines = [line.rpartition(" ") for line in body.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_floods_are_read_slowly_and_then_ended() -> None:
    # Not even that nothing is heard for long ends them.
    silence = ("--heartbeat-interval=1000", "--heartbeat-timeout=1000")
    options = ("--port=0", "--rate=50", "--burst=50", *silence)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(node(*options))
        first, second = [
            await stack.enter_async_context(
                WebSocketSignaling(server.url, room="others", peer=name)
            )
            for name in "xy"
        ]
        wires = [await stack.enter_async_context(dial(server.url)) for _ in KINDS]
        for name, wire in zip("abcd", wires, strict=True):
            await wire.join(peer=name)
        before = server.resident()
        floods = [
            asyncio.create_task(flood(wire, chunk))
            for wire, chunk in zip(wires, KINDS.values(), strict=True)
        ]
        async with asyncio.timeout(200):
            while not all(task.done() for task in floods):
                await first.send_custom("still there?")
                assert isinstance(await next_of(second, CustomReceived), CustomReceived)
                assert server.resident() - before < ALLOWED
                await asyncio.sleep(0.1)
        await asyncio.gather(*floods)
        assert server.process.returncode is None
        counted = await metrics(server)
        # Nothing else has ended them.
        assert counted['rtc_signal_refused_total{code="rate-limited"}'] == len(KINDS)
        assert counted['rtc_signal_closed_total{code="4008"}'] == len(KINDS)


async def test_who_keeps_to_the_rate_is_answered() -> None:
    async with node("--port=0") as server, dial(server.url) as wire:
        await wire.join()
        for _ in range(300):
            pong = await wire.socket.ping()
        async with asyncio.timeout(DEADLINE):
            await pong
        # A message in many parts is one message.
        await wire.socket.send(iter(['{"type":', '"ping",', '"t":', "7}"]))
        assert (await wire.hear())["t"] == 7


async def test_one_that_reads_again_is_read_again() -> None:
    async with (
        node("--port=0", "--rate=100000", "--burst=100000") as server,
        dial(server.url) as wire,
    ):
        await wire.join()
        transport = wire.socket.transport
        transport.pause_reading()
        for _ in range(200):
            transport.write(frame(PING, b"x" * 125) * 100)
            await asyncio.sleep(0)
        transport.resume_reading()
        await wire.say(type="ping", t=8)
        assert (await wire.hear())["t"] == 8
        with contextlib.suppress(ConnectionClosed):
            await wire.socket.close()
