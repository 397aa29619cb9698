"""The orders to a peer of a benchmark, which come on stdin."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

__all__ = ["read_orders"]

# Of a line, in bytes, as descriptions are long.
LIMIT: Final = 1 << 20


async def read_orders() -> AsyncIterator[dict[str, Any]]:
    """Yield the orders, each a line of JSON, until stdin ends."""
    reader = asyncio.StreamReader(limit=LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield json.loads(line)
