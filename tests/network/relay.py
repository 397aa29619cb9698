"""The signaling server, as a process that ends when stdin does: `relay.py PORT`."""

import asyncio
import json
import sys

from restartice_signaling import serve


async def main(port: int) -> None:
    """Serve until stdin ends."""
    # Nothing but the namespaces of this test can reach it.
    async with serve("0.0.0.0", port):  # noqa: S104
        print(json.dumps({"event": "ready"}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
