"""How long nothing comes in when the network in use fails, and nobody carries descriptions.

`python tests/benchmarks/moving.py [RUNS]`, as root: makes namespaces with two links, in which a
message is sent each 20 ms both ways on a reliable channel; writes a table into the documentation.
With another stack, each network of one side reaches only one of the other side.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from interop.cable import CABLE, SIDES, SPARE, Cable, address  # noqa: E402
from interop.call import Call  # noqa: E402
from interop.process import End, PeerProcess  # noqa: E402
from interop.stacks import CAPTURING, STACKS, WE  # noqa: E402
from network.calls import Peers, call  # noqa: E402
from network.checks import (  # noqa: E402
    count_audio,
    link_in_use,
    listen,
    longest_silence,
    missed_audio,
    send_numbers,
    wait_until_ready,
)
from network.namespaces import Network, interface  # noqa: E402
from network.namespaces import address as link_address  # noqa: E402

PAGE: Final = ROOT / "examples" / "docs" / "pages" / "recovery.md"
BEGIN: Final = "<!-- Written by tests/benchmarks/moving.py. -->"
END: Final = "<!-- The end of what tests/benchmarks/moving.py has written. -->"
INTERVAL: Final = 0.02
# For how long messages go before the cut, and for how long they are looked at after it.
BEFORE, AFTER = 4.0, 1.5
LONGEST: Final = 10.0
# A cable that wasn't in use leaves no such gap.
HARDLY: Final = 0.06

Seconds = float


async def silent_cut() -> Seconds:
    """Lose all on the link in use, of two that both sides have known for long."""
    async with call(links=2) as (network, peers):
        await send_numbers(peers)
        await cut_ready(network, peers)
        return await longest_silence(peers)


async def audio_at_a_cut() -> float:
    """Do the same with audio beside the messages; return how many of its packets are missed."""
    async with call(links=2, media=True) as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers, messages=int(BEFORE / INTERVAL))
        before = await count_audio(peers)
        await cut_ready(network, peers)
        return missed_audio(before, await count_audio(peers))


async def cut_ready(network: Network, peers: Peers) -> None:
    """Lose all on the link in use, once both sides have known the other one for long."""
    await wait_until_ready(peers, messages=int(BEFORE / INTERVAL))
    link = await link_in_use(peers)
    await listen(peers)
    await network.set_link(link, loss=1.0)
    await asyncio.sleep(AFTER)


async def interface_removed() -> Seconds:
    """Remove the interface in use."""
    async with call(links=2) as (network, peers):
        await send_numbers(peers)
        await wait_until_ready(peers, messages=int(BEFORE / INTERVAL))
        link = await link_in_use(peers)
        await listen(peers)
        network.remove_interface("left", link)
        await asyncio.sleep(AFTER)
        return await longest_silence(peers)


async def network_comes_up() -> Seconds:
    """Lose all on the only link, and give one side another address at the same time."""
    async with call(links=2) as (network, peers):
        await send_numbers(peers)
        link = await link_in_use(peers)
        other = 1 - link
        place = (f"{link_address('left', other)}/24", "dev", interface(other))
        network.ip("left", "addr", "del", *place)
        await wait_until_ready(peers, messages=int(BEFORE / INTERVAL), working=1)
        await listen(peers)
        await network.set_link(link, loss=1.0)
        network.ip("left", "addr", "add", *place)
        await asyncio.sleep(AFTER)
        return await longest_silence(peers)


def command(name: str) -> tuple[str, ...]:
    """Return how to start a peer."""
    if name == "restartice":
        return WE
    return next(stack.command for stack in [*STACKS, *CAPTURING] if stack.name == name)


def between(
    near: str,
    far: str,
    offerer: str,
    measure: Callable[[Cable, tuple[End, End]], Awaitable[Seconds]] | None = None,
    *,
    late: bool = False,
) -> Callable[[], Awaitable[Seconds]]:
    """Return what measures a silence between two stacks.

    Args:
        near: The stack that is called "we".
        far: The other one.
        offerer: Which of them offers, and so controls, "we" or "they".
        measure: Cuts a cable, and measures; None for the one in use.
        late: Whether the near side has no address on the other cable yet.
    """

    async def run() -> Seconds:
        cable = Cable()
        cable.lay_spare()
        if late:
            cable.take_address("we", SPARE)
            cable.take_address("they", SPARE)
            cable.give_address("they", SPARE)
        else:
            # Or else libwebrtc may have pruned the pair that is left for one between both networks.
            cable.separate()
        commands = dict(zip(SIDES, (command(near), command(far)), strict=True))
        peers = [await PeerProcess.start(cable.namespace(s), commands[s]) for s in SIDES]
        try:
            made = Call(*[await peer.new() for peer in peers])
            first = made.we if offerer == "we" else made.they
            await first.do("channel")
            await made.negotiate(first)
            await made.opened()
            seconds = await (measure or cut_in_use)(cable, (made.we, made.they))
            await made.close()
            return seconds
        finally:
            for peer in peers:
                await peer.close()
            cable.close()

    return run


async def cut_only(cable: Cable, ends: tuple[End, End]) -> Seconds:
    """Cut the only cable, and give the near side an address on the other one at the same time."""
    for end in ends:
        await end.do("flow", interval=INTERVAL)
    await asyncio.sleep(BEFORE)
    await longest_gap(ends)
    cable.cut(CABLE)
    cable.give_address("we", SPARE)
    await asyncio.sleep(AFTER)
    gap = await longest_gap(ends)
    return gap if gap < AFTER else AFTER + await until_heard(ends)


async def cut_in_use(cable: Cable, ends: tuple[End, End]) -> Seconds:
    """Cut the cable in use, which libwebrtc tells by what is missed."""
    for end in ends:
        await end.do("flow", interval=INTERVAL)
    await asyncio.sleep(BEFORE)
    in_use = (await ends[0].do("state")).get("sendingTo")
    cables = [CABLE, SPARE] if in_use in {None, address("they", CABLE)} else [SPARE]
    for name in cables:
        await longest_gap(ends)
        cable.cut(name)
        await asyncio.sleep(AFTER)
        gap = await longest_gap(ends)
        if gap > HARDLY or in_use is not None:
            return gap if gap < AFTER else AFTER + await until_heard(ends)
        cable.mend(name)
        await asyncio.sleep(AFTER)
    raise AssertionError("no cable was in use")


async def longest_gap(ends: tuple[End, End]) -> Seconds:
    """Return how long nothing came to one of them, since this was asked last."""
    return max([float((await end.do("flowed"))["gap"]) for end in ends]) / 1000


async def until_heard(ends: tuple[End, End]) -> Seconds:
    """Return how long it takes until both hear something again."""
    began = time.monotonic()
    counts = [(await end.do("flowed"))["received"] for end in ends]
    for end, count in zip(ends, counts, strict=True):
        while time.monotonic() < began + LONGEST:
            if (await end.do("flowed"))["received"] > count:
                break
            await asyncio.sleep(INTERVAL)
    return time.monotonic() - began


PACKETS: Final = "packets of audio of 20 ms missed in that, both restartice"
CASES: Final = {
    "silent cut, both restartice": silent_cut,
    PACKETS: audio_at_a_cut,
    "silent cut, libwebrtc at the other end, we control": between("restartice", "wrtc", "we"),
    "silent cut, libwebrtc at the other end, it controls": between("restartice", "wrtc", "they"),
    "silent cut, Chromium at the other end, we control": between(
        "restartice", "chromium-capturing", "we"
    ),
    "silent cut, Chromium at the other end, it controls": between(
        "restartice", "chromium-capturing", "they"
    ),
    "silent cut, Firefox at the other end, we control": between(
        "restartice", "firefox-capturing", "we"
    ),
    "silent cut, Firefox at the other end, it controls": between(
        "restartice", "firefox-capturing", "they"
    ),
    "silent cut, Pion at the other end, we control": between("restartice", "pion", "we"),
    "silent cut, Pion at the other end, it controls": between("restartice", "pion", "they"),
    "silent cut, both libwebrtc": between("wrtc", "wrtc", "we"),
    "interface removed, both restartice": interface_removed,
    "second network comes up with the silent cut of the only one, both restartice": (
        network_comes_up
    ),
    "the same, libwebrtc at the other end": between(
        "restartice", "wrtc", "we", cut_only, late=True
    ),
    "the same, both libwebrtc": between("wrtc", "wrtc", "we", cut_only, late=True),
}


def written(rows: list[tuple[str, list[Seconds]]]) -> str:
    """Return the table."""
    lines = ["| case | median | longest |", "|---|---|---|"]
    for name, runs in rows:
        show = shown if name != PACKETS else "{:.0f}".format
        lines.append(f"| {name} | {show(statistics.median(runs))} | {show(max(runs))} |")
    return "\n".join(lines)


def shown(seconds: Seconds) -> str:
    """Return a silence, or that it had no end for as long as that was looked at."""
    given_up = AFTER + LONGEST
    return f"{seconds:.2f} s" if seconds < given_up else f"not within {given_up:.1f} s"


async def main(runs: int) -> None:
    """Measure all, and write the table."""
    rows = []
    for name, run in CASES.items():
        rows.append((name, [await run() for _ in range(runs)]))
        print(rows[-1], flush=True)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{written(rows)}\n\n{END}{after}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=3, help="how often each is measured")
    asyncio.run(main(parser.parse_args().runs))
