"""Waiting for what a signaling client is told."""

import asyncio

from connecting import DEADLINE
from restartice_signaling import Event, WebSocketSignaling

__all__ = ["next_of"]


async def next_of(signaling: WebSocketSignaling, kind: type[Event]) -> Event:
    """Return the next event of a kind; what comes before it is passed over."""
    async with asyncio.timeout(DEADLINE):
        async for event in signaling:
            if isinstance(event, kind):
                return event
    raise AssertionError("the events have ended")
