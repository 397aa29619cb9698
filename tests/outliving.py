"""A program that closes a call in another event loop than that in which it was made.

Run it with what has become of that loop: it is `closed`, or has only `stopped`. Prints the states
in which the connections end.
"""

import asyncio
import sys

import aioice.ice

from connecting import DEADLINE, connect
from restartice import AudioStreamTrack, RTCPeerConnection


async def call() -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """Return the two ends of a call."""
    near, far = RTCPeerConnection(), RTCPeerConnection()
    near.addTrack(AudioStreamTrack())
    await (await connect(near, far)).check()
    return near, far


async def close(*connections: RTCPeerConnection) -> None:
    """Close both, twice."""
    async with asyncio.timeout(DEADLINE):
        for _ in range(2):
            await asyncio.gather(*(pc.close() for pc in connections))


def main(ending: str) -> None:
    """Run the program."""
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    loop = asyncio.new_event_loop()
    near, far = loop.run_until_complete(call())
    # Of one, the closing has begun.
    begun = loop.create_task(near.close())
    loop.run_until_complete(asyncio.sleep(0))
    assert not begun.done()
    if ending == "closed":
        loop.close()
    asyncio.run(close(near, far))
    for pc in (near, far):
        print(pc.signalingState, pc.connectionState)


if __name__ == "__main__":
    main(sys.argv[1])
