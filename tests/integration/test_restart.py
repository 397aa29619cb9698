"""An ICE restart, from either side, at any time. (S1, S2, S3, S4, W4, W5, W11, W22, I1)."""

import asyncio
from typing import Any

import pytest
from aioice.ice import CandidatePair
from aiortc.sdp import SessionDescription

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    connect,
    foreign,
    negotiate,
    sending_ufrags,
    transports,
    ufrags,
    wait_connected,
    wait_sending_on_new_pair,
    wait_until,
)
from cutting import ice_connection
from restartice import (
    AudioStreamTrack,
    IceSettings,
    InvalidModificationError,
    InvalidStateError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice.ice.checks import nomination
from restartice.ice.checks.precedence import PRECEDENCE
from restartice.ice.connection import IceConnection
from restartice.ice.liveness import PathState


def credentials_and_ports(description: RTCSessionDescription | None) -> list[tuple[Any, ...]]:
    assert description is not None
    return [
        (media.ice.usernameFragment, media.ice.password, media.port)
        for media in SessionDescription.parse(description.sdp).media
        if media.ice is not None
    ]


def differ_everywhere(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> bool:
    return len(before) == len(after) > 0 and all(
        old != new
        for pair in zip(before, after, strict=True)
        for old, new in zip(*pair, strict=True)
    )


def count_handshakes(pc: RTCPeerConnection) -> list[str]:
    """Return a list that grows with each state that a DTLS transport enters."""
    states: list[str] = []
    for transport in {t.receiver.transport for t in pc.getTransceivers()} | (
        {pc.sctp.transport} if pc.sctp else set()
    ):
        transport.on("statechange", lambda transport=transport: states.append(transport.state))
    return states


@pytest.mark.parametrize("restarter", ["offerer", "answerer"])
async def test_changes_credentials_and_ports_of_both_sides(
    make_pc: Factory, restarter: str
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    before = [credentials_and_ports(pc.localDescription) for pc in (near, far)]
    handshakes = count_handshakes(near) + count_handshakes(far)

    first, second = (near, far) if restarter == "offerer" else (far, near)
    first.restartIce()
    await negotiate(first, second)
    await wait_sending_on_new_pair(near, far)

    after = [credentials_and_ports(pc.localDescription) for pc in (near, far)]
    assert all(map(differ_everywhere, before, after))
    await echo.check("after")
    assert handshakes == []


async def test_again_and_again_under_traffic(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    numbers = iter(range(10**6))
    stopped = False

    async def talk() -> None:
        while not stopped:
            await echo.check(str(next(numbers)))

    talking = asyncio.create_task(talk())
    seen = {*ufrags(near), *ufrags(far)}
    for turn in range(50):
        pair = (near, far) if turn % 2 else (far, near)
        pair[0].restartIce()
        await negotiate(*pair)
        await wait_sending_on_new_pair(near, far)
        new = {*ufrags(near), *ufrags(far)}
        assert not seen & new
        seen |= new
    stopped = True
    await talking
    assert next(numbers) > 50


async def test_is_the_next_offer_by_itself(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    unchanged = await near.createOffer()
    assert ufrags(near)[0] in unchanged.sdp
    near.restartIce()
    offer = await near.createOffer(iceRestart=False)
    assert ufrags(near)[0] not in offer.sdp
    assert "a=candidate" not in offer.sdp


async def test_each_offer_has_credentials_of_its_own(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    first = await near.createOffer(iceRestart=True)
    second = await near.createOffer(iceRestart=True)
    assert differ_everywhere(
        [pair[:2] for pair in credentials_and_ports(first)],
        [pair[:2] for pair in credentials_and_ports(second)],
    )
    with pytest.raises(InvalidModificationError, match="section 0"):
        await near.setLocalDescription(first)
    await near.setLocalDescription(second)


async def test_fires_negotiationneeded_once(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    fired: list[str] = []
    near.on("negotiationneeded", lambda: fired.append(near.signalingState))
    near.restartIce()
    near.restartIce()
    assert fired == []
    await wait_until(near, "negotiationneeded", lambda: bool(fired))
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    assert fired == ["stable"]


async def test_has_no_effect_before_negotiation(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.restartIce()
    fired: list[None] = []
    near.on("negotiationneeded", lambda: fired.append(None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert fired == []
    await connect(near, far)


async def test_in_the_first_offer_has_no_effect(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    before = ufrags(near)
    await negotiate(near, far, iceRestart=True)
    await echo.check()
    assert ufrags(near) == before


async def test_has_no_effect_on_a_closed_connection(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    await near.close()
    near.restartIce()
    with pytest.raises(InvalidStateError):
        await near.createOffer(iceRestart=True)


async def test_while_the_first_checks_run(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check()


async def test_while_an_offer_is_pending(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    near.restartIce()
    await near.setLocalDescription()
    first = ufrags(near)
    near.restartIce()
    await near.setLocalDescription()
    assert ufrags(near) != first
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_in_a_first_offer_that_is_rolled_back_is_remembered(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    far.createDataChannel("chat")
    await near.setLocalDescription()
    near.restartIce()
    before = ufrags(near)
    # The offer gives way to another one, which it answers with the same credentials.
    await negotiate(far, near)
    assert ufrags(near) == before
    await wait_until(near, "negotiationneeded", lambda: near._core.state.negotiation_needed)
    await negotiate(near, far)
    assert not set(ufrags(near)) & set(before)
    await wait_sending_on_new_pair(near, far)


async def test_requested_during_a_negotiation_comes_after_it(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    fired = asyncio.Event()
    near.on("negotiationneeded", fired.set)
    await near.setLocalDescription(await near.createOffer())
    near.restartIce()
    before = ufrags(near)
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert ufrags(near) == before
    async with asyncio.timeout(DEADLINE):
        await fired.wait()


async def test_by_the_remote_side_satisfies_ours(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.restartIce()
    far.restartIce()
    await negotiate(far, near)
    await wait_sending_on_new_pair(near, far)
    before = ufrags(near)
    offer = await near.createOffer()
    assert before[0] in offer.sdp


async def test_polite_peer_gives_way_and_asks_again(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    near.restartIce()
    await near.setLocalDescription()
    await far.setLocalDescription(await far.createOffer())
    # Glare: near rolls back its restart, answers without one, and still wants it.
    await near.setRemoteDescription(far.localDescription)
    again = asyncio.Event()
    near.on("negotiationneeded", again.set)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    async with asyncio.timeout(DEADLINE):
        await again.wait()
    await echo.check("in between")
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_garbage_in_the_middle_changes_nothing(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    assert far.localDescription is not None
    good = far.localDescription.sdp
    for bad, message in {
        "no SDP at all": "line 1",
        "": "line 1",
        good.replace("m=application", "m=application nonsense"): "line",
        good.replace("a=setup:active", "a=setup:sometimes"): "setup:sometimes",
        good.partition("m=")[0]: "do not match",
        good.replace("a=ice-ufrag", "a=x-ufrag"): "missing",
    }.items():
        remote = near.remoteDescription
        with pytest.raises(ValueError, match=message):
            await near.setRemoteDescription(RTCSessionDescription(bad, "answer"))
        assert near.signalingState == "have-local-offer"
        assert near.remoteDescription == remote
        await echo.check("meanwhile")
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_an_edited_description_is_accepted_without_its_candidates(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    offer = await near.createOffer(iceRestart=True)
    await near.setLocalDescription(RTCSessionDescription(offer.sdp + "b=AS:500\r\n", offer.type))
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_of_audio_and_video_with_data(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    far.addTrack(VideoStreamTrack())
    echo = await connect(near, far)
    await wait_connected(near, far)
    assert len(transports(near)) == 1
    video = next(r.track for r in far.getReceivers() if r.track.kind == "video")
    async with asyncio.timeout(30):
        await video.recv()
        far.restartIce()
        await negotiate(far, near)
        await wait_sending_on_new_pair(near, far)
        for _ in range(5):
            await video.recv()
    await echo.check("after")


async def test_of_a_track_added_in_mid_call(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    states: list[str] = []
    near.on("connectionstatechange", lambda: states.append(near.connectionState))
    near.addTrack(VideoStreamTrack())
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    async with asyncio.timeout(30):
        await far.getReceivers()[0].track.recv()
    assert len(transports(near)) == len(transports(far)) == 1
    assert states == []


async def test_without_bundle(make_pc: Factory) -> None:
    configuration = RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
    near, far = make_pc(configuration), make_pc(configuration)
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    echo = Echo(near, far)

    def unbundled(description: RTCSessionDescription | None) -> RTCSessionDescription:
        assert description is not None
        lines = description.sdp.splitlines(keepends=True)
        sdp = "".join(line for line in lines if "group:BUNDLE" not in line)
        return RTCSessionDescription(sdp, description.type)

    async def negotiate_unbundled(first: RTCPeerConnection, second: RTCPeerConnection) -> None:
        await first.setLocalDescription()
        await second.setRemoteDescription(unbundled(first.localDescription))
        await second.setLocalDescription()
        await first.setRemoteDescription(unbundled(second.localDescription))

    await negotiate_unbundled(near, far)
    await wait_connected(near, far)
    await echo.check()
    assert len(transports(near)) == len(transports(far)) == 3
    before = sending_ufrags(near)
    far.restartIce()
    await negotiate_unbundled(far, near)
    await wait_sending_on_new_pair(near, far)
    assert not set(before) & set(sending_ufrags(near))
    await echo.check("after")


async def test_states_on_the_way(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    transport = transports(near)[0]
    same = transport
    seen: list[str] = []
    transport.on("statechange", lambda: seen.append(transport.state))
    connection_states: list[str] = []
    near.on("connectionstatechange", lambda: connection_states.append(near.connectionState))
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near)
    assert seen == ["connected", "completed"]
    assert connection_states == []
    assert transports(near) == [same]


async def test_what_is_still_under_way_on_the_old_pair_arrives(make_pc: Factory) -> None:
    # As long as the test takes, on whatever machine.
    settings = IceSettings(drain_time=2 * DEADLINE)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    await connect(near, far)
    old_near, old_far = ice_connection(near), ice_connection(far)
    pair = old_far.selected_pair
    assert pair is not None
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    # As after each look at whether something has come in.
    old_near.heard = False
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)
    assert ice_connection(near) is not old_near
    for _ in range(100):  # which would be enough for closing the sockets
        await asyncio.sleep(0)
    late = asyncio.Event()
    old_near.deliver = lambda _: late.set()
    packet = bytes([0x80]) + b"still under way"  # as of RTP
    async with asyncio.timeout(DEADLINE):
        while not late.is_set():
            await pair.protocol.send_data(packet, pair.remote_addr)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("lost", [False, True])
async def test_who_answers_lets_the_other_side_check_first_while_the_pair_works(
    make_pc: Factory, *, lost: bool
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    (transport,) = transports(far)
    if lost:
        transport._core.path_changed(ice_connection(far), PathState.LOST)
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(foreign(near.localDescription))
    await far.setLocalDescription()
    checked = transports(near)[0]._core.gatherer.generation.connection.asked
    if lost:
        async with asyncio.timeout(DEADLINE):
            await checked.wait()
    else:
        with pytest.raises(TimeoutError):
            # It would go on much later, but not before this, however late the loop is.
            async with asyncio.timeout(PRECEDENCE / 2):
                await checked.wait()
    await near.setRemoteDescription(far.localDescription)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def answer_while_lost(near: RTCPeerConnection, far: RTCPeerConnection) -> IceConnection:
    """Let the near side answer a restart, and return its new connection when its check succeeded.

    It controls; the path is lost, and the other side hasn't got the answer.
    """
    await connect(near, far)
    assert ice_connection(near).ice_controlling
    (transport,) = transports(near)
    transport._core.path_changed(ice_connection(near), PathState.LOST)
    far.restartIce()
    await far.setLocalDescription()
    await near.setRemoteDescription(foreign(far.localDescription))
    await near.setLocalDescription()
    new = transport._core.gatherer.generation.connection
    async with asyncio.timeout(DEADLINE):
        while not any(is_succeeded(pair) for pair in new.check_list):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    return new


def is_succeeded(pair: CandidatePair) -> bool:
    return pair.state is CandidatePair.State.SUCCEEDED


async def test_who_answers_nominates_when_the_other_side_has_the_answer(make_pc: Factory) -> None:
    # Firefox, whose ICE has failed, would stay "checking" for good otherwise.
    near, far = make_pc(), make_pc()
    new = await answer_while_lost(near, far)
    assert new.selected_pair is None
    await far.setRemoteDescription(near.localDescription)
    await wait_sending_on_new_pair(near, far)
    assert new.ice_controlling


async def test_who_answers_nominates_even_if_the_other_side_never_checks(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nomination, "PATIENCE", 0.5)
    near, far = make_pc(), make_pc()
    await answer_while_lost(near, far)
    await wait_sending_on_new_pair(near)


async def test_who_answers_checks_by_itself_if_the_other_side_does_not(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    near.restartIce()
    await near.setLocalDescription()
    await far.setRemoteDescription(foreign(near.localDescription))
    await far.setLocalDescription()
    async with asyncio.timeout(DEADLINE):
        await transports(near)[0]._core.gatherer.generation.connection.asked.wait()
