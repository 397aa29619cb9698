"""Shows what each peer does while a path is lost for 50 s, and in a restart after that.

Run as root: `PYTHONPATH=tests python -m interop.silence [NAME ...]`. The documentation's page "What
each peer really does" has the results. It isn't a part of the tests, as it takes minutes.
"""

import asyncio
import json
import sys
import time

from interop.cable import Cable
from interop.call import Call
from interop.process import End, PeerError, PeerProcess
from interop.stacks import STACKS, WE, Stack

# In seconds: how long the path is lost, how long to watch afterwards, and for a message to arrive.
LOST, WATCHED, DEADLINE = 50.0, 12.0, 10.0
# Of the events of a peer, those that aren't worth a line.
DULL = frozenset({"icecandidate", "icegatheringstatechange", "message"})


class Watch:
    """Notes the events of an end, with their times."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._seen = len(end.events)

    async def watch(self, seconds: float) -> list[str]:
        """Return the events of so many seconds, each with its time."""
        started, found = time.monotonic(), []
        while (now := time.monotonic() - started) < seconds:
            events = self._end.events[self._seen :]
            self._seen += len(events)
            texts = (f"{e['event']} {e.get('state', '')}" for e in events if e["event"] not in DULL)
            found += [f"{now:.1f} s {text.strip()}" for text in texts]
            await asyncio.sleep(0.1)
        return found


async def talk(call: Call) -> str:
    """Return whether messages arrive."""
    try:
        async with asyncio.timeout(DEADLINE):
            await call.talk()
    except (TimeoutError, PeerError, AssertionError) as error:
        return f"no messages: {error!r}"
    return "messages arrive"


async def lose_path(stack: Stack, cable: Cable, call: Call) -> dict[str, object]:
    """Cut the cable of a call, mend it, and let the peer restart ICE if it can."""
    await call.we.do("channel")
    await call.negotiate(call.we)
    await call.opened()
    await call.talk()
    watch, told = Watch(call.they), dict[str, object]()
    cable.cut()
    try:
        told["path lost"] = await watch.watch(LOST)
    finally:
        cable.mend()
    told["path mended"] = await watch.watch(WATCHED)
    if stack.restarts:
        await call.they.do("restart")
        await call.negotiate(call.they)
        told["they restart"] = await watch.watch(WATCHED)
    told["at the end"] = await talk(call)
    return told


async def show(stack: Stack) -> None:
    """Print what a peer does."""
    cable = Cable()
    try:
        ours = await PeerProcess.start(cable.namespace("we"), WE)
        theirs = await PeerProcess.start(cable.namespace("they"), stack.command)
        call = Call(await ours.new(stays=True), await theirs.new())
        told = await lose_path(stack, cable, call)
        print(json.dumps({f"{stack.title} {stack.version()}": told}, indent=2), flush=True)
        await call.close()
        await asyncio.gather(ours.close(), theirs.close())
    finally:
        cable.close()


async def main(names: list[str]) -> None:
    """Show the peers with these names, or all that are installed."""
    chosen = [s for s in STACKS if s.name in names or not names]
    await asyncio.gather(*(show(stack) for stack in chosen if not stack.missing()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
