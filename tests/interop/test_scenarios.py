"""The same scenarios with each peer. What a peer doesn't do is written down, and checked, too."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from interop.cable import CABLE, SPARE, Cable, address
from interop.call import PAUSE, Call, Description, candidate_ufrag, ends_of, ufrags
from interop.process import DEADLINE, End, PeerError, PeerProcess
from interop.scenario import FRAMES, ROLLBACK, Say, Scenario
from interop.stacks import FOLLOWS, HIDING, IGNORES, REFUSES, Stack
from requiring import require

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="session"),
]

CREDENTIAL = re.compile(r"^a=ice-(?:ufrag|pwd):\S+", re.MULTILINE)
# So many packets that a peer would have counted one of them.
MANY = 50


@pytest.fixture
def cut(cable: Cable) -> Iterator[Cable]:
    """Return the cable, which is cut and replaced by another one in the test."""
    yield cable
    cable.mend()
    cable.remove_spare()


# Within how many seconds an ICE agent of libwebrtc has failed.
FAILING = 40
RESTART_LIMITS = {
    IGNORES: "answers our restart without restarting; the pair stays in use",
    REFUSES: "refuses our restart; the pair stays in use",
}


@pytest.mark.parametrize("offerer", ["we", "they"])
async def test_offers_data(scenario: Scenario, offerer: str) -> None:
    await scenario.connect(getattr(scenario, offerer))
    assert (await scenario.we.do("state"))["certificate"] == scenario.stack.certificate
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
    assert ends_of(scenario.we) >= ufrags(ours)
    if not scenario.stack.trickles:
        assert not scenario.call.direction(scenario.they).carried
        assert "a=candidate" in theirs["sdp"]
        scenario.limit("its candidates are in its description")
        return
    told = scenario.call.direction(scenario.they).carried
    if scenario.stack.ends_each:
        await scenario.they.wait_until(lambda: ends_of(scenario.they) >= ufrags(theirs), "the end")
        await until_ended(scenario)
    else:
        await scenario.they.wait("icegatheringstatechange", state="complete")
        scenario.limit("tells only the end of all gathering")
    assert {candidate_ufrag(candidate) for candidate in told} <= {*ufrags(theirs), None}
    scenario.call.check_candidates()


async def until_ended(scenario: Scenario) -> None:
    """Return when we have noted the end in the description that it belongs to."""
    async with asyncio.timeout(DEADLINE):
        while not (await scenario.we.do("state"))["remoteEnded"]:
            await scenario.call.talk()


async def test_we_restart(scenario: Scenario) -> None:
    await scenario.connect_with_what_there_is()
    if scenario.stack.answers_restart == FOLLOWS:
        await scenario.restart(scenario.we)
        await scenario.check_media()
        return
    before = await scenario.we.do("state")
    await scenario.ask_in_vain()
    await scenario.same_pair(before)
    await scenario.check_media()
    scenario.limit(RESTART_LIMITS[scenario.stack.answers_restart])


async def test_they_restart(scenario: Scenario) -> None:
    await scenario.connect_with_what_there_is()
    if not scenario.stack.restarts:
        with pytest.raises(PeerError):
            await scenario.they.do("restart")
        scenario.limit("has no restart")
        return
    await scenario.restart(scenario.they)
    await scenario.check_media()


async def test_three_alternating_restarts(scenario: Scenario) -> None:
    await scenario.connect(scenario.they)
    if not scenario.stack.restarts:
        before = await scenario.we.do("state")
        for _ in range(3):
            await scenario.ask_in_vain()
        await scenario.same_pair(before)
        scenario.limit("has no restart: three of ours leave the pair in use")
        return
    for asker in (scenario.we, scenario.they, scenario.we):
        await scenario.restart(asker)
    scenario.call.check_candidates()


async def test_they_answer_without_restarting(scenario: Scenario) -> None:
    """Somebody in between puts the credentials in use in place of our new ones."""
    first, _ = await scenario.connect(scenario.we)
    before = await scenario.we.do("state")
    await scenario.we.do("restart")
    offer = await scenario.we.do("local")
    assert not ufrags(offer) & ufrags(first)
    answer = await scenario.call.answer(scenario.we, with_credentials_of(first, offer))
    assert answer["type"] == "answer"
    await scenario.same_pair(before)
    if scenario.stack.answers_restart != FOLLOWS:
        scenario.limit(RESTART_LIMITS[scenario.stack.answers_restart])
        return
    # The restart is still wanted, and part of the next offer.
    _, answer = await scenario.call.negotiate(scenario.we)
    after = await scenario.we.do("state")
    assert after["ufrag"] != before["ufrag"]
    await scenario.sends_on(after["ufrag"])
    await scenario.call.talk()


def with_credentials_of(other: Description, description: Description) -> Description:
    """Return a description with the credentials of another one with the same sections."""
    lines = iter(CREDENTIAL.findall(other["sdp"]))
    return {**description, "sdp": CREDENTIAL.sub(lambda _: next(lines), description["sdp"])}


async def test_cable_is_cut_and_mended(scenario: Scenario, cable: Cable) -> None:
    """The path comes back by itself, without any restart."""
    await scenario.connect(scenario.we)
    before = await scenario.we.do("state")
    cable.cut()
    try:
        await scenario.we.wait("iceconnectionstatechange", state="disconnected")
    finally:
        cable.mend()
    await scenario.they.do("send", text="mended")
    await scenario.we.wait("message", text="mended")
    await scenario.we.wait_until(
        lambda: scenario.we.last_state("connectionState") == "connected", "being connected"
    )
    await scenario.same_pair(before)


@pytest.mark.parametrize("asker", ["we", "they"])
async def test_restart_over_another_cable(scenario: Scenario, cut: Cable, asker: str) -> None:
    """The path dies for good, and a restart finds another one."""
    await scenario.connect_with_what_there_is()
    if not scenario.stack.finds_networks:
        await check_finds_no_network(scenario, cut, getattr(scenario, asker))
        return
    before = await scenario.we.do("state")
    cut.cut()
    cut.lay_spare()
    await scenario.we.wait("iceconnectionstatechange", state="disconnected")
    if not scenario.stack.restarts:
        await scenario.ask_in_vain()
        assert (await scenario.we.do("state"))["sendingUfrag"] == before["sendingUfrag"]
        scenario.limit("has no restart: stays on the dead pair")
        return
    await scenario.restart(getattr(scenario, asker))
    after = await scenario.we.do("state")
    assert after["sendingTo"] == address("they", SPARE)
    assert after["dtls"] == "connected"
    if scenario.stack.media:
        for end in (scenario.we, scenario.they):
            await scenario.more_frames(end)


async def check_finds_no_network(scenario: Scenario, cable: Cable, asker: End) -> None:
    """It tells no address of a network that wasn't there in the beginning."""
    cable.lay_spare()
    await scenario.restart(asker)
    await scenario.they.wait("icegatheringstatechange", state="complete", count=2)
    told = (await scenario.we.do("state"))["remoteCandidates"]
    assert set(told) == {address("they", CABLE)}
    scenario.limit("its restart finds only the networks that were there in the beginning")


async def test_they_restart_after_failure(scenario: Scenario, cut: Cable) -> None:
    """The path is gone for so long that their ICE has failed; then it is back, and they restart."""
    if not scenario.stack.restarts:
        scenario.limit("has no restart")
        return
    # We control, so that it is us who nominate.
    await scenario.connect(scenario.we)
    cut.cut()
    # @roamhq/wrtc stays disconnected at times, on a busy machine, and restarts from there.
    states = ["failed", "disconnected"] if scenario.stack.name == "roamhq" else ["failed"]
    with suppress(TimeoutError):
        async with asyncio.timeout(FAILING if len(states) > 1 else None):
            await scenario.they.wait("connectionstatechange", state="failed")
    assert scenario.they.last_state("connectionState") in states
    cut.mend()
    await scenario.they.do("restart")
    await scenario.call.negotiate(scenario.they)
    for end in (scenario.we, scenario.they):
        await until_connected(end)


async def until_connected(end: End) -> None:
    """Return when an end is connected, asked as @roamhq/wrtc doesn't tell all."""
    async with asyncio.timeout(DEADLINE):
        while (await end.do("state"))["connectionState"] != "connected":  # noqa: ASYNC110
            await asyncio.sleep(PAUSE)


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
    if scenario.stack.answers_restart != FOLLOWS:
        await scenario.ask_in_vain()
        scenario.limit("glare is resolved; " + RESTART_LIMITS[scenario.stack.answers_restart])
    else:
        await scenario.call.negotiate(scenario.we)
        state = await scenario.we.do("state")
        await scenario.sends_on(state["ufrag"])
    await scenario.call.talk()


async def test_glare_with_us_impolite(scenario: Scenario) -> None:
    await scenario.connect(scenario.we)
    await scenario.they.do("local")
    await scenario.we.do("restart")
    ours = await scenario.we.do("local")
    if not scenario.stack.restarts_after_glare:
        await check_refused_after_glare(scenario, ours)
    elif scenario.stack.rolls_back:
        await scenario.call.answer(scenario.we, ours)
    elif scenario.stack.rolls_back_explicitly:
        await scenario.they.do("local", description=ROLLBACK)
        await scenario.call.answer(scenario.we, ours)
        scenario.limit("must be told to roll back")
    else:
        with pytest.raises(PeerError):
            await scenario.call.answer(scenario.we, ours)
        scenario.limit("can't give way; its own offer has to be answered")
    await scenario.call.talk()


async def check_refused_after_glare(scenario: Scenario, ours: Description) -> None:
    """It rolls its offer back, but goes by what that was when it checks ours."""
    with pytest.raises(PeerError, match="offer did not request ICE restart"):
        await scenario.call.send(scenario.we, ours)
    assert (await scenario.they.do("state"))["signalingState"] == "stable"
    # A negotiation without restart gets over that.
    await scenario.we.do("local", description=ROLLBACK)
    await scenario.call.negotiate(scenario.they)
    await scenario.restart(scenario.we)
    scenario.limit("refuses our restart until it has negotiated without one")


async def test_rollback(scenario: Scenario) -> None:
    await scenario.connect(scenario.we)
    before = await scenario.we.do("state")
    await scenario.we.do("restart")
    await scenario.we.do("local")
    assert await scenario.we.do("local", description=ROLLBACK)
    await scenario.same_pair(before)
    await scenario.call.negotiate(scenario.they)
    await scenario.call.talk()


async def test_track_added_and_removed(scenario: Scenario) -> None:
    await scenario.connect(scenario.they)
    await scenario.we.do("track", kind="video")
    await scenario.call.negotiate(scenario.we)
    await scenario.they.wait("track", kind="video")
    if scenario.stack.adds_media:
        async with asyncio.timeout(DEADLINE):
            while (await scenario.they.do("media"))["video"]["count"] < FRAMES:
                await scenario.call.talk()
    else:
        await check_added_in_vain(scenario)
    await scenario.we.do("untrack", kind="video")
    offer, _ = await scenario.call.negotiate(scenario.we)
    assert "a=sendrecv" not in offer["sdp"]
    await scenario.call.talk()


async def check_added_in_vain(scenario: Scenario) -> None:
    async with asyncio.timeout(DEADLINE):
        while sum(await scenario.we.do("sent")) < MANY:
            await scenario.call.talk()
    assert (await scenario.they.do("media"))["video"]["count"] == 0
    scenario.limit("takes the track, but hands over no packet of it in a call that had no media")


@pytest.mark.parametrize("closer", ["we", "they"])
async def test_closes(scenario: Scenario, closer: str) -> None:
    await scenario.connect(scenario.we)
    end: End = getattr(scenario, closer)
    await end.do("close")
    if end is scenario.we and not scenario.stack.notices_close:
        await scenario.they.wait("failure", element="sctpenc")
        scenario.limit("tells of our close by an error of its pipeline only")
        return
    await scenario.call.other(end).wait("channel", state="closed")


@pytest.fixture(params=[True, False], ids=["resolved", "unresolved"])
def hears(request: pytest.FixtureRequest, cable: Cable) -> Iterator[bool]:
    """Return whether multicast DNS works."""
    heard: bool = request.param
    if not heard:
        cable.hear_multicast(hear=False)
    yield heard
    if not heard:
        cable.hear_multicast(hear=True)


@pytest.mark.parametrize("stack", HIDING, ids=lambda stack: str(stack.name.split("-")[0]))
async def test_names_instead_of_addresses(
    our_process: PeerProcess, cable: Cable, stack: Stack, hears: bool, record_property: Say
) -> None:
    require(not stack.missing(), stack.missing())
    their_process = await PeerProcess.start(cable.namespace("they"), stack.command)
    try:
        call = Call(await our_process.new(stays=True), await their_process.new())
        scenario = Scenario(call, stack, cable, record_property)
        await check_names(scenario, hears=hears)
        await call.close()
    finally:
        await their_process.close()


async def check_names(scenario: Scenario, *, hears: bool) -> None:
    # Where it doesn't hear of our candidates, ours is the only side that can find the other one.
    ours = scenario.call.direction(scenario.we)
    ours.withholding = hears
    await scenario.connect(scenario.they)
    ours.withholding = False
    await ours.flush()
    told = [c["candidate"] for c in scenario.call.direction(scenario.they).carried]
    assert any(".local " in candidate for candidate in told)
    assert not any(address("they") in candidate for candidate in told)
    await scenario.restart(scenario.they)
    await scenario.restart(scenario.we)
    scenario.call.check_candidates()
