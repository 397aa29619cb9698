"""Creating and setting descriptions, and what goes wrong. (W6, W7, W8, W14, W20)."""

import asyncio
from collections.abc import Iterator

import pytest
from aiortc.exceptions import OperationError

from conftest import Factory
from connecting import negotiate, wait_connected
from restartice import (
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
    SdpSyntaxError,
    VideoStreamTrack,
)
from restartice.exceptions import InvalidContentError


def ufrags(description: RTCSessionDescription) -> set[str]:
    return {line for line in description.sdp.splitlines() if line.startswith("a=ice-ufrag:")}


def media(description: RTCSessionDescription) -> list[str]:
    return [line.split()[0] for line in description.sdp.splitlines() if line.startswith("m=")]


# Creating. (W6, W7)


async def test_credentials_of_offers(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await negotiate(near, far)
    current = ufrags(near.localDescription)
    assert ufrags(await near.createOffer()) == current
    assert not ufrags(await near.createOffer(iceRestart=True)) & current
    near.restartIce()
    assert not ufrags(await near.createOffer(iceRestart=False)) & current


async def test_an_offer_describes_what_was_added_while_it_waited(make_pc: Factory) -> None:
    pc = make_pc()
    pc.addTransceiver("audio")
    first = asyncio.ensure_future(pc.createOffer())
    second = asyncio.ensure_future(pc.createOffer())
    await asyncio.sleep(0)
    pc.addTransceiver("video")
    assert media(await second) == ["m=audio", "m=video"]
    await first


async def test_where_descriptions_can_be_created(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    with pytest.raises(InvalidStateError):
        await near.createAnswer()
    await far.setRemoteDescription(await near.createOffer())
    with pytest.raises(InvalidStateError):
        await far.createOffer()
    await far.createAnswer()


# Setting local descriptions. (W8)


async def test_only_what_was_created_last_can_be_set(make_pc: Factory) -> None:
    pc, other = make_pc(), make_pc()
    pc.addTransceiver("audio")
    first = await pc.createOffer()
    pc.addTransceiver("video")
    second = await pc.createOffer()
    with pytest.raises(
        InvalidModificationError, match="the 2 media sections of the last created offer, got 1"
    ):
        await pc.setLocalDescription(first)
    with pytest.raises(InvalidModificationError, match="No offer"):
        await other.setLocalDescription(second)
    assert pc.signalingState == "stable"
    await pc.setLocalDescription(second)


async def test_what_aiortc_programs_edit_can_be_set(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    offer = await near.createOffer()
    edited = offer.sdp.replace("a=sendrecv", "b=AS:64\r\na=sendrecv")
    edited += "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
    await near.setLocalDescription(RTCSessionDescription(edited, "offer"))
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)


async def test_an_empty_description_means_the_last_one(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await negotiate(near, far)
    near.restartIce()
    offer = await near.createOffer()
    await near.setLocalDescription(RTCSessionDescription("", "offer"))
    assert ufrags(near.localDescription) == ufrags(offer)
    # It doesn't represent the connection any more.
    near.addTransceiver("audio")
    await near.setLocalDescription()
    assert media(near.localDescription) == ["m=application", "m=audio"]
    # It is to be replaced, too.
    near.restartIce()
    before = ufrags(near.localDescription)
    await near.setLocalDescription()
    assert not ufrags(near.localDescription) & before


# Errors leave no trace. (W14)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("v=0", "v=one", SdpSyntaxError),
        ("a=setup:actpass", "a=setup:maybe", SdpSyntaxError),
        ("a=mid:1", "a=mid:0", InvalidAccessError),
        ("a=rtcp-mux\r\n", "", InvalidAccessError),
        ("a=ice-pwd", "a=x-pwd", InvalidAccessError),
        ("a=group:BUNDLE 0", "a=group:BUNDLE 7 0", InvalidAccessError),
    ],
)
async def test_a_failure_leaves_everything_as_it_was(
    make_pc: Factory, old: str, new: str, error: type[Exception]
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    # A list of what is there, of an offer of ours that would be rolled back, too.
    far.createDataChannel("chat")
    await far.setLocalDescription()
    before = state(far)
    offer = (await near.createOffer()).sdp
    assert old in offer
    with pytest.raises(error) as raised:
        await far.setRemoteDescription(RTCSessionDescription(offer.replace(old, new), "offer"))
    if error is SdpSyntaxError:
        assert isinstance(raised.value, SdpSyntaxError)
        assert isinstance(raised.value, ValueError)
        line = offer.replace(old, new).splitlines()[raised.value.sdpLineNumber - 1]
        assert line == new
    assert state(far) == before
    await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    assert [t.mid for t in far.getTransceivers()] == ["0", "1"]


@pytest.mark.parametrize(
    ("kind", "old", "new", "line"),
    [
        ("offer", "a=mid:1", "a=mid:0", "m=video"),
        ("offer", "a=group:BUNDLE 0", "a=group:BUNDLE 7 0", "a=group"),
        ("offer", "m=video", "m=audio", "m=audio"),
        ("offer", "a=mid:1", "a=mid:one", "m=video"),
        ("answer", "m=video", "m=audio", "m=audio"),
        ("answer", "a=mid:1", "a=mid:one", "m=video"),
        ("offer", "", "other certificate", "m=audio"),
        ("answer", "", "other certificate", "m=audio"),
        ("offer", "", "without video", "m=audio"),
        ("answer", "", "without video", "m=audio"),
        ("answer", "", "without sections", "v=0"),
    ],
)
async def test_errors_of_content_tell_the_line(
    make_pc: Factory, kind: str, old: str, new: str, line: str
) -> None:
    near, far, other = make_pc(), make_pc(), make_pc()
    for pc in (near, far, other):
        pc.addTransceiver("audio")
        pc.addTransceiver("video")
    await negotiate(near, far)
    if kind == "offer":
        setter, sdp = far, (await near.createOffer()).sdp
    else:
        await near.setLocalDescription()
        await far.setRemoteDescription(near.localDescription)
        setter, sdp = near, (await far.createAnswer()).sdp
    if new == "other certificate":
        theirs = next(fingerprints(await other.createOffer()))
        for ours in fingerprints(RTCSessionDescription(sdp, kind)):
            sdp = sdp.replace(ours, theirs)
    elif new == "without video":
        sdp = sdp[: sdp.index("m=video")]
    elif new == "without sections":
        sdp = sdp[: sdp.index("m=")]
    else:
        # Of video, which is last, but for the group.
        before, after = sdp.rsplit(old, 1)
        sdp = before + new + after
    with pytest.raises(InvalidContentError) as raised:
        await setter.setRemoteDescription(RTCSessionDescription(sdp, kind))
    number = raised.value.sdpLineNumber
    assert number is not None
    assert sdp.splitlines()[number - 1].startswith(line)


def fingerprints(description: RTCSessionDescription) -> Iterator[str]:
    for line in description.sdp.splitlines():
        if line.startswith("a=fingerprint:sha-256 "):
            yield line.split()[1]


def state(pc: RTCPeerConnection) -> list[object]:
    return [
        pc.signalingState,
        pc.localDescription,
        pc.remoteDescription,
        [(t, t.mid, t.direction, t.currentDirection) for t in pc.getTransceivers()],
        pc.sctp and (pc.sctp.mid, pc.sctp.transport),
    ]


# Candidates. (W20)


async def test_errors_of_candidates(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    values = (1, "1", "127.0.0.1", 9, 1, "udp", "host")
    nowhere = RTCIceCandidate(*values)
    with pytest.raises(ValueError, match="sdpMid"):
        await far.addIceCandidate(nowhere)
    early = RTCIceCandidate(*values, sdpMid="0", usernameFragment="abcd")
    with pytest.raises(InvalidStateError):
        await far.addIceCandidate(early)
    await far.setRemoteDescription(await near.createOffer())
    with pytest.raises(ValueError, match="sdpMid"):
        await far.addIceCandidate(nowhere)
    for wrong in ({"sdpMid": "7"}, {"sdpMLineIndex": 1}, {"sdpMid": "0", "usernameFragment": "x"}):
        with pytest.raises(OperationError):
            await far.addIceCandidate(RTCIceCandidate(*values, **wrong))
    await far.addIceCandidate(RTCIceCandidate(*values, sdpMid="0"))
    assert "127.0.0.1 9 typ host" in far.remoteDescription.sdp


async def test_what_is_not_sent_has_no_sources(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(VideoStreamTrack())
    offer = await near.createOffer()
    assert "a=ssrc:" in offer.sdp
    assert "a=ssrc-group:FID" in offer.sdp
    await negotiate(near, far)
    near.removeTrack(sender)
    offer = await near.createOffer()
    assert "a=msid:" not in offer.sdp
    assert "a=ssrc" not in offer.sdp
