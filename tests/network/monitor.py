"""A NetworkMonitor as a process: tells each change, until stdin ends."""

import asyncio
import json
import sys
import time

from restartice import NetworkChange, NetworkMonitor


def tell(event: str, monitor: NetworkMonitor) -> None:
    """Print the addresses."""
    values = {"at": time.monotonic(), "event": event, "addresses": sorted(monitor.addresses)}
    print(json.dumps(values), flush=True)


async def main() -> None:
    """Watch until stdin ends."""
    async with NetworkMonitor() as monitor:

        @monitor.on("change")
        def on_change(_change: NetworkChange) -> None:
            tell("change", monitor)

        tell("start", monitor)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
