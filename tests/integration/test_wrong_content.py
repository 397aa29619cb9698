"""Remote descriptions that say something that can't be."""

import logging
import re
from typing import Any

import pytest
from aiortc import InvalidAccessError, RTCSessionDescription

from conftest import Factory
from connecting import negotiate, wait_connected, wait_until
from restartice import (
    AudioStreamTrack,
    CandidateSyntaxError,
    RTCIceCandidate,
    RTCPeerConnection,
    SdpSyntaxError,
)

OTHER = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)


def with_other_fingerprint(description: RTCSessionDescription) -> RTCSessionDescription:
    sdp = re.sub(r"a=fingerprint:sha-256 \S+", OTHER, description.sdp)
    assert sdp != description.sdp
    return RTCSessionDescription(sdp, description.type)


async def assert_refused(pc: RTCPeerConnection, description: RTCSessionDescription) -> None:
    state, before = pc.signalingState, pc.remoteDescription
    with pytest.raises(InvalidAccessError):
        await pc.setRemoteDescription(description)
    assert (pc.signalingState, pc.remoteDescription) == (state, before)


async def test_another_certificate_needs_a_restart(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, far)
    await assert_refused(near, with_other_fingerprint(await far.createOffer()))
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    answer = await far.createAnswer()
    await assert_refused(near, with_other_fingerprint(answer))
    await near.setRemoteDescription(answer)


async def test_a_warning_tells_that_another_peer_takes_over(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, first, second = make_pc(), make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, first)
    near.restartIce()
    assert "takes over" not in caplog.text
    with caplog.at_level(logging.WARNING, "restartice"):
        await negotiate(near, second)
    assert near.signalingState == second.signalingState == "stable"
    assert "the remote certificate changed" in caplog.text


@pytest.mark.parametrize("name", ["ufrag", "pwd"])
async def test_credentials_consist_of_the_characters_of_ice(make_pc: Factory, name: str) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    offer = await near.createOffer()
    sdp = re.sub(rf"a=ice-{name}:.", f"a=ice-{name}:$", offer.sdp)
    await assert_refused(far, RTCSessionDescription(sdp, offer.type))
    await far.setRemoteDescription(offer)


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"a=fingerprint:.*\r\n", "", "DTLS fingerprint is missing"),
        (r"a=sctp-port:5000", "a=sctp-port:65536", "SCTP port is missing or out of range"),
        (r"\r\n", "\r", "lines must end with CR and LF"),
        (r"a=sctp-port:5000", "a=sctp-port:x", "syntax error in line"),
        (r"$", "a=x:" + "y" * (1 << 20), "more than 1048576 characters"),
    ],
)
async def test_what_could_never_connect(
    make_pc: Factory, pattern: str, replacement: str, message: str
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    wrong = re.sub(pattern, replacement, near.localDescription.sdp)
    assert wrong != near.localDescription.sdp
    with pytest.raises(ValueError, match=message):
        await far.setRemoteDescription(RTCSessionDescription(wrong, "offer"))
    assert far.remoteDescription is None
    await negotiate(near, far)
    await wait_connected(near, far)


@pytest.mark.parametrize("start", ["c=", "a=rtcp:9 "])
@pytest.mark.parametrize("host", ["host.example", "127.0..1"])
async def test_names_and_nonsense_for_the_default_address(
    make_pc: Factory, start: str, host: str
) -> None:
    """Nothing uses it, and the description can be shown."""
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    await near.setLocalDescription()
    text = re.sub(f"{start}.*", f"{start}IN IP4 {host}", near.localDescription.sdp)
    assert host in text
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    assert f"{start}IN IP4 0.0.0.0\r\n" in far.remoteDescription.sdp
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_mid_is_left_out(make_pc: Factory, place: int) -> None:
    near, far = make_pc(), make_pc()
    for kind in ("audio", "video", "audio"):
        near.addTransceiver(kind)
    await near.setLocalDescription()
    text = near.localDescription.sdp.replace(f"a=mid:{place}\r\n", "")
    text = text.replace("BUNDLE 0 1 2", "BUNDLE")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    mids = re.findall(r"a=mid:(\S+)", far.remoteDescription.sdp)
    assert len(set(mids)) == 3
    await far.setLocalDescription()
    assert re.findall(r"a=mid:(\S+)", far.localDescription.sdp) == mids


@pytest.mark.parametrize("kind", ["remote", "local"])
async def test_halves_of_characters_are_refused(make_pc: Factory, kind: str) -> None:
    """JSON can contain them, but no description that shall be sent. (RFC 8866 section 5)."""
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    offer = await near.createOffer()
    broken = RTCSessionDescription(offer.sdp.replace("s=-", "s=\ud83d"), "offer")
    with pytest.raises(SdpSyntaxError, match="in line 3"):
        await (
            far.setRemoteDescription(broken)
            if kind == "remote"
            else near.setLocalDescription(broken)
        )
    assert near.signalingState == far.signalingState == "stable"
    await negotiate(near, far)


async def test_the_old_form_of_sctp_with_something_else_than_a_port(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    offer = (await near.createOffer()).sdp
    for port, is_refused in (("data", True), ("65536", True), ("5000", False)):
        text = re.sub(
            "UDP/DTLS/SCTP .*\r\n", f"DTLS/SCTP {port}\r\na=sctpmap:{port} x 9\r\n", offer
        )
        text = text.replace("sctpmap:data", "sctpmap:1").replace("a=sctp-port:5000\r\n", "")
        if is_refused:
            with pytest.raises(InvalidAccessError, match="SCTP port"):
                await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
        else:
            await far.setRemoteDescription(RTCSessionDescription(text, "offer"))


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("a=rtcp-mux\r\n", "", "RTCP mux"),
        ("a=setup:.*\r\n", "", "DTLS setup"),
        ("a=setup:active", "a=setup:actpass", "DTLS setup"),
        ("a=mid:0", "a=mid:other", "do not match"),
    ],
)
async def test_local_descriptions_that_are_edited_too_much(
    make_pc: Factory, pattern: str, replacement: str, message: str
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    answer = await far.createAnswer()
    edited = re.sub(pattern, replacement, answer.sdp)
    assert edited != answer.sdp
    with pytest.raises(InvalidAccessError, match=message):
        await far.setLocalDescription(RTCSessionDescription(edited, "answer"))
    assert far.signalingState == "have-remote-offer"
    await far.setLocalDescription(answer)


async def test_an_offer_that_fails_rolls_nothing_back(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTransceiver("video")
    await near.setLocalDescription()
    text = near.localDescription.sdp.replace("a=rtcp-mux\r\n", "")
    await far.setLocalDescription()
    before = far.localDescription
    with pytest.raises(InvalidAccessError, match="RTCP mux is not enabled"):
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    assert far.signalingState == "have-local-offer"
    assert far.localDescription == before


@pytest.mark.parametrize("session_level", [None, "sendrecv"])
async def test_the_direction_may_be_left_out(make_pc: Factory, session_level: str | None) -> None:
    """It is that of the session level, or else sendrecv. (RFC 8866 section 6.7)."""
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())

    def edited(description: RTCSessionDescription) -> RTCSessionDescription:
        text = description.sdp.replace("a=sendrecv\r\n", "")
        assert text != description.sdp
        if session_level:
            text = text.replace("t=0 0\r\n", f"t=0 0\r\na={session_level}\r\n")
        return RTCSessionDescription(text, description.type)

    await near.setLocalDescription()
    await far.setRemoteDescription(edited(near.localDescription))
    await far.setLocalDescription()
    await near.setRemoteDescription(edited(far.localDescription))
    await wait_connected(near, far)
    for pc in (near, far):
        (transceiver,) = pc.getTransceivers()
        assert transceiver.currentDirection == "sendrecv"


async def test_a_direction_of_the_session_level(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video", "recvonly")
    offer = await near.createOffer()
    text = offer.sdp.replace("a=sendrecv\r\n", "").replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    answer = await far.createAnswer()
    assert re.findall("a=(inactive|send.*|recv.*)", answer.sdp) == ["inactive", "inactive"]
    assert "a=recvonly" in far.remoteDescription.sdp


async def test_a_section_of_an_unknown_kind_is_rejected(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.createDataChannel("data")
    offer = await near.createOffer()
    audio = "m=audio" + offer.sdp.split("\r\nm=audio")[1].split("\r\nm=")[0] + "\r\n"
    text = offer.sdp + audio.replace("m=audio", "m=text").replace("a=mid:0", "a=mid:text")
    text = text.replace("BUNDLE 0 1", "BUNDLE 0 1 text")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    answer = far.localDescription.sdp
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert re.findall(r"m=(\w+) 0 ", answer) == ["text"]
    assert [t.kind for t in far.getTransceivers()] == ["audio"]
    await far.createOffer()


async def test_candidates_for_rtcp_are_passed_over(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    offer = near.localDescription.sdp
    also = re.sub(r"(a=candidate:\S+) 1 (.*)", r"\1 2 \2\n\1 1 \2", offer)
    assert also != offer
    await far.setRemoteDescription(RTCSessionDescription(also, "offer"))
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)


@pytest.mark.parametrize("what", [None, {"type": "offer", "sdp": "v=0"}, b"v=0"])
async def test_what_is_no_description(make_pc: Factory, what: Any) -> None:
    pc = make_pc()
    with pytest.raises(TypeError, match="expected an RTCSessionDescription"):
        await pc.setRemoteDescription(what)
    if what is not None:
        with pytest.raises(TypeError, match="expected an RTCSessionDescription"):
            await pc.setLocalDescription(what)
    with pytest.raises(TypeError, match="expected an RTCSessionDescription"):
        await pc.setRemoteDescription(RTCSessionDescription(what, "offer"))


@pytest.mark.parametrize("what", ["", "candidate:1", 3, [1]])
async def test_what_is_no_candidate(make_pc: Factory, what: Any) -> None:
    with pytest.raises(TypeError, match="expected an RTCIceCandidate, a mapping or None, got"):
        await make_pc().addIceCandidate(what)


async def test_a_candidate_with_an_impossible_port(make_pc: Factory) -> None:
    """It would make asyncio close the socket that shall send there."""
    pc = make_pc()
    candidate = RTCIceCandidate(1, "1", "127.0.0.1", 65536, 1, "udp", "host", sdpMid="0")
    with pytest.raises(
        CandidateSyntaxError, match="port of a candidate must be from 0 to 65535, not 65536"
    ):
        await pc.addIceCandidate(candidate)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"ip": None}, ValueError),
        ({"ip": 2130706433}, ValueError),
        ({"port": "nine"}, ValueError),
        ({"component": True}, ValueError),
        ({"relatedPort": " 9"}, ValueError),
        ({"sdpMid": 0}, ValueError),
        ({"usernameFragment": []}, ValueError),
        ({"foundation": "1\r\na=setup:active"}, CandidateSyntaxError),
        ({"protocol": ""}, CandidateSyntaxError),
        ({"tcpType": "\ud83d"}, CandidateSyntaxError),
        ({"priority": -1}, CandidateSyntaxError),
        ({"relatedPort": 65536}, CandidateSyntaxError),
    ],
)
async def test_a_candidate_with_impossible_values(
    make_pc: Factory, values: dict[str, Any], error: type[Exception]
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    before = far.remoteDescription
    candidate = RTCIceCandidate(1, "1", "127.0.0.1", 9, 1, "udp", "host", sdpMid="0")
    for name, value in values.items():
        setattr(candidate, name, value)
    with pytest.raises(error) as raised:
        await far.addIceCandidate(candidate)
    assert type(raised.value) is error
    assert far.remoteDescription == before


async def test_what_is_no_configuration(make_pc: Factory) -> None:
    wrong: Any = {"iceServers": []}
    with pytest.raises(TypeError, match="must be an RTCConfiguration, not dict"):
        RTCPeerConnection(wrong)
    with pytest.raises(TypeError, match="must be an RTCConfiguration, not dict"):
        make_pc().setConfiguration(wrong)
    wrong = {"check_timeout": 1.0}
    with pytest.raises(TypeError, match="expected IceSettings, got"):
        RTCPeerConnection(iceSettings=wrong)


async def test_a_data_channel_that_cannot_be_made(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    with pytest.raises(ValueError, match="must be in range"):
        near.createDataChannel("no id", negotiated=True)
    assert near.sctp is None
    await negotiate(near, far)
    assert "m=application" not in near.localDescription.sdp
    await wait_connected(near, far)
    first, second = (pc.createDataChannel("data", negotiated=True, id=1) for pc in (near, far))
    with pytest.raises(ValueError, match="already registered"):
        near.createDataChannel("the same id", negotiated=True, id=1)
    await negotiate(near, far)
    for channel in (first, second):
        await wait_until(channel, "open", lambda: channel.readyState == "open")  # noqa: B023
