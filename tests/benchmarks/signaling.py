"""How fast the signaling server relays, between two clients of one process."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from restartice_signaling import (
    CustomReceived,
    Limits,
    ServerSettings,
    WebSocketSignaling,
    serve,
)

__all__ = ["relay"]

# As long as a candidate is, and as an offer.
SHORT, LONG = "x" * 200, "x" * 4000
WINDOW: Final = 32


async def relay(*, count: int) -> dict[str, list[float]]:
    """Measure the time of a message by way of the server, and the messages per second."""
    unlimited = ServerSettings(limits=Limits(rate=1e6, burst=1_000_000))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(settings=unlimited))
        near, far = [
            await stack.enter_async_context(WebSocketSignaling(server.url, room="benchmark"))
            for _ in range(2)
        ]
        await near.wait_for_peer()
        echoing = asyncio.create_task(echo(far))
        round_trips = [await round_trip(near, SHORT) for _ in range(count)]
        long_trips = [await round_trip(near, LONG) for _ in range(count)]
        rate = await rate_of(near, count)
        echoing.cancel()
    return {
        "one way, 200 bytes (ms)": [500 * seconds for seconds in round_trips],
        "one way, 4000 bytes (ms)": [500 * seconds for seconds in long_trips],
        "relayed (messages/s)": [rate],
    }


async def echo(signaling: WebSocketSignaling) -> None:
    """Send all custom messages back."""
    async for event in signaling:
        if isinstance(event, CustomReceived):
            await signaling.send_custom(event.value)


async def receive(signaling: WebSocketSignaling) -> None:
    """Wait for one custom message."""
    async for event in signaling:
        if isinstance(event, CustomReceived):
            return


async def round_trip(signaling: WebSocketSignaling, message: str) -> float:
    """Send a message and wait for it to come back; return the seconds."""
    began = time.perf_counter()
    await signaling.send_custom(message)
    await receive(signaling)
    return time.perf_counter() - began


async def rate_of(signaling: WebSocketSignaling, count: int) -> float:
    """Send messages with some of them under way; return how many a second are relayed."""
    began = time.perf_counter()
    for _ in range(WINDOW):
        await signaling.send_custom(SHORT)
    for _ in range(count):
        await receive(signaling)
        await signaling.send_custom(SHORT)
    return 2 * count / (time.perf_counter() - began)
