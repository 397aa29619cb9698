"""Where a remote candidate is put, and when it is refused. (W20, W21)."""

import asyncio

import pytest
from aiortc import InvalidStateError
from aiortc.exceptions import OperationError

from conftest import Factory
from connecting import negotiate, transports, wait_connected, without_candidates
from restartice import RTCIceCandidate, RTCPeerConnection, RTCSessionDescription

LINE = "candidate:1 1 udp 1 127.0.0.1 {port} typ host"


def candidate(port: int, ufrag: str | None = None, **place: object) -> RTCIceCandidate:
    init = {"candidate": LINE.format(port=port), "usernameFragment": ufrag, **place}
    made = RTCIceCandidate.fromJSON(init)
    assert made is not None
    return made


async def described(make_pc: Factory) -> tuple[RTCPeerConnection, str]:
    """Return a connection with a remote offer, whose username fragment is returned too."""
    near, far = make_pc(), make_pc()
    far.createDataChannel("x")
    far.addTransceiver("audio")
    await near.setRemoteDescription(await far.createOffer())
    parameters = transports(far)[0].getLocalParameters()
    assert parameters.usernameFragment is not None
    return near, parameters.usernameFragment


def ports_told(pc: RTCPeerConnection) -> list[list[str]]:
    """Return the ports of the candidates in each section of the remote description."""
    sections = pc.remoteDescription.sdp.split("\r\nm=")[1:]
    return [
        [x.split()[5] for x in section.splitlines() if x.startswith("a=candidate")]
        for section in sections
    ]


async def test_it_shows_up_in_its_section(make_pc: Factory) -> None:
    pc, ufrag = await described(make_pc)
    await pc.addIceCandidate(candidate(1001, ufrag, sdpMid="1"))
    await pc.addIceCandidate(candidate(1002, sdpMLineIndex=0))
    # The mid is the better one of two.
    await pc.addIceCandidate(candidate(1003, ufrag, sdpMid="0", sdpMLineIndex=1))
    assert ports_told(pc) == [["1002", "1003"], ["1001"]]


async def test_an_empty_mid_is_none_where_there_is_an_index(make_pc: Factory) -> None:
    """As Pion sends it in each candidate."""
    pc, _ = await described(make_pc)
    await pc.addIceCandidate(candidate(1001, sdpMid="", sdpMLineIndex=1))
    assert ports_told(pc) == [[], ["1001"]]


@pytest.mark.parametrize(
    "place",
    [
        {"sdpMid": "9"},
        {"sdpMid": ""},
        {"sdpMLineIndex": 9},
        {"sdpMid": "9", "sdpMLineIndex": 0},
        {"sdpMid": "", "sdpMLineIndex": 9},
    ],
)
async def test_unknown_sections_are_refused(make_pc: Factory, place: dict[str, object]) -> None:
    pc, ufrag = await described(make_pc)
    with pytest.raises(OperationError, match="media section"):
        await pc.addIceCandidate(candidate(1001, ufrag, **place))
    assert ports_told(pc) == [[], []]


async def test_an_unknown_generation_is_refused(make_pc: Factory) -> None:
    pc, _ = await described(make_pc)
    with pytest.raises(OperationError, match="other"):
        await pc.addIceCandidate(candidate(1001, "other", sdpMid="0"))
    assert ports_told(pc) == [[], []]


async def test_without_a_description_a_generation_cant_be_known(make_pc: Factory) -> None:
    with pytest.raises(InvalidStateError):
        await make_pc().addIceCandidate(candidate(1001, "some", sdpMid="0"))
    with pytest.raises(InvalidStateError):
        await make_pc().addIceCandidate(None)


async def test_the_end_is_for_one_section_or_for_all(make_pc: Factory) -> None:
    pc, ufrag = await described(make_pc)
    end = {"candidate": "", "usernameFragment": ufrag}
    await pc.addIceCandidate({**end, "sdpMid": "1"})
    sections = pc.remoteDescription.sdp.split("\r\nm=")[1:]
    assert ["a=end-of-candidates" in section for section in sections] == [False, True]
    await pc.addIceCandidate(end)
    sections = pc.remoteDescription.sdp.split("\r\nm=")[1:]
    assert ["a=end-of-candidates" in section for section in sections] == [True, True]


async def test_while_a_restart_is_offered_both_generations_are_known(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    far.createDataChannel("x")
    await negotiate(far, near)
    old = transports(far)[0].getLocalParameters().usernameFragment
    far.restartIce()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    new = transports(far)[0].getLocalParameters().usernameFragment
    assert old != new
    await near.addIceCandidate(candidate(1001, old, sdpMid="0"))
    await near.addIceCandidate(candidate(1002, new, sdpMid="0"))
    # The offer has only the one of its own generation.
    (told,) = ports_told(near)
    assert "1002" in told
    assert "1001" not in told


def states_told(pc: RTCPeerConnection) -> list[str]:
    told: list[str] = []
    pc.on("iceconnectionstatechange", lambda: told.append(pc.iceConnectionState))
    return told


async def turn() -> None:
    """Let what is due happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_checking_follows_the_operation(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    told = states_told(near), states_told(far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    assert (far.iceConnectionState, told[1]) == ("new", [])
    await near.setRemoteDescription(far.localDescription)
    assert (near.iceConnectionState, told[0]) == ("new", [])
    await wait_connected(near, far)
    assert told == (["checking", "completed"], ["checking", "completed"])


@pytest.mark.parametrize("has_name", [False, True])
async def test_checking_begins_with_the_first_candidate(make_pc: Factory, has_name: bool) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    told = states_told(near)
    await near.setLocalDescription()
    # Checks of the other side would come from a candidate, too, so it knows none of ours.
    offer = without_candidates(near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await far.setLocalDescription()
    answer = far.localDescription
    (transport,) = transports(near)
    await near.setRemoteDescription(RTCSessionDescription(without_candidates(answer.sdp), "answer"))
    await turn()
    assert (near.iceConnectionState, near.connectionState, told) == ("new", "new", [])
    assert transport.state == "new"
    # One of TCP is never checked.
    tcp = "candidate:1 1 tcp 1 127.0.0.1 1001 typ host tcptype passive"
    await near.addIceCandidate({"candidate": tcp, "sdpMid": "0"})
    await turn()
    assert (near.iceConnectionState, told) == ("new", [])
    line = LINE.format(port=1002)
    if has_name:
        line = line.replace("127.0.0.1", "7e0f0b56-4a01-4c0f-8f0e-2f1d3c2b1a00.local")
    await near.addIceCandidate({"candidate": line, "sdpMid": "0"})
    assert (transport.state, near.iceConnectionState, told) == (
        "checking",
        "checking",
        ["checking"],
    )
    assert near.connectionState == "connecting"


async def test_checking_begins_with_a_check_of_the_other_side(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    told = states_told(near)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    answer = without_candidates(far.localDescription.sdp)
    await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await wait_connected(near, far)
    assert told[0] == "checking"
