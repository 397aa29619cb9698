"""How long setting up a call takes, against plain aiortc, in one run.

    PYTHONPATH=tests python -m benchmarks.setup

Both gather the same candidate on loopback. The connections of both libraries take turns, so that
what else the machine does hits both alike; the medians, and their ratio, are printed.
"""

import argparse
import asyncio
import statistics
import time

import aioice.ice
import aiortc

import restartice

SERVERLESS = aiortc.RTCConfiguration(iceServers=[])


async def set_up(library: type[aiortc.RTCPeerConnection], *, media: bool) -> float:
    """Return how long it takes from the first call to both sides being connected, in seconds."""
    near, far = library(SERVERLESS), library(SERVERLESS)
    connected = [asyncio.Event(), asyncio.Event()]
    for pc, event in zip((near, far), connected, strict=True):

        def note(pc: aiortc.RTCPeerConnection = pc, event: asyncio.Event = event) -> None:
            if pc.connectionState == "connected":
                event.set()

        pc.on("connectionstatechange", note)
    start = time.perf_counter()
    near.createDataChannel("chat")
    if media:
        near.addTransceiver("audio")
        near.addTransceiver("video")
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(30):
        await asyncio.gather(*(event.wait() for event in connected))
    elapsed = time.perf_counter() - start
    await asyncio.gather(near.close(), far.close())
    return elapsed


async def measure(rounds: int, *, media: bool) -> tuple[float, float]:
    """Return the medians of plain aiortc and of restartice."""
    plain: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        plain.append(await set_up(aiortc.RTCPeerConnection, media=media))
        ours.append(await set_up(restartice.RTCPeerConnection, media=media))
    return statistics.median(plain), statistics.median(ours)


def main() -> None:
    """Print a line for each kind of call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="set-ups of each (default: 30)")
    rounds: int = parser.parse_args().rounds
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    for media in (False, True):
        plain, ours = asyncio.run(measure(rounds, media=media))
        name = "data, audio and video" if media else "data"
        print(
            f"{name}: aiortc {plain * 1000:.1f} ms, restartice {ours * 1000:.1f} ms, "
            f"ratio {ours / plain:.2f}"
        )


if __name__ == "__main__":
    main()
