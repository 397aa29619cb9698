"""What is to be seen with browsers only: numbers of header extensions, and rid encodings."""

import asyncio
import re

import pytest

from interop.call import Description
from interop.process import DEADLINE, End
from interop.scenario import FRAMES, Scenario
from interop.stacks import STACKS

BROWSERS = [stack for stack in STACKS if stack.name in {"chromium", "firefox"}]
pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="session"),
    # The fixture of all these tests: what depends on it would stay with a peer of another one.
    pytest.mark.parametrize(
        "stack", BROWSERS, ids=lambda s: s.name, indirect=True, scope="session"
    ),
]


@pytest.mark.parametrize("kinds", ["video", "audio", "audio video", "video audio"])
@pytest.mark.parametrize("polite", ["we", "they"])
async def test_first_offers_meet(scenario: Scenario, polite: str, kinds: str) -> None:
    """Both sides offer at once, one gives way; what the browser has numbered doesn't matter."""
    we, they = scenario.we, scenario.they
    for kind in kinds.split():
        await we.do("track", kind=kind)
        await they.do("watch", kind=kind)
    theirs, ours = await they.do("local"), await we.do("local")
    if polite == "we":
        await scenario.call.answer(they, theirs)
    else:
        await scenario.call.answer(we, ours)
    # Chromium has no data channels any more where it has rolled back an offer of one.
    await they.do("channel")
    await scenario.call.negotiate(they)
    await scenario.call.opened()
    for asker in (they, we, they):
        await scenario.restart(asker)
    for kind in kinds.split():
        await they.do("watch", kind=kind)
        await we.do("track", kind=kind)
    await scenario.call.negotiate(they)
    await scenario.call.negotiate(we)
    await scenario.restart(they)
    await scenario.more_frames(they, kinds.split())


async def test_two_videos_with_rid_encodings(scenario: Scenario) -> None:
    """Chromium doesn't say from which sources they come. (I10)."""
    we, they = scenario.we, scenario.they
    await they.do("channel")
    for _ in range(2):
        await they.do("encodings", kind="video", rids=["high", "low"])
    offer, _ = await scenario.call.negotiate(they)
    assert offer["sdp"].count("a=rid:high send") == 2
    if scenario.stack.name == "chromium":
        assert "a=ssrc:" not in offer["sdp"]
    await scenario.call.opened()
    await both_seen(scenario)
    for asker in (they, we):
        await scenario.restart(asker)
    await both_seen(scenario)


async def both_seen(scenario: Scenario) -> None:
    """Return when we have decoded more of two videos."""
    start = await frames(scenario.we)
    async with asyncio.timeout(DEADLINE):
        while True:
            now = await frames(scenario.we)
            if all(b >= a + FRAMES for a, b in zip(start, now, strict=True)):
                return
            await scenario.call.talk()


async def frames(end: End) -> list[int]:
    """Return how many frames of each of two tracks have been decoded."""
    await end.wait("track", kind="video", count=2)
    counts: list[int] = await end.do("frames")
    return counts


# What a page does, and what we do for it.
PAGES = {
    "watches": (["watch video", "channel"], ["track video"]),
    "data only": (["channel"], []),
    "sends only": (["track video"], []),
    "all": (["track video", "track audio", "channel"], ["track video", "track audio"]),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("first", ["we", "they"])
async def test_pages_of_each_kind(scenario: Scenario, page: str, first: str) -> None:
    """Offers meet in the call, either side restarts, the page adds a VP9 video, all goes on."""
    call, we, they = scenario.call, scenario.we, scenario.they
    theirs, ours = PAGES[page]
    if first == "we":
        asked = [order.replace("track", "receive") for order in set(theirs) - {*ours, "channel"}]
        ours = [*ours, *(o for o in asked if o.startswith("receive")), *({"channel"} & {*theirs})]
        theirs = [order for order in theirs if order.startswith("track")]
    for end, orders in ((they, theirs), (we, ours)):
        for order in orders:
            await carry_out(end, order)
    await call.negotiate(we if first == "we" else they)
    if "channel" in {*theirs, *ours}:
        await call.opened()
    await all_goes_on(scenario, page)
    # Chromium that rolls back shows no picture any more of a section that we have made, and where
    # it sends, too; it decodes it, and so it is between two pages.
    loses_picture = scenario.stack.name == "chromium" and (page, first) == ("all", "we")
    for polite in (we,) if loses_picture else (they, we):
        # Each wants something, and both say so at once.
        await carry_out(we, "track audio")
        await carry_out(they, "watch audio")
        offers = {end: await end.do("local") for end in (we, they)}
        impolite = call.other(polite)
        await call.answer(impolite, offers[impolite])
        await call.negotiate(polite)
    for asker in (they, we):
        await scenario.restart(asker)
    # What we can't do is rejected by itself; or stays, inactive, if it's what all ride on, as where
    # addTrack() takes the section in which the page has watched.
    await they.do("track", kind="video", codec="video/VP9")
    offer, answer = await call.negotiate(they)
    (answered,) = (
        theirs
        for ours, theirs in zip(sections(offer), sections(answer), strict=True)
        if ours.startswith("m=video") and "VP8" not in ours
    )
    stays = not answered.startswith("m=video 0 ")
    assert not stays or ("VP9" in answered and "a=inactive" in answered)
    for asker in (we, they):
        await scenario.restart(asker)
    await all_goes_on(scenario, "data only" if stays else page)


def sections(description: Description) -> list[str]:
    """Return the media sections."""
    return re.split(r"(?m)^(?=m=)", description["sdp"])[1:]


async def carry_out(end: End, order: str) -> None:
    """Let an end do something, such as "track video"."""
    what, _, kind = order.partition(" ")
    if what == "receive":
        await end.do("transceiver", kind=kind, direction="recvonly")
    else:
        await end.do(what, **({"kind": kind} if kind else {}))


async def all_goes_on(scenario: Scenario, page: str) -> None:
    """Return when there are more frames of each kind that is sent, and more messages."""
    theirs, ours = PAGES[page]
    for end, orders in ((scenario.we, theirs), (scenario.they, ours)):
        kinds = [order.split()[1] for order in orders if order.startswith("track")]
        await scenario.more_frames(end, kinds)
    await scenario.call.talk()
