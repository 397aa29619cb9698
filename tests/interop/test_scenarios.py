"""The same scenarios with each peer. What a peer doesn't do is written down, and checked, too."""

import asyncio
from typing import Any

import pytest

from interop.call import Call, Description, candidate_ufrag, ufrags
from interop.process import End, PeerError
from interop.stacks import FOLLOWS, Stack

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
]

KINDS = ("video", "audio")
FRAMES = 10
# Frames come every 70 ms. The gaps are told; what fails is a picture that stands still.
LONGEST_GAP = 3000.0


class Scenario:
    """A call, the peer in it, and what the table says of them."""

    def __init__(self, call: Call, stack: Stack, say: Any) -> None:
        self.call, self.stack = call, stack
        self.we, self.they = call.we, call.they
        self._say = say

    def limit(self, text: str) -> None:
        """Note in the table what the peer doesn't do."""
        self._say("limit", text)

    def measured(self, milliseconds: float) -> None:
        """Note in the table the longest time without a frame."""
        self._say("gap", milliseconds)

    async def connect(
        self, offerer: End, *, media: bool = False
    ) -> tuple[Description, Description]:
        """Connect by a data channel, and by video and audio each way."""
        await offerer.do("channel")
        for kind in KINDS if media else ():
            await self.we.do("track", kind=kind)
            await self.they.do("track", kind=kind)
        descriptions = await self.call.negotiate(offerer)
        await self.call.opened()
        await self.call.talk()
        return descriptions

    async def restart(self, asker: End) -> None:
        """Restart ICE, and check that both sides change their credentials and what we send on."""
        before = await self.we.do("state")
        await asker.do("restart")
        offer, answer = await self.call.negotiate(asker)
        after = await self.we.do("state")
        assert after["ufrag"] != before["ufrag"]
        assert after["ufrag"] in ufrags(offer) | ufrags(answer)
        await self.sends_on(after["ufrag"])
        await self.call.talk()

    async def sends_on(self, ufrag: str) -> None:
        """Return when we send on the generation with this username fragment."""
        deadline = asyncio.get_running_loop().time() + 30
        while (state := await self.we.do("state"))["sendingUfrag"] != ufrag:
            assert asyncio.get_running_loop().time() < deadline, (
                f"still on the old pair: {state}; candidates handed over: "
                f"{[self.call.direction(end).carried[-3:] for end in (self.we, self.they)]}"
            )
            await self.call.talk()

    async def more_frames(self, end: End) -> float:
        """Return, when more of video and audio have come in, the longest gap before, in ms."""
        start = await end.do("media")
        gaps: list[float] = [start[kind]["gap"] for kind in KINDS]
        async with asyncio.timeout(60):
            while True:
                now = await end.do("media")
                gaps += [now[kind]["gap"] for kind in KINDS]
                if all(now[kind]["count"] >= start[kind]["count"] + FRAMES for kind in KINDS):
                    return max(gaps)
                await self.call.talk()

    async def seen(self, end: End) -> None:
        """Return when an end has received video and audio."""
        for kind in KINDS:
            await end.wait("track", kind=kind)
        async with asyncio.timeout(60):
            while any(m["count"] < FRAMES for m in (await end.do("media")).values()):
                await self.call.talk()

    async def same_pair(self, before: dict[str, str]) -> None:
        """Check that the pair in use stays in use."""
        await self.call.talk()
        after = await self.we.do("state")
        assert after["sendingUfrag"] == before["sendingUfrag"]
        assert after["connectionState"] == "connected"


@pytest.fixture
def scenario(
    call: Call, stack: Stack, record_property: Any, request: pytest.FixtureRequest
) -> Scenario:
    name = request.node.originalname.removeprefix("test_")
    if reason := stack.open.get(name):
        record_property("limit", f"open: {reason}")
        request.node.add_marker(pytest.mark.xfail(reason=reason, strict=False))
    return Scenario(call, stack, record_property)


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_offers_data(scenario: Scenario, offerer: str) -> None:
    await scenario.connect(getattr(scenario, offerer))
    scenario.call.check_candidates()


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_offers_media(scenario: Scenario, offerer: str) -> None:
    if not scenario.stack.media:
        with pytest.raises(PeerError):
            await scenario.they.do("track", kind="video")
        scenario.limit("data only")
        return
    await scenario.connect(getattr(scenario, offerer), media=True)
    for end in (scenario.we, scenario.they):
        await scenario.seen(end)
    if scenario.stack.media != "decodes":
        scenario.limit("sends our frames back, has no codecs")


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_trickles(scenario: Scenario, offerer: str) -> None:
    """Each end tells its candidates one by one, with their generation, and when they end."""
    offer, answer = await scenario.connect(getattr(scenario, offerer))
    ours, theirs = (offer, answer) if offerer == "we" else (answer, offer)
    assert "a=candidate" not in ours["sdp"]
    sent = scenario.call.direction(scenario.we).carried
    assert {candidate_ufrag(candidate) for candidate in sent} == ufrags(ours)
    await scenario.we.wait("icegatheringstatechange", state="complete")
    ends = [e for e in scenario.we.events if e["event"] == "icecandidate" and ends_all(e)]
    assert ends
    if not scenario.stack.trickles:
        assert not scenario.call.direction(scenario.they).carried
        assert "a=candidate" in theirs["sdp"]
        scenario.limit("its candidates are in its description")
        return
    told = scenario.call.direction(scenario.they).carried
    assert {candidate_ufrag(candidate) for candidate in told} <= {*ufrags(theirs), None}
    scenario.call.check_candidates()


def ends_all(event: dict[str, Any]) -> bool:
    return event["candidate"] is None or event["candidate"]["candidate"] == ""


async def test_we_restart(scenario: Scenario) -> None:
    media = bool(scenario.stack.media)
    await scenario.connect(scenario.we, media=media)
    if media:
        await scenario.seen(scenario.we)
        await scenario.seen(scenario.they)
    if scenario.stack.answers_restart == FOLLOWS:
        await scenario.restart(scenario.we)
        await check_media(scenario)
        return
    before = await scenario.we.do("state")
    await scenario.we.do("restart")
    await scenario.call.negotiate(scenario.we)
    await scenario.same_pair(before)
    await check_media(scenario)
    scenario.limit("answers without restarting; the pair stays")


async def test_they_restart(scenario: Scenario) -> None:
    media = bool(scenario.stack.media)
    await scenario.connect(scenario.we, media=media)
    if not scenario.stack.restarts:
        with pytest.raises(PeerError):
            await scenario.they.do("restart")
        scenario.limit("has no restart")
        return
    if media:
        await scenario.seen(scenario.we)
        await scenario.seen(scenario.they)
    await scenario.restart(scenario.they)
    await check_media(scenario)


async def check_media(scenario: Scenario) -> None:
    if scenario.stack.media:
        gaps = [await scenario.more_frames(end) for end in (scenario.we, scenario.they)]
        scenario.measured(max(gaps))
        assert max(gaps) < LONGEST_GAP


async def test_three_alternating_restarts(scenario: Scenario) -> None:
    await scenario.connect(scenario.they)
    if not scenario.stack.restarts:
        before = await scenario.we.do("state")
        for _ in range(3):
            await scenario.we.do("restart")
            await scenario.call.negotiate(scenario.we)
        await scenario.same_pair(before)
        scenario.limit("three of ours, ignored")
        return
    for asker in (scenario.we, scenario.they, scenario.we):
        await scenario.restart(asker)
    scenario.call.check_candidates()


async def test_glare_with_us_polite(scenario: Scenario) -> None:
    await scenario.connect(scenario.we)
    await scenario.we.do("restart")
    await scenario.we.do("local")
    theirs = await scenario.they.do("local")
    await scenario.call.answer(scenario.they, theirs)
    await scenario.call.talk()
    # Our restart is still wanted.
    needed = len(scenario.we.matching({"event": "negotiationneeded"}))
    assert needed > 0
    _, answer = await scenario.call.negotiate(scenario.we)
    if scenario.stack.answers_restart == FOLLOWS:
        state = await scenario.we.do("state")
        await scenario.sends_on(state["ufrag"])
    else:
        assert answer["type"] == "answer"
        scenario.limit("our restart is ignored; glare is resolved")
    await scenario.call.talk()


async def test_glare_with_us_impolite(scenario: Scenario) -> None:
    await scenario.connect(scenario.we)
    await scenario.they.do("local")
    await scenario.we.do("restart")
    ours = await scenario.we.do("local")
    if scenario.stack.rolls_back:
        await scenario.call.answer(scenario.we, ours)
    elif scenario.stack.rolls_back_explicitly:
        await scenario.they.do("local", description={"type": "rollback"})
        await scenario.call.answer(scenario.we, ours)
        scenario.limit("must be told to roll back")
    else:
        with pytest.raises(PeerError):
            await scenario.call.answer(scenario.we, ours)
        scenario.limit("can't give way; its own offer has to be answered")
    await scenario.call.talk()


async def test_rollback(scenario: Scenario) -> None:
    await scenario.connect(scenario.we)
    before = await scenario.we.do("state")
    await scenario.we.do("restart")
    await scenario.we.do("local")
    assert await scenario.we.do("local", description={"type": "rollback"})
    await scenario.same_pair(before)
    await scenario.call.negotiate(scenario.they)
    await scenario.call.talk()


async def test_track_added_and_removed(scenario: Scenario) -> None:
    await scenario.connect(scenario.they)
    await scenario.we.do("track", kind="video")
    await scenario.call.negotiate(scenario.we)
    await scenario.they.wait("track", kind="video")
    async with asyncio.timeout(60):
        while (await scenario.they.do("media"))["video"]["count"] < FRAMES:
            await scenario.call.talk()
    await scenario.we.do("untrack", kind="video")
    offer, _ = await scenario.call.negotiate(scenario.we)
    assert "a=sendrecv" not in offer["sdp"]
    await scenario.call.talk()


@pytest.mark.parametrize("closer", ["we", "they"])
async def test_closes(scenario: Scenario, closer: str) -> None:
    await scenario.connect(scenario.we)
    end: End = getattr(scenario, closer)
    await end.do("close")
    await scenario.call.other(end).wait("channel", state="closed")
