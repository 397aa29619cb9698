"""The same messages with each peer: sizes, loss, lifetimes, closing, and readers that are slow."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interop.cable import Cable
from interop.call import PAUSE, Description
from interop.process import DEADLINE, End, PeerError
from interop.scenario import Scenario
from requiring import require

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]

# Of a hundred datagrams, each way.
LOST = 5
# How many messages of how many bytes go each way.
SMALL, LARGE = (200, 30), (40, 5000)
COUNT = SMALL[0] + LARGE[0]
# The largest message that is tried, and the one that is accepted if nothing is said. (RFC 8841
# section 6.1)
LARGEST, UNTOLD = 1_000_000, 65536
MAX_MESSAGE_SIZE = re.compile(r"^a=max-message-size:(\d+)", re.MULTILINE)
LIFETIME = 200
FLOOD = (300, 16384)


@pytest.fixture
def lossy(cable: Cable) -> Iterator[Cable]:
    """Return the cable, which may lose datagrams in the test."""
    require(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin"), "nft (Debian package nftables)")
    yield cable
    cable.lose(0)


async def connect(scenario: Scenario, source: str, **options: Any) -> tuple[End, End]:
    """Connect by a data channel of one side; return that side and the other one."""
    end: End = getattr(scenario, source)
    await end.do("channel", **options)
    await scenario.call.negotiate(end)
    await scenario.call.opened()
    return end, scenario.call.other(end)


async def until_received(end: End, count: int) -> dict[str, Any]:
    """Return what an end tells of the numbered messages when it has received so many."""
    async with asyncio.timeout(DEADLINE):
        while (told := await end.do("flowed"))["received"] < count:  # noqa: ASYNC110  asked
            await asyncio.sleep(PAUSE)
    result: dict[str, Any] = told
    return result


async def exchange(scenario: Scenario, cable: Cable) -> list[dict[str, Any]]:
    """Send messages both ways over a lossy cable; return what came at each end."""
    ends = scenario.we, scenario.they
    cable.lose(LOST)
    for count, size in (SMALL, LARGE):
        for end in ends:
            await end.do("flood", count=count, size=size)
    return [await until_received(end, COUNT) for end in ends]


async def test_all_messages_come_in_order_over_a_lossy_cable(
    scenario: Scenario, lossy: Cable
) -> None:
    await connect(scenario, "we")
    for told in await exchange(scenario, lossy):
        assert told["received"] == told["different"] == COUNT
        assert told["inOrder"]


@pytest.mark.parametrize("source", ["we", "they"])
async def test_unordered_messages_come_once_over_a_lossy_cable(
    scenario: Scenario, lossy: Cable, source: str
) -> None:
    await connect(scenario, source, ordered=False)
    for told in await exchange(scenario, lossy):
        assert told["received"] == told["different"] == COUNT


@pytest.mark.parametrize("source", ["we", "they"])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_what_is_not_repeated_holds_nothing_up(
    scenario: Scenario, lossy: Cable, source: str, *, ordered: bool
) -> None:
    """Some messages are lost, none comes twice, and in the end they still come."""
    sender, receiver = await connect(scenario, source, ordered=ordered, maxRetransmits=0)
    lossy.lose(4 * LOST)
    for _ in range(SMALL[0]):
        await sender.do("flood", count=1, size=SMALL[1])
    lossy.lose(0)
    await come_again(sender, receiver)
    told = await receiver.do("flowed")
    sent = (await sender.do("flowed"))["sent"]
    if sender is scenario.we or scenario.stack.gives_up:
        assert told["received"] < sent
    else:
        # What isn't ordered may still be repeated when something newer has come.
        told = await until_received(receiver, sent)
        scenario.limit("repeats what may be sent once")
    assert 0 < told["received"] == told["different"]


async def come_again(sender: End, receiver: End) -> None:
    """Return when a message has come that was sent now, or soon."""
    async with asyncio.timeout(DEADLINE):
        number = 0
        while not receiver.matching({"event": "message"}):
            await sender.do("send", text=f"again {number}")
            number += 1
            await asyncio.sleep(PAUSE)


@pytest.mark.parametrize("source", ["we", "they"])
async def test_what_is_old_does_not_come_after_an_outage(
    scenario: Scenario, cable: Cable, source: str
) -> None:
    sender, receiver = await connect(scenario, source, maxPacketLifeTime=LIFETIME)
    await scenario.call.talk()
    cable.cut()
    try:
        await sender.do("flood", count=100, size=1000)
        # Long enough for all of them to expire.
        await asyncio.sleep(5 * LIFETIME / 1000)
    finally:
        cable.mend()
    receiver.events.clear()
    await come_again(sender, receiver)
    if sender is scenario.we:
        assert (await receiver.do("flowed"))["received"] == 0


@pytest.mark.parametrize("source", ["we", "they"])
async def test_what_waits_comes_before_the_end(scenario: Scenario, source: str) -> None:
    sender, receiver = await connect(scenario, source)
    await scenario.call.talk()
    await sender.do("flood", count=100, size=5000)
    if source in scenario.stack.drops_at_end:
        await until_received(receiver, 100)
        scenario.limit("loses what is under way when a channel is closed")
    await sender.do("leave")
    for end in (receiver, sender):
        await end.wait("channel", state="closed")
    told = await receiver.do("flowed")
    assert told["received"] == 100
    assert told["inOrder"]


async def test_messages_are_as_large_as_both_say(scenario: Scenario) -> None:
    await scenario.we.do("channel")
    offer, answer = await scenario.call.negotiate(scenario.we)
    await scenario.call.opened()
    ours, theirs = (most_of(description) for description in (offer, answer))
    # Pion, which says nothing, takes a byte less.
    sizes = (1, 1155, 1200, UNTOLD - 1, *({min(theirs, LARGEST)} - {UNTOLD}))
    for size in sizes:
        await check_size(scenario.we, scenario.they, size)
    await check_empty(scenario)
    for size in (1, 1155, 1200, UNTOLD - 1, min(ours, theirs) - 1):
        await check_size(scenario.they, scenario.we, size)
    if theirs < LARGEST:
        with pytest.raises(PeerError, match="only supports messages up to"):
            await scenario.we.do("send", text="x" * (theirs + 1))
    await scenario.call.talk()


def most_of(description: Description) -> int:
    """Return how large a message may be by a description; any size is LARGEST."""
    told = MAX_MESSAGE_SIZE.findall(description["sdp"])
    return int(told[0]) or LARGEST if told else UNTOLD


async def check_empty(scenario: Scenario) -> None:
    """Send an empty message, and check that it comes, or else the next one."""
    await scenario.we.do("send", text="")
    await scenario.call.talk()
    came = bool(scenario.they.matching({"event": "message", "text": ""}))
    assert came == scenario.stack.takes_empty
    if not came:
        scenario.limit("drops empty messages")


async def check_size(sender: End, receiver: End, size: int) -> None:
    """Send a message of a size, and check that it comes whole."""
    text = ("0123456789" * (size // 10 + 1))[:size]
    await sender.do("send", text=text)
    await receiver.wait("message", text=text)


@asynccontextmanager
async def paused(end: End) -> AsyncIterator[None]:
    """Let an end read nothing for a while."""
    await end.do("pause")
    try:
        yield
    finally:
        await end.do("resume")


async def until_stuck(end: End) -> int:
    """Return how many bytes wait at an end when none has left for a second."""
    async with asyncio.timeout(DEADLINE):
        last, since = -1, 0
        while since * PAUSE < 1:
            buffered = await end.do("buffered")
            last, since = buffered, since + 1 if buffered == last else 0
            await asyncio.sleep(PAUSE)
    return last


@pytest.mark.parametrize("reader", ["we", "they"])
async def test_a_slow_reader_stops_the_sender(scenario: Scenario, reader: str) -> None:
    """What is sent waits at the sender, who is told so, and comes when the reader reads on."""
    if reader == "they" and scenario.stack.name != "pion":
        scenario.limit("reads all that comes")
        return
    await connect(scenario, "we")
    await scenario.call.talk()
    receiver: End = getattr(scenario, reader)
    sender = scenario.call.other(receiver)
    count, size = FLOOD
    async with paused(receiver):
        await sender.do("flood", count=count, size=size)
        assert await until_stuck(sender) > count * size / 4
        assert (await receiver.do("flowed"))["received"] <= 1
    told = await until_received(receiver, count)
    assert told["received"] == told["different"] == count
    assert told["inOrder"]
    assert await until_stuck(sender) == 0
    await scenario.call.talk()
