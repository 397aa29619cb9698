"""What the tests ask of two peers."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from network.fixtures import Connect
from network.namespaces import Network, address
from network.processes import Event, Program

Peers = Sequence[Program]


async def send_numbers(peers: Peers, interval: float = 0.02) -> None:
    """Let both send a message every so many seconds."""
    for peer in peers:
        await peer.order(do="send", interval=interval)


async def start_flowing(start_peers: Connect, *, working: int = 2, **options: Any) -> Peers:
    """Start a call in which both send numbers, and so many pairs are known to work."""
    peers = await start_peers(**options)
    await send_numbers(peers)
    await wait_until_ready(peers, working=working)
    return peers


async def cut_link_in_use(network: Network, peers: Peers, way: str = "both") -> tuple[int, float]:
    """Cut the link that both send on, while its silence is measured; return link and time."""
    link = await link_in_use(peers)
    await listen(peers)
    cut_at = time.monotonic()
    await network.set_link(link, way, loss=1.0)
    return link, cut_at


async def check_gone_over(peers: Peers, link: int, since: float, longest: float) -> None:
    """Check that both go over to another link, and hear nothing for so many seconds at most."""
    for peer in peers:
        await peer.wait_for("pair", since=since)
    await notify(peers, time.monotonic())
    await seconds_until(peers, "data", since)
    assert await longest_silence(peers) < longest
    assert await link_in_use(peers) != link


async def link_in_use(peers: Peers) -> int:
    """Return the link that both send on."""
    links = []
    for side, peer in zip(("left", "right"), peers, strict=True):
        local = (await peer.order(do="report"))["local"]
        links.append(next(link for link in (0, 1) if address(side, link) == local))
    assert links[0] == links[1]
    return links[0]


async def wait_until_ready(
    peers: Peers,
    messages: int = 50,
    working: int = 2,
    deadline: float = 30.0,
    *,
    in_band: bool = False,
) -> None:
    """Return when both have received so many messages, and know of so many pairs that work.

    With `in_band`, also wait until they negotiate in a data channel.
    """
    async with asyncio.timeout(deadline):
        for peer in peers:
            while True:
                report = await peer.order(do="report")
                enough = report["received"] >= messages and report["working"] >= working
                if enough and report["in_band"] >= in_band:
                    break
                await asyncio.sleep(0.1)


async def listen(peers: Peers) -> None:
    """Let both begin to measure how long no message comes."""
    for peer in peers:
        await peer.order(do="listen")


async def longest_silence(peers: Peers) -> float:
    """Return how long no message came to either of them, at most, in seconds.

    What a peer waited for a processor doesn't count.
    """
    return max([float((await peer.order(do="report"))["silence"]) for peer in peers])


async def longest_gap(peers: Peers) -> float:
    """Return the same by the clock on the wall, which the peers go by themselves."""
    return max([float((await peer.order(do="report"))["gap"]) for peer in peers])


async def notify(peers: Peers, after: float) -> None:
    """Let both tell what comes first after a time: a message, one that was sent then, a frame."""
    for peer in peers:
        await peer.order(do="notify", after=after)


async def seconds_until(peers: Peers, event: str, since: float, **values: str) -> float:
    """Return how long it took, at most, until either peer told of an event.

    What it waited for a processor doesn't count.
    """
    told = [(peer, await peer.wait_for(event, since=since, **values)) for peer in peers]
    return max(elapsed(peer, since, float(event["at"])) for peer, event in told)


async def count_audio(peers: Peers) -> list[dict[str, int]]:
    """Return how many packets of audio came to each, and how many are lost."""
    return [await peer.order(do="count_packets", kind="audio") for peer in peers]


def missed_audio(before: list[dict[str, int]], after: list[dict[str, int]]) -> int:
    """Return how many packets of audio were lost between two counts, on the side that lost most."""
    return max(late["lost"] - early["lost"] for early, late in zip(before, after, strict=True))


def elapsed(peer: Program, since: float, until: float) -> float:
    """Return how long it is from one time to another, without what a peer waited for a processor.

    The waiting is counted from the last event before the first time to the last before the other.
    """

    def waited(at: float) -> float:
        told = (event["waited"] for event in reversed(peer.events) if event["at"] <= at)
        return float(next(told, 0.0))

    return until - since - waited(until) + waited(since)


async def check_nothing_is_lost(peers: Peers) -> None:
    """Stop sending; check that each message has arrived once, in order, on the first channel."""
    sent = [(await peer.order(do="stop_sending"))["sent"] for peer in peers]
    for peer, count in zip(peers, reversed(sent), strict=True):
        await peer.order(do="expect", count=count)
        await peer.wait_for("all-received")
        report = await peer.order(do="report")
        assert report["in_order"]
        assert report["received"] == count > 0
        assert report["channel"] == "open"
    assert not events_of(peers, "channel-closed")
    assert not events_of(peers, "track-ended")
    assert not events_of(peers, "connectionState", state="closed")


def check_nobody_was_disconnected(peers: Peers) -> None:
    """Check that no state told of a lost path."""
    for state in ("disconnected", "failed"):
        assert not events_of(peers, "iceConnectionState", state=state)


def events_of(peers: Peers, name: str, **values: str) -> list[Event]:
    """Return all events of that name with these values."""
    expected = {"event": name, **values}
    return [e for peer in peers for e in peer.events if expected.items() <= e.items()]
