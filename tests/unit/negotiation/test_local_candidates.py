"""When our candidates are made known, and where. (W13, W23)."""

import asyncio

from aiortc.sdp import SessionDescription

from conftest import Factory
from connecting import DEADLINE, negotiate, ufrags
from restartice import RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from servers import stun_server

TURNS = 20


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


async def test_one_of_a_bundle_group_is_told_once_and_stands_in_all_sections(
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
    assert ports(near, 0) == ports(near, 1) == [candidate.port]


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
