"""When our candidates are made known, and where. (W13, W23)."""

import asyncio
import functools
import socket

import pytest
from aiortc.exceptions import OperationError
from aiortc.sdp import SessionDescription

from conftest import Factory
from connecting import DEADLINE, negotiate, transports, ufrags, wait_connected
from ports import free_ports
from restartice import (
    IceSettings,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from servers import stun_server

TURNS = 20
LOOPBACK = "127.0.0.1"


def listening(pc: RTCPeerConnection) -> list[RTCIceCandidate | None]:
    told: list[RTCIceCandidate | None] = []
    pc.on("icecandidate", told.append)
    return told


async def turn(count: int = TURNS) -> None:
    """Let what is due happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until_complete(pc: RTCPeerConnection) -> None:
    async with asyncio.timeout(DEADLINE):
        while pc.iceGatheringState != "complete":  # noqa: ASYNC110  it may be so already
            await asyncio.sleep(0)


def ports(pc: RTCPeerConnection, index: int = 0) -> list[int]:
    """Return the ports of the candidates in a section of the local description."""
    media = SessionDescription.parse(pc.localDescription.sdp).media
    return [candidate.port for candidate in media[index].ice_candidates]


async def test_nothing_is_told_while_candidates_are_held_back(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    told = listening(pc)
    pc._core.local_candidates.hold()
    pc._core.local_candidates.hold()
    await pc.setLocalDescription()
    await turn()
    pc._core.local_candidates.release_soon()
    await turn()
    assert told == []
    assert ports(pc) == []
    pc._core.local_candidates.release_soon()
    assert told == []
    await until_complete(pc)
    (candidate, end, nothing) = told
    assert candidate is not None
    assert end is not None
    assert nothing is None
    assert ports(pc) == [candidate.port]
    assert end.candidate == ""


async def test_told_once_however_often_it_is_asked_for(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    told = listening(pc)
    await pc.setLocalDescription()
    for _ in range(5):
        pc._core.local_candidates.announce()
    await until_complete(pc)
    pc._core.local_candidates.announce()
    await turn()
    assert [None if c is None else c.type for c in told] == ["host", "", None]


async def test_one_of_a_bundle_group_is_told_once_and_stands_in_its_first_section(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.createDataChannel("x")
    await negotiate(near, far)
    told = listening(near)
    near.restartIce()
    await near.setLocalDescription()
    await until_complete(near)
    (candidate,) = [c for c in told if c is not None and c.candidate]
    assert (candidate.sdpMid, candidate.sdpMLineIndex) == ("0", 0)
    assert (ports(near, 0), ports(near, 1)) == ([candidate.port], [])
    text = near.localDescription.sdp
    assert text.count("a=end-of-candidates") == 1
    assert "m=application 9 " in text
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    # So also when it is offered again.
    assert (await near.createOffer()).sdp.count("a=candidate:") == 1
    await near.setLocalDescription()
    assert (ports(near, 0), ports(near, 1)) == ([candidate.port], [])


async def test_without_a_listener_all_sections_have_the_candidates(make_pc: Factory) -> None:
    """Of those that share a transport from the start, plain aiortc takes those of the last one."""
    pc = make_pc()
    pc.addTransceiver("audio")
    pc.addTransceiver("audio")
    await pc.setLocalDescription()
    assert len(ports(pc, 0)) == 1
    assert ports(pc, 0) == ports(pc, 1)


async def test_each_transport_is_told_of_in_one_section(make_pc: Factory) -> None:
    pc, far = make_pc(), make_pc()
    for kind in ("audio", "audio", "video"):
        pc.addTransceiver(kind)
    pc.createDataChannel("x")
    listening(pc)
    await pc.setLocalDescription()
    await until_complete(pc)
    assert [len(ports(pc, n)) for n in range(4)] == [1, 0, 1, 1]
    # The other side's group begins with another section.
    text = pc.localDescription.sdp.replace("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 2 0 1 3")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    listening(far)
    await far.setLocalDescription()
    await until_complete(far)
    assert [len(ports(far, n)) for n in range(4)] == [0, 0, 1, 0]


async def test_none_of_a_generation_that_no_description_tells_of(make_pc: Factory) -> None:
    async with stun_server(silent=True) as server:
        near, far = make_pc(), make_pc()
        near.createDataChannel("x")
        await negotiate(near, far)
        before = ufrags(near)
        configuration = near.getConfiguration()
        configuration.iceServers = [server.configuration]
        near.setConfiguration(configuration)
        told = listening(near)
        near.restartIce()
        await near.setLocalDescription()
        async with asyncio.timeout(DEADLINE):
            await server.asked.wait()
        await near.setLocalDescription(RTCSessionDescription(sdp="", type="rollback"))
        count = len(told)
        server.answer()
        await turn()
        assert ufrags(near) == before
        # What is told after it concerns the generation in use, if anything.
        assert not [c for c in told[count:] if c is not None and c.candidate]


async def test_a_listener_that_raises_leaves_gathering_complete(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    loop = asyncio.get_running_loop()
    problems: list[str] = []
    loop.set_exception_handler(lambda _, context: problems.append(str(context.get("exception"))))

    def fail(_: RTCIceCandidate | None) -> None:
        raise RuntimeError("a listener's fault")

    pc.on("icecandidate", fail)
    await pc.setLocalDescription()
    await until_complete(pc)
    await turn()
    loop.set_exception_handler(None)
    assert len(ports(pc)) == 1
    assert set(problems) == {"a listener's fault"}


def gathering_events(pc: RTCPeerConnection) -> list[str]:
    """Return what the connection and its first transport tell of gathering, from now on."""
    told: list[str] = []
    (transport,) = transports(pc)

    def tell(what: str) -> None:
        told.append(f"{what} {transport.gatheringState} {pc.iceGatheringState}")

    transport.on("gatheringstatechange", lambda: tell("transport"))
    pc.on("icegatheringstatechange", lambda: tell("connection"))
    pc.on("icecandidate", lambda c: told.append("nothing" if c is None else c.type or "end"))
    return told


GATHERED = [
    "transport gathering gathering",
    "connection gathering gathering",
    "host",
    "end",
    "transport complete complete",
    "connection complete complete",
    "nothing",
]


async def test_events_of_gathering_follow_the_operation(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    told = gathering_events(near)
    await near.setLocalDescription()
    # The attribute is set, so that nobody takes the state before it for the end of gathering.
    assert near.iceGatheringState == "gathering"
    assert told == []
    await until_complete(near)
    assert told == GATHERED
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    near.restartIce()
    await near.setLocalDescription()
    assert near.iceGatheringState == "gathering"
    assert told == GATHERED
    await until_complete(near)
    assert told == 2 * GATHERED


async def test_without_a_listener_gathering_is_over_at_once(make_pc: Factory) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    told: list[str] = []
    pc.on("icegatheringstatechange", lambda: told.append(pc.iceGatheringState))
    await pc.setLocalDescription()
    assert told == ["gathering", "complete"]
    assert len(ports(pc)) == 1


async def test_no_event_of_gathering_that_could_not_begin(make_pc: Factory) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        pc = make_pc(iceSettings=IceSettings(port_range=(port, port)))
        pc.createDataChannel("x")
        told = gathering_events(pc)
        with pytest.raises(OperationError):
            await pc.setLocalDescription()
        await turn()
        assert pc.iceGatheringState == "new"
        assert told == []
    await pc.setLocalDescription()
    await until_complete(pc)
    assert told == GATHERED


@pytest.mark.parametrize("trickling", [False, True])
async def test_all_transports_begin_to_gather_or_none(make_pc: Factory, *, trickling: bool) -> None:
    """There is a port for one of them."""
    first, last = free_ports(2)
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
    pc = make_pc(configuration, iceSettings=IceSettings(port_range=(first, last)))
    pc.createDataChannel("x")
    pc.addTransceiver("audio")
    if trickling:
        pc.on("icecandidate", lambda _: None)
    told: list[tuple[int, str]] = []
    both = transports(pc)
    assert len(both) == 2
    for place, transport in enumerate(both):
        tell = functools.partial(lambda n, t: told.append((n, t.gatheringState)), place, transport)
        transport.on("gatheringstatechange", tell)
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, last))
        with pytest.raises(OperationError, match="is free"):
            await pc.setLocalDescription()
        await turn()
    assert [transport.gatheringState for transport in both] == ["new", "new"]
    assert pc.iceGatheringState == "new"
    # Each change had an event.
    for place in range(2):
        states = [state for n, state in told if n == place]
        assert [*states[:1], *states[-1:]] == ([] if trickling else ["gathering", "new"])
    await pc.setLocalDescription()
    await until_complete(pc)
    assert [transport.gatheringState for transport in both] == ["complete", "complete"]
    assert {first, last} == {*ports(pc, 0), *ports(pc, 1)}


async def test_after_the_rollback_of_a_first_offer_candidates_are_told_again(
    make_pc: Factory,
) -> None:
    pc = make_pc()
    pc.createDataChannel("x")
    told = gathering_events(pc)
    await pc.setLocalDescription()
    await until_complete(pc)
    before = ports(pc)
    del told[:]
    await pc.setLocalDescription(RTCSessionDescription("", "rollback"))
    assert pc.iceGatheringState == "new"
    assert told == ["transport new new", "connection new new"]
    pc.addTransceiver("audio")
    candidates = listening(pc)
    await pc.setLocalDescription()
    await until_complete(pc)
    # Data has the second section now, and had the first one.
    assert ports(pc, 1) == before
    (again,) = [c for c in candidates if c is not None and c.port in before]
    mid = SessionDescription.parse(pc.localDescription.sdp).media[1].rtp.muxId
    assert (again.sdpMid, again.sdpMLineIndex) == (mid, 1)
    assert candidates[-1] is None


async def test_a_first_offer_that_gives_way_leaves_its_candidates_to_the_answer(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    far.createDataChannel("x")
    await far.setLocalDescription()
    told = gathering_events(near)
    await near.setLocalDescription()
    await until_complete(near)
    before = ports(near)
    del told[:]
    await near.setRemoteDescription(far.localDescription)
    assert told == ["transport new new", "connection new new"]
    del told[:]
    await near.setLocalDescription()
    await until_complete(near)
    assert told == GATHERED
    assert ports(near) == before
    await far.setRemoteDescription(near.localDescription)
    await wait_connected(near, far)


async def test_servers_given_after_the_rollback_of_a_first_offer_are_asked(
    make_pc: Factory,
) -> None:
    async with stun_server() as server:
        pc = make_pc()
        pc.createDataChannel("x")
        await pc.setLocalDescription()
        await pc.setLocalDescription(RTCSessionDescription("", "rollback"))
        configuration = pc.getConfiguration()
        configuration.iceServers = [server.configuration]
        pc.setConfiguration(configuration)
        told = listening(pc)
        await pc.setLocalDescription()
        await until_complete(pc)
        assert "srflx" in {c.type for c in told if c is not None}
