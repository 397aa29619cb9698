"""A peer of calls over a distance that is Pion: `distance_pion.py Pion`.

It obeys the same orders as `distance_peer.py`, except those to restart and to send data, and tells
the same. The times are those at which this process hears of it. The program is that of
tests/interop, which .ci/run builds.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.distance_peer import tell
from benchmarks.orders import read_orders
from interop.process import LIMIT, End, PeerProcess

PROGRAM: Final = Path(__file__).parents[1] / "interop" / "peers" / "pion_peer"


class Peer:
    """One end of one call after the other."""

    def __init__(self, program: PeerProcess) -> None:
        self._program = program
        self._end: End | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def act_on(self, order: dict[str, Any]) -> None:
        """Do as told, and say what there is to signal."""
        answer: dict[str, Any] = {}
        match order["do"]:
            case "call":
                end = await self._begin()
                await end.do("channel")
                answer = await self._describe(end)
            case "wait":
                await self._begin()
            case "description":
                assert self._end is not None
                given = {"type": order["type"], "sdp": order["sdp"]}
                await self._end.do("remote", description=given)
                answer = await self._describe(self._end) if order["type"] == "offer" else {}
        tell("answer", order=order["number"], **answer)

    async def _begin(self) -> End:
        for task in self._telling:
            task.cancel()
        self._telling.clear()
        if self._end is not None:
            await self._end.do("close")
        self._end = end = await self._program.new()
        self._tell_when(end, ("channel", "open"), {"event": "open", "label": "benchmark"})
        for state in ("connecting", "connected"):
            self._tell_when(end, ("dtlsstatechange", state), {"event": "DTLS", "state": state})
        return end

    def _tell_when(self, end: End, change: tuple[str, str], told: dict[str, str]) -> None:
        async def follow() -> None:
            await end.wait(change[0], state=change[1])
            tell(**told)

        self._telling.add(asyncio.create_task(follow()))

    async def _describe(self, end: End) -> dict[str, Any]:
        description = await end.do("local")
        await end.wait("icecandidate", candidate=None)
        # Those that were gathered meanwhile, in the only section.
        found = [event["candidate"]["candidate"] for event in end.events if event.get("candidate")]
        told: str = description["sdp"]
        lines = [f"a={line}" for line in found if line not in told]
        return {"type": description["type"], "sdp": told + "".join(f"{a}\r\n" for a in lines)}


async def main() -> None:
    """Do as told until stdin ends."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), stdin=PIPE, stdout=PIPE, limit=LIMIT
    )
    program = PeerProcess(process)
    try:
        peer = Peer(program)
        tell("ready")
        async for order in read_orders():
            await peer.act_on(order)
    finally:
        await program.close()


if __name__ == "__main__":
    asyncio.run(main())
