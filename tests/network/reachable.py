"""Tells when a TCP port can be connected to: `reachable.py HOST PORT`."""

import asyncio
import json
import sys


async def main(host: str, port: int) -> None:
    """Try until it works."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            break
    writer.close()
    await writer.wait_closed()
    print(json.dumps({"event": "reachable"}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
