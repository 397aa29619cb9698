"""Candidates that follow the description, for programs that listen to `icecandidate`.

(W21, W23, I5)
"""

import asyncio
import functools
import re
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import aioice.ice
import pytest
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError
from aiortc.sdp import SessionDescription

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    connect,
    negotiate,
    transports,
    ufrags,
    wait_connected,
    wait_for_state,
    wait_sending_on_new_pair,
    wait_until,
    without_candidates,
)
from owntime import own_time
from restartice import (
    IceSettings,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCPeerConnectionIceErrorEvent,
    RTCSessionDescription,
)
from servers import MAPPED, MAPPED6, stun_server


class Trickle:
    """What a connection tells of its candidates, handed on to another connection."""

    def __init__(self, pc: RTCPeerConnection, to: RTCPeerConnection | None = None) -> None:
        self.events: list[RTCIceCandidate | None] = []
        self.done = asyncio.Event()
        self._queue: asyncio.Queue[RTCIceCandidate | None] = asyncio.Queue()
        self._to = to
        pc.on("icecandidate", self._happened)

    def _happened(self, candidate: RTCIceCandidate | None) -> None:
        self.events.append(candidate)
        self._queue.put_nowait(candidate)
        if candidate is None:
            self.done.set()

    @property
    def candidates(self) -> list[RTCIceCandidate]:
        return [c for c in self.events if c is not None and c.candidate]

    def has_reflexive(self) -> bool:
        return "srflx" in {candidate.type for candidate in self.candidates}

    async def hand_over(self) -> None:
        """Hand on what has come up, in the browser's form, until gathering is complete."""
        assert self._to is not None
        while (candidate := await self._queue.get()) is not None:
            await self._to.addIceCandidate(candidate.toJSON())

    async def wait_done(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.done.wait()
        self.done.clear()


async def negotiate_trickling(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Hand offer and answer over, and then the candidates of both."""
    to_far, to_near = Trickle(near, far), Trickle(far, near)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(to_far.hand_over(), to_near.hand_over())
    near.remove_all_listeners("icecandidate")
    far.remove_all_listeners("icecandidate")


def candidate_lines(description: RTCSessionDescription | None) -> list[str]:
    assert description is not None
    return [line for line in description.sdp.splitlines() if line.startswith("a=candidate:")]


async def test_connects_and_restarts(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await negotiate_trickling(near, far)
    await echo.check()
    for restarter in (near, far, near):
        before = {*ufrags(near), *ufrags(far)}
        restarter.restartIce()
        await negotiate_trickling(restarter, far if restarter is near else near)
        await wait_sending_on_new_pair(near, far)
        assert not before & {*ufrags(near), *ufrags(far)}
        await echo.check("after")


async def test_only_the_first_section_of_a_bundle_group_has_candidates_that_count(
    make_pc: Factory,
) -> None:
    # Until the answer is there, each section of the offerer has a transport, and all have the same
    # credentials. A pair with one that is about to go would work until then.
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio", direction="sendrecv")
    echo = Echo(near, far)
    to_far, to_near = Trickle(near), Trickle(far, near)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await to_far.wait_done()
    of_others = [c for c in to_far.candidates if c.sdpMLineIndex != 0]
    assert of_others
    for candidate in of_others:
        await far.addIceCandidate(candidate)
    (transport,) = transports(far)
    assert not transport.getRemoteCandidates()
    await near.setRemoteDescription(far.localDescription)
    for candidate in to_far.candidates:
        await far.addIceCandidate(candidate)
    await to_near.hand_over()
    await wait_connected(near, far)
    await echo.check()


async def test_what_is_learned_from_checks_is_no_remote_candidate_until_it_is_told(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    to_far, to_near = Trickle(near, far), Trickle(far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await to_far.hand_over()
    await far.setLocalDescription()
    text = without_candidates(far.localDescription.sdp)
    await near.setRemoteDescription(RTCSessionDescription(text, "answer"))
    await wait_connected(near, far)
    await echo.check()
    (transport,) = transports(near)
    pair = transport.getSelectedCandidatePair()
    assert pair is not None
    assert pair.remote.type == "prflx"
    assert not transport.getRemoteCandidates()
    await to_near.wait_done()
    for candidate in to_near.candidates:
        await near.addIceCandidate(candidate)
    told = [(c.type, c.port) for c in to_near.candidates]
    assert [(c.type, c.port) for c in transport.getRemoteCandidates()] == told


async def test_states_on_the_way(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    states: dict[RTCPeerConnection, list[str]] = {near: [], far: []}
    for pc, seen in states.items():
        note = functools.partial(note_state, pc, seen)
        pc.on("iceconnectionstatechange", note)
    await negotiate_trickling(near, far)
    await echo.check()
    for pc, seen in states.items():
        await wait_for_state(pc, "iceConnectionState", "completed")
        assert seen == ["checking", "connected", "completed"]
        assert {transport.component for transport in transports(pc)} == {"rtp"}


async def test_the_side_that_trickles_is_connected_first_whatever_the_other_side_does(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    seen: list[str] = []
    near.on("iceconnectionstatechange", lambda: note_state(near, seen))
    to_far = Trickle(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    # Without a listener for candidates, all are in the answer.
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await to_far.hand_over()
    await wait_for_state(near, "iceConnectionState", "completed")
    assert seen == ["checking", "connected", "completed"]
    await echo.check()


def note_state(pc: RTCPeerConnection, seen: list[str]) -> None:
    seen.append(pc.iceConnectionState)


async def test_with_audio_video_and_data(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    echo = Echo(near, far)
    await negotiate_trickling(near, far)
    await wait_connected(near, far)
    await echo.check()


async def test_returns_at_once_with_a_dead_server(make_pc: Factory) -> None:
    times = []
    async with stun_server(silent=True) as dead:
        for _ in range(5):
            pc = make_pc(RTCConfiguration(iceServers=[dead.configuration]))
            pc.createDataChannel("x")
            Trickle(pc)
            begun = time.monotonic()
            await pc.setLocalDescription()
            times.append(time.monotonic() - begun)
            assert pc.iceGatheringState == "gathering"
    assert median(times) < 0.050


async def test_a_live_server_is_told_of_although_another_one_is_dead(make_pc: Factory) -> None:
    async with stun_server(silent=True) as dead, stun_server() as live:
        for servers in ([dead, live], [live, dead]):
            configuration = RTCConfiguration(iceServers=[s.configuration for s in servers])
            near, far = make_pc(configuration), make_pc()
            echo = Echo(near, far)
            trickle = Trickle(near)
            await near.setLocalDescription()
            await wait_until(near, "icecandidate", trickle.has_reflexive)
            # The dead one is still waited for, but nothing else waits for that.
            assert near.iceGatheringState == "gathering"
            await far.setRemoteDescription(near.localDescription)
            await far.setLocalDescription()
            await near.setRemoteDescription(far.localDescription)
            await wait_connected(near, far)
            await echo.check()
            assert near.iceGatheringState == "gathering"


async def test_listening_after_the_description_is_set_is_too_late_to_choose(
    make_pc: Factory,
) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    await pc.setLocalDescription()
    trickle = Trickle(pc)
    assert candidate_lines(pc.localDescription)
    assert "a=end-of-candidates" in pc.localDescription.sdp
    assert pc.iceGatheringState == "complete"
    assert trickle.events == []


async def test_without_listening_a_dead_server_is_waited_for_no_longer_than_the_setting(
    make_pc: Factory,
) -> None:
    async with stun_server(silent=True) as dead:
        pc = make_pc(
            RTCConfiguration(iceServers=[dead.configuration]),
            iceSettings=IceSettings(gathering_timeout=0.3),
        )
        pc.createDataChannel("x")
        begun, begun_ours = time.monotonic(), own_time()
        await pc.setLocalDescription()
        assert time.monotonic() - begun >= 0.3
        assert own_time() - begun_ours < 3
        assert pc.iceGatheringState == "complete"
        assert "a=end-of-candidates" in pc.localDescription.sdp


async def test_without_listening_a_dead_server_beside_a_live_one_is_not_waited_for(
    make_pc: Factory,
) -> None:
    async with stun_server(silent=True) as dead, stun_server() as live:
        pc = make_pc(
            RTCConfiguration(iceServers=[dead.configuration, live.configuration]),
            iceSettings=IceSettings(gathering_timeout=2 * DEADLINE),
        )
        pc.createDataChannel("x")
        async with asyncio.timeout(DEADLINE):
            await pc.setLocalDescription()
        assert any("typ srflx" in line for line in candidate_lines(pc.localDescription))


async def test_says_what_belongs_where_and_ends_as_it_should(make_pc: Factory) -> None:
    async with stun_server(silent=True) as server:
        pc = make_pc(RTCConfiguration(iceServers=[server.configuration]))
        pc.createDataChannel("x")
        seen: list[tuple[str, str]] = []
        trickle = Trickle(pc)
        pc.on("icegatheringstatechange", lambda: seen.append(("state", pc.iceGatheringState)))
        pc.on("icecandidate", lambda c: seen.append(("candidate", "null" if c is None else c.type)))
        await pc.setLocalDescription()
        # Candidates gathered early are released after the description is set.
        assert trickle.events == []
        assert candidate_lines(pc.localDescription) == []
        await wait_until(pc, "icecandidate", lambda: len(trickle.events) == 1)
        assert "a=end-of-candidates" not in pc.localDescription.sdp
        async with asyncio.timeout(DEADLINE):
            await server.asked.wait()
        server.answer()
        await trickle.wait_done()

    host, reflexive, end, null = trickle.events
    assert host is not None
    assert reflexive is not None
    assert end is not None
    assert null is None
    for candidate in (host, reflexive, end):
        assert (candidate.sdpMid, candidate.sdpMLineIndex) == ("0", 0)
        assert candidate.usernameFragment == ufrags(pc)[0]
    assert (host.type, host.address) == ("host", "127.0.0.1")
    assert (reflexive.type, reflexive.address, reflexive.port) == ("srflx", *MAPPED)
    assert (reflexive.relatedAddress, reflexive.relatedPort) == (host.address, host.port)
    assert end.toJSON() == {
        "candidate": "",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": ufrags(pc)[0],
    }
    assert seen == [
        ("state", "gathering"),
        ("candidate", "host"),
        ("candidate", "srflx"),
        ("candidate", ""),
        ("state", "complete"),
        ("candidate", "null"),
    ]
    # The description has gained them.
    media = SessionDescription.parse(pc.localDescription.sdp).media[0]
    assert [c.type for c in media.ice_candidates] == ["host", "srflx"]
    assert media.ice_candidates_complete
    assert (media.host, media.port) == ("127.0.0.1", host.port)
    (transport,) = transports(pc)
    assert [c.type for c in transport.getLocalCandidates()] == ["host", "srflx"]


async def test_the_description_can_always_be_sent_first(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    order: list[str] = []
    pc.on("icecandidate", lambda _: order.append("candidate"))
    await pc.setLocalDescription()
    order.append("description")
    await wait_for_state(pc, "iceGatheringState", "complete")
    assert order[0] == "description"
    assert len(order) == 4


async def negotiate_holding_candidates_back(
    near: RTCPeerConnection, far: RTCPeerConnection
) -> Trickle:
    """Negotiate, and return the candidates of the one side when all have been found."""
    near_trickle, far_trickle = Trickle(near), Trickle(far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await asyncio.gather(near_trickle.wait_done(), far_trickle.wait_done())
    return near_trickle


async def test_a_late_candidate_joins_the_checks(make_pc: Factory) -> None:
    # The candidates of one side are held back until the other has checked for a while.
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    near_trickle = await negotiate_holding_candidates_back(near, far)
    assert near.iceConnectionState == far.iceConnectionState == "new"
    for candidate in near_trickle.events:
        await far.addIceCandidate(candidate)
    await echo.check()


async def test_candidates_whose_numbers_are_strings_are_checked(make_pc: Factory) -> None:
    # As programs make them that split the browser's text. The other side checks nothing.
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    near_trickle = await negotiate_holding_candidates_back(near, far)
    for candidate in near_trickle.events:
        if candidate is not None and candidate.candidate:
            numbers = {n: str(getattr(candidate, n)) for n in ("component", "port", "priority")}
            await far.addIceCandidate(replace(candidate, **numbers))  # type: ignore[arg-type]
    await echo.check()


async def test_no_failure_while_candidates_may_still_come(make_pc: Factory) -> None:
    settings = IceSettings(check_timeout=2 * DEADLINE)
    async with stun_server(silent=True) as server:
        near = make_pc(RTCConfiguration(iceServers=[server.configuration]), iceSettings=settings)
        far = make_pc(iceSettings=settings)
        echo = Echo(near, far)
        Trickle(near)
        await near.setLocalDescription()
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription()
        answer = far.localDescription
        assert answer is not None
        # The far side says that it has no candidates, and that no more will come.
        lines = [line for line in answer.sdp.splitlines(keepends=True) if "a=candidate" not in line]
        await near.setRemoteDescription(RTCSessionDescription("".join(lines), "answer"))
        assert "a=end-of-candidates" in "".join(lines)
        await near.addIceCandidate(None)
        assert near.iceConnectionState == "new"
        # Our own late candidate makes the far side find us.
        (transport,) = transports(near)
        for candidate in transport.getLocalCandidates():
            candidate.sdpMid = "0"
            await far.addIceCandidate(candidate)
        await echo.check()


async def negotiate_without_candidates_of(
    far: RTCPeerConnection, near: RTCPeerConnection
) -> list[str]:
    """Negotiate, and tell near the end of candidates; return those that the answer would have."""
    trickle = Trickle(near)
    near.createDataChannel("x")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    assert far.localDescription is not None
    answer = far.localDescription.sdp.splitlines(keepends=True)
    kept = [line for line in answer if not line.startswith(("a=candidate", "a=end"))]
    await near.setRemoteDescription(RTCSessionDescription("".join(kept), "answer"))
    await trickle.wait_done()
    await near.addIceCandidate({"candidate": "", "usernameFragment": ufrags(far)[0]})
    return [line for line in answer if line.startswith("a=candidate")]


async def test_an_end_of_all_candidates_fails_when_the_time_for_checks_is_over(
    make_pc: Factory,
) -> None:
    near, far = make_pc(iceSettings=IceSettings(check_timeout=2)), make_pc()
    await negotiate_without_candidates_of(far, near)
    assert near.iceConnectionState == "new"
    await wait_for_state(near, "iceConnectionState", "failed")


async def test_candidates_after_the_end_of_them_are_taken(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    lines = await negotiate_without_candidates_of(far, near)
    for line in lines:
        await near.addIceCandidate({"candidate": line.strip().removeprefix("a="), "sdpMid": "0"})
    await wait_for_state(near, "connectionState", "connected")


@pytest.mark.parametrize("listen", ["on", "decorator", "once"])
async def test_ways_to_listen(make_pc: Factory, listen: str) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    heard: list[object] = []
    if listen == "on":
        pc.on("icecandidate", heard.append)
    elif listen == "decorator":

        @pc.on("icecandidate")
        def hear(candidate: object) -> None:
            heard.append(candidate)
    else:
        pc.once("icecandidate", heard.append)
    await pc.setLocalDescription()
    assert candidate_lines(pc.localDescription) == []
    await wait_for_state(pc, "iceGatheringState", "complete")
    assert len(heard) == (1 if listen == "once" else 3)


async def test_removing_all_listeners_is_harmless(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    Trickle(near)
    near.remove_all_listeners()
    echo = await connect(near, far)
    near.restartIce()
    await negotiate(near, far)
    near.remove_all_listeners()
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")


async def test_none_of_a_restart_that_was_taken_back(make_pc: Factory) -> None:
    async with stun_server(silent=True) as server:
        near = make_pc(RTCConfiguration(iceServers=[server.configuration]))
        far = make_pc()
        echo = Echo(near, far)
        await negotiate_nearly(near, far, server.answer)
        await echo.check()
        current = ufrags(near)
        trickle = Trickle(near)
        near.restartIce()
        await near.setLocalDescription()
        await near.setLocalDescription(RTCSessionDescription("", "rollback"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert {c.usernameFragment for c in trickle.candidates} <= {*current}
        assert ufrags(near) == current
        await echo.check("after")


async def negotiate_nearly(
    near: RTCPeerConnection, far: RTCPeerConnection, answer: Callable[[], None]
) -> None:
    answer()
    await negotiate(near, far)


async def test_server_that_fails_is_told(make_pc: Factory) -> None:
    async with stun_server(silent=True) as dead:
        pc = make_pc(
            RTCConfiguration(iceServers=[dead.configuration]),
            iceSettings=IceSettings(server_timeout=0.2),
        )
        pc.createDataChannel("x")
        errors: list[RTCPeerConnectionIceErrorEvent] = []
        trickle = Trickle(pc)
        pc.on("icecandidateerror", errors.append)
        await pc.setLocalDescription()
        await trickle.wait_done()
        url = dead.url
    (error,) = errors
    assert (error.url, error.errorCode, error.address) == (url, 701, "127.0.0.1")
    assert error.port == trickle.candidates[0].port
    assert error.errorText


async def test_several_servers_telling_the_same_address_give_one_candidate(
    make_pc: Factory,
) -> None:
    async with stun_server() as one, stun_server() as two:
        pc = make_pc(RTCConfiguration(iceServers=[one.configuration, two.configuration]))
        pc.createDataChannel("x")
        trickle = Trickle(pc)
        await pc.setLocalDescription()
        await trickle.wait_done()
    assert [c.type for c in trickle.candidates] == ["host", "srflx"]


@pytest.mark.parametrize(
    "ufrag", ["older", "unknown"], ids=["of an older generation", "never seen"]
)
async def test_candidates_of_other_generations_are_refused(make_pc: Factory, ufrag: str) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    (transport,) = transports(far)
    old = transport.getLocalCandidates()[0]
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    old.sdpMid = "0"
    if ufrag == "unknown":
        old.usernameFragment = "neverseen"
    before = candidate_lines(near.remoteDescription)
    with pytest.raises(OperationError, match="username fragment"):
        await near.addIceCandidate(old)
    assert candidate_lines(near.remoteDescription) == before
    await echo.check("after")


def with_other_credentials(offer: RTCSessionDescription) -> RTCSessionDescription:
    """Give the last section credentials of its own, as a peer does that may not be bundled."""
    head, section = offer.sdp.rsplit("m=", 1)
    section = re.sub("a=ice-ufrag:.*", "a=ice-ufrag:other", section)
    section = re.sub("a=ice-pwd:.*", "a=ice-pwd:" + "otherpassword" * 2, section)
    return RTCSessionDescription(f"{head}m={section}", offer.type)


async def test_candidates_of_a_section_with_other_credentials(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    await far.setRemoteDescription(with_other_credentials(await near.createOffer()))
    line = "candidate:1 1 udp 1 127.0.0.1 9 typ host"
    await far.addIceCandidate({"candidate": line, "sdpMid": "1", "usernameFragment": "other"})
    await far.addIceCandidate({"candidate": "", "sdpMid": "1", "usernameFragment": "other"})
    audio, video = far.remoteDescription.sdp.split("m=")[1:]
    assert "a=candidate" not in audio
    assert "a=end-of-candidates" not in audio
    assert f"a={line}" in video
    assert "a=end-of-candidates" in video
    with pytest.raises(OperationError, match="username fragment"):
        await far.addIceCandidate({"candidate": line, "sdpMid": "0", "usernameFragment": "other"})


async def test_there_is_no_end_before_a_beginning(make_pc: Factory) -> None:
    with pytest.raises(InvalidStateError):
        await make_pc().addIceCandidate(None)


MALFORMED: list[dict[str, Any]] = [
    {"candidate": "candidate:1 1 udp", "sdpMid": "0"},
    {"candidate": 5, "sdpMid": "0"},
    {"candidate": "candidate:1 1 udp 1 127.0.0.1 99999 typ host", "sdpMid": "0"},
    {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"},
]


@pytest.mark.parametrize("init", MALFORMED)
async def test_malformed_candidates_change_nothing(make_pc: Factory, init: dict[str, Any]) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    before = candidate_lines(near.remoteDescription)
    with pytest.raises(ValueError, match=r"andidate"):
        await near.addIceCandidate(init)
    assert candidate_lines(near.remoteDescription) == before
    await echo.check("after")


async def test_ipv6(make_pc: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["::1"])
    async with stun_server("::1") as server:
        configuration = RTCConfiguration(iceServers=[server.configuration])
        near, far = make_pc(configuration), make_pc(configuration)
        echo = Echo(near, far)
        await negotiate_trickling(near, far)
        await echo.check()
        near.restartIce()
        await negotiate_trickling(near, far)
        await wait_sending_on_new_pair(near, far)
        await echo.check("after")
    (transport,) = transports(near)
    assert {(c.type, c.ip) for c in transport.getLocalCandidates()} == {
        ("host", "::1"),
        ("srflx", MAPPED6[0]),
    }
