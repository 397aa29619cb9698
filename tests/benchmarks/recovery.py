"""How long nothing arrives after the path of a call is lost: `recovery.py STACK gone|blackhole`.

Two peers in network namespaces are connected over a first link. A second one comes up, and at the
same moment the first one is lost: its interface goes, or its packets vanish without a word. It
prints JSON: the seconds until messages arrive again on both sides, or nothing if that takes longer
than the limit.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import silence
from network.namespaces import SIDES, Network
from network.processes import Program

LIMIT: Final = 20.0
PEER: Final = str(Path(__file__).with_name("recovery_peer.py"))
BEFORE: Final = 2.0
CHECK_INTERVAL: Final = 0.5
# Restarts that both sides ask for within this time are one.
TOGETHER: Final = 1.0


async def relay(near: Program, far: Program) -> None:
    """Carry descriptions from one peer to the other, and wishes for a restart to the near one."""
    done, restarted = {near: 0, far: 0}, 0.0
    while True:
        for program, other in ((near, far), (far, near)):
            for event in program.events[done[program] :]:
                done[program] += 1
                if event["event"] == "description":
                    await other.order(do="description", sdp=event["sdp"], type=event["type"])
                elif event["event"] == "restart" and time.monotonic() - restarted > TOGETHER:
                    restarted = time.monotonic()
                    await near.order(do="restart")
        await asyncio.sleep(0.002)


async def arrivals(program: Program) -> list[float]:
    """Ask a peer when messages arrived."""
    return [float(at) for at in (await program.order(do="report"))["times"]]


async def measure(stack: str, loss: str) -> float | None:
    """Connect, lose the path, and return the seconds of silence, or None if it lasts."""
    network = await Network.open(links=2)
    programs: list[Program] = []
    try:
        network.ip("left", "link", "set", "link1", "down")
        near, far = programs = [
            await Program.start(network.namespace(side), PEER, stack) for side in SIDES
        ]
        for program in programs:
            await program.wait_for("ready")
        relaying = asyncio.create_task(relay(near, far))
        await near.order(do="call")
        for program in programs:
            await program.wait_for("open")
        await asyncio.sleep(BEFORE)
        lost = await lose(network, loss)
        result = await until_heard_again(programs, lost)
        relaying.cancel()
        return result
    finally:
        for program in programs:
            await program.close()
        await network.close()


async def lose(network: Network, loss: str) -> float:
    """Bring the second link up and lose the first one; return when."""
    network.ip("left", "link", "set", "link1", "up")
    lost = time.monotonic()
    if loss == "gone":
        network.remove_interface("left", 0)
    else:
        await network.set_link(0, loss=1.0)
    return lost


async def until_heard_again(programs: list[Program], lost: float) -> float | None:
    """Return the seconds of silence of the side on which it lasted longer."""
    while time.monotonic() - lost < LIMIT:
        await asyncio.sleep(CHECK_INTERVAL)
        silences = [
            silence(await arrivals(program), lost, time.monotonic()) for program in programs
        ]
        heard = [value for value in silences if value is not None]
        if len(heard) == len(programs):
            return max(heard)
    return None


if __name__ == "__main__":
    measured = asyncio.run(measure(sys.argv[1], sys.argv[2]))
    found = [] if measured is None else [measured]
    print(json.dumps({"silence (s)": found, "recovered": [float(measured is not None)]}))
