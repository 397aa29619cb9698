"""How long a restart takes in one process: from restartIce() until both send on the new pair.

    python tests/benchmarks/restart.py [--restarts N] [--rounds N]

The descriptions are handed over directly. It prints the medians, in milliseconds, of a call with
data only and of one with audio, video and data, of time and of the processor time that both peers
together took. All traffic is on 127.0.0.1.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from unittest.mock import patch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import aioice.ice

from benchmarks.figures import Summary
from benchmarks.media import GreyPicture, Silence
from connecting import connect, negotiate, wait_connected, wait_sending_on_new_pair
from restartice import RTCPeerConnection

# What a restart leaves behind, a new timer here and a closed socket there, is not to be measured
# with the next one.
PAUSE = 0.05


async def measure(*, restarts: int, media: bool) -> dict[str, list[float]]:
    """Measure restarts of one call; return milliseconds."""
    near, far = RTCPeerConnection(), RTCPeerConnection()
    try:
        for pc in (near, far) if media else ():
            pc.addTrack(Silence())
            pc.addTrack(GreyPicture())
        await connect(near, far)
        await wait_connected(near, far)
        taken = []
        for _ in range(restarts):
            await asyncio.sleep(PAUSE)
            taken.append(await restart_once(near, far))
    finally:
        await asyncio.gather(near.close(), far.close())
    return {"time": [t for t, _ in taken], "processor time": [cpu for _, cpu in taken]}


async def restart_once(near: RTCPeerConnection, far: RTCPeerConnection) -> tuple[float, float]:
    """Restart ICE; return the milliseconds that passed, and those of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=40, help="restarts in a call")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each kind")
    options = parser.parse_args()
    rounds: dict[str, list[list[float]]] = {}
    with patch.object(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"]):
        for _ in range(options.rounds):
            for name, media in (("data", False), ("audio, video, data", True)):
                measured = asyncio.run(measure(restarts=options.restarts, media=media))
                for what, values in measured.items():
                    rounds.setdefault(f"{name}: {what}", []).append(values)
    for name, series in rounds.items():
        summary = Summary.of(series)
        print(
            f"{name:36} median {summary.median:6.1f}  p95 {summary.p95:6.1f}"
            f"  best median of {options.rounds} {summary.best:6.1f}"
        )


if __name__ == "__main__":
    main()
