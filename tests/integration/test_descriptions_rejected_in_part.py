"""Descriptions of which a part can't be done: that is rejected, and the rest connects. (I8)."""

import asyncio
import re

import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    negotiate,
    wait_connected,
    wait_sending_on_new_pair,
    wait_until,
    without_candidates,
)
from restartice import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)

FINGERPRINT = ":".join(["5C"] * 32)
TRANSPORT = [
    "c=IN IP4 0.0.0.0",
    "a=ice-ufrag:k3Xq",
    "a=ice-pwd:Zr8wPq2LmNs5TbVd7YhJcK",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass",
    "a=rtcp-mux",
]


def rtp(kind: str, *lines: str, formats: str = "104") -> list[str]:
    return [f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}", *TRANSPORT, *lines]


# Each is a section that we can't do.
FOREIGN = {
    "VP9": rtp("video", "a=rtpmap:104 VP9/90000"),
    "AV1": rtp("video", "a=rtpmap:104 AV1/90000", "a=fmtp:104 level-idx=5;profile=0;tier=0"),
    "H265 and its RTX": rtp(
        "video",
        "a=rtpmap:104 H265/90000",
        "a=rtpmap:105 rtx/90000",
        "a=fmtp:105 apt=104",
        formats="104 105",
    ),
    "H264 High": rtp(
        "video",
        "a=rtpmap:104 H264/90000",
        "a=fmtp:104 packetization-mode=1;profile-level-id=640c1f",
    ),
    "H264 with interleaved packets": rtp(
        "video", "a=rtpmap:104 H264/90000", "a=fmtp:104 packetization-mode=2"
    ),
    "H264 of nonsense": rtp(
        "video", "a=rtpmap:104 H264/90000", "a=fmtp:104 packetization-mode=x;profile-level-id=z"
    ),
    "RTX and FEC only": rtp(
        "video", "a=rtpmap:104 rtx/90000", "a=rtpmap:105 ulpfec/90000", formats="104 105"
    ),
    "telephone events only": rtp("audio", "a=rtpmap:104 telephone-event/8000"),
    "speex": rtp("audio", "a=rtpmap:104 speex/16000"),
    "AAC": rtp("audio", "a=rtpmap:104 mpeg4-generic/44100/2", "a=fmtp:104 mode=AAC-hbr"),
    "no codec at all": rtp("video"),
    "payload types of RTCP": rtp("video", "a=rtpmap:72 VP8/90000", formats="72"),
    "BFCP": ["m=application 9 UDP/BFCP *", "c=IN IP4 0.0.0.0", "a=floorctrl:c-s"],
    "BFCP over DTLS": ["m=application 9 TCP/TLS/BFCP *", *TRANSPORT, "a=confid:1"],
    "fax": ["m=image 5004 udptl t38", "c=IN IP4 192.0.2.1", "a=T38FaxVersion:0"],
    "messages": ["m=message 2855 TCP/TLS/MSRP *", "a=path:msrps://192.0.2.1:2855/x;tcp"],
    "text": ["m=text 9 RTP/AVP 98", "a=rtpmap:98 t140/1000"],
    "subtitles by RTP of ours": rtp("text", "a=rtpmap:104 t140/1000"),
    "video of another protocol": ["m=video 9 TCP/MSRP *"],
    "more data channels": [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        *TRANSPORT,
        "a=sctp-port:5000",
    ],
    "bare": ["m=video 0 RTP/AVPF 103"],
    "bare audio": ["m=audio 0 RTP/AVP 0"],
    "bare fax": ["m=image 0 udptl t38"],
    "rejected with lines that can't be read": [
        "m=video 0 UDP/TLS/RTP/SAVPF x",
        "a=rtpmap:x",
        "a=setup:perhaps",
        "a=fingerprint:no",
    ],
    "a kind of capitals": rtp("VIDEO", "a=rtpmap:104 VP8/90000"),
}


def sections(text: str) -> list[str]:
    """Return the session level and the sections."""
    return re.split(r"(?m)^(?=m=)", text)


def ports(description: RTCSessionDescription) -> list[tuple[str, bool]]:
    """Return the kind of each section, and whether it is accepted."""
    found = re.findall(r"(?m)^m=(\S+) (\d+)", description.sdp)
    return [(kind, port != "0") for kind, port in found]


def insert(text: str, foreign: list[str], place: int, mid: str | None) -> str:
    """Return a description with one more section; in the BUNDLE group if it has a mid."""
    parts = sections(text)
    lines = [*foreign, *([] if mid is None else [f"a=mid:{mid}"])]
    parts.insert(place + 1, "".join(f"{line}\r\n" for line in lines))
    if mid is not None and foreign[0].split()[1] != "0":
        before, *others = re.findall(r"a=group:BUNDLE (.*)\r", text)[0].split()
        group = [mid, before, *others] if place == 0 else [before, mid, *others]
        parts[0] = re.sub("a=group:BUNDLE.*\r", f"a=group:BUNDLE {' '.join(group)}\r", parts[0])
    return "".join(parts)


def remove(text: str, place: int) -> str:
    """Return a description without the section at a place, which must be rejected."""
    head, *parts = sections(text)
    assert parts.pop(place).split()[1] == "0"
    return "".join([head, *parts])


async def assert_connected(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    await wait_connected(near, far)
    channel = near.createDataChannel("more")
    await wait_until(channel, "open", lambda: channel.readyState == "open")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", FOREIGN)
async def test_a_section_of_an_offer(make_pc: Factory, name: str, place: int) -> None:
    near, far = make_pc(), make_pc()
    far.addTrack(VideoStreamTrack())
    near.addTrack(AudioStreamTrack())
    near.createDataChannel("data")
    await near.setLocalDescription()
    mid = None if "bare" in name else "foreign"
    # Where only the first data section counts, it must be the real one.
    place = 2 if name == "more data channels" else place
    text = insert(near.localDescription.sdp, FOREIGN[name], place, mid)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    accepted = [("audio", True), ("application", True)]
    accepted.insert(place, (FOREIGN[name][0].split()[0][2:], False))
    assert ports(far.localDescription) == accepted
    protocols = re.findall(r"(?m)^m=\S+ \d+ (\S+)", far.localDescription.sdp)
    assert protocols == re.findall(r"(?m)^m=\S+ \d+ (\S+)", text)
    answer = remove(far.localDescription.sdp, place)
    assert "foreign" not in answer
    await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await assert_connected(near, far)


@pytest.mark.parametrize("name", ["VP9", "BFCP", "bare", "H264 High", "messages"])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("first_rolled_back", [False, True])
async def test_a_section_of_a_later_offer(
    make_pc: Factory, name: str, *, restart: bool, first_rolled_back: bool
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, far)
    await wait_connected(near, far)
    await near.setLocalDescription(await near.createOffer(iceRestart=restart))
    text = insert(near.localDescription.sdp, FOREIGN[name], 1, "foreign")
    if first_rolled_back:
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
        assert far.signalingState == "stable"
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    answer = remove(far.localDescription.sdp, 1)
    await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await assert_connected(near, far)
    # The next offer keeps its place, rejected, or uses it again.
    offer = await far.createOffer()
    assert len(ports(offer)) == 2
    far.addTrack(VideoStreamTrack())
    offer = await far.createOffer()
    assert ports(offer) == [("application", True), ("video", True)]
    assert len(set(re.findall(r"a=mid:(\S+)", offer.sdp))) == 2


@pytest.mark.parametrize(
    ("group", "accepted"),
    [
        ("", [True, False, False]),
        ("a=group:BUNDLE 0 2", [True, False, True]),
        ("a=group:BUNDLE 1 2", [True, False, False]),
        ("a=group:BUNDLE 1 2\r\na=group:BUNDLE 0", [True, False, False]),
        ("a=group:BUNDLE 0 1 2", [True, True, True]),
    ],
)
async def test_max_bundle_takes_what_is_bundled_with_the_first_section(
    make_pc: Factory, group: str, accepted: list[bool]
) -> None:
    """(RFC 9429 section 5.3.1)."""
    near = make_pc(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT))
    far = make_pc(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("data")
    await near.setLocalDescription()
    text = re.sub(
        "a=group:BUNDLE.*\r\n", f"{group}\r\n" if group else "", near.localDescription.sdp
    )
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    assert [kept for _, kept in ports(far.localDescription)] == accepted
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    assert len({id(receiver.transport) for receiver in far.getReceivers()}) == 1


async def test_an_offer_that_takes_the_codecs_away(make_pc: Factory) -> None:
    """Which a page does that goes over to another codec; a rollback gives them back."""
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await negotiate(near, far)
    near.addTrack(VideoStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    (transceiver,) = far.getTransceivers()
    await near.setLocalDescription(await near.createOffer())
    text = re.sub(r"(a=rtpmap:\d+) (VP8|H264)/", r"\1 VP9/", near.localDescription.sdp)
    offer = RTCSessionDescription(text, "offer")
    await far.setRemoteDescription(offer)
    assert far.getTransceivers() == [transceiver]
    await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
    assert far.getTransceivers() == [transceiver]
    assert transceiver.currentDirection == "recvonly"
    await far.setRemoteDescription(offer)
    await far.setLocalDescription()
    rejected = ("video", False)
    assert rejected in ports(far.localDescription)
    assert far.getTransceivers() == []
    await near.setRemoteDescription(far.localDescription)
    assert near.getTransceivers() == []
    await assert_connected(near, far)
    near.restartIce()
    near.addTrack(VideoStreamTrack())
    await negotiate(near, far)
    assert rejected not in ports(far.localDescription)
    await assert_connected(near, far)


@pytest.mark.parametrize("later", [False, True])
async def test_an_answer_without_a_codec_in_common(make_pc: Factory, *, later: bool) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    if later:
        await negotiate(near, far)
        near.restartIce()
    near.addTrack(VideoStreamTrack())
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    text = re.sub(r"(a=rtpmap:\d+) (VP8|H264)/", r"\1 VP9/", far.localDescription.sdp)
    await near.setRemoteDescription(RTCSessionDescription(text, "answer"))
    assert near.getTransceivers() == []
    await assert_connected(near, far)
    # The other side doesn't know yet, so that the place isn't used for something else.
    near.addTrack(AudioStreamTrack())
    await near.setLocalDescription()
    found = ports(near.localDescription)
    assert ("video", False) in found
    assert len(found) == 3
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert [t.kind for t in far.getTransceivers()] == ["audio"]
    await assert_connected(near, far)


async def test_nothing_in_common(make_pc: Factory) -> None:
    """All is rejected, both sides are stable, and the next offer has more luck."""
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    await near.setLocalDescription()
    text = re.sub(r"(a=rtpmap:\d+) (VP8|H264)/", r"\1 VP9/", near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    assert ports(far.localDescription) == [("video", False)]
    await near.setRemoteDescription(far.localDescription)
    assert near.signalingState == far.signalingState == "stable"
    near.createDataChannel("data")
    await negotiate(near, far)
    await assert_connected(near, far)


@pytest.mark.parametrize("answerer", [False, True])
async def test_nothing_of_the_preferred_codecs(make_pc: Factory, *, answerer: bool) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    for pc in (near, far):
        pc.addTrack(VideoStreamTrack())
    codecs = RTCRtpSender.getCapabilities("video").codecs
    (transceiver,) = (far if answerer else near).getTransceivers()
    transceiver.setCodecPreferences([c for c in codecs if c.mimeType == "video/VP8"])
    await near.setLocalDescription()
    text = near.localDescription.sdp
    if answerer:
        text = text.replace(" VP8/", " VP9/")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    text = far.localDescription.sdp
    if answerer:
        assert ("video", False) in ports(far.localDescription)
        # What has found no section waits for one of our own offer.
        assert far.getTransceivers() == [transceiver]
        assert not transceiver.stopped
    else:
        text = text.replace(" VP8/", " VP9/")
    await near.setRemoteDescription(RTCSessionDescription(text, "answer"))
    await assert_connected(near, far)


async def test_candidates_of_a_rejected_section_are_those_of_its_group(make_pc: Factory) -> None:
    """The other side gathers for the first section of the group only, which is the rejected one."""
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("data")
    await near.setLocalDescription()
    head, video, data = sections(near.localDescription.sdp)
    candidates = re.findall(r"a=candidate.*\r\n|a=end-of.*\r\n", data)
    assert candidates
    for line in candidates:
        data = data.replace(line, "")
    video = re.sub(r"a=candidate.*\r\n|a=end-of.*\r\n", "", video).replace("VP8/", "VP9/")
    video = video.replace("H264/", "VP9/") + "".join(candidates)
    text = head + video + data
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    assert far.sctp is not None
    found = far.sctp.transport.transport.getRemoteCandidates()
    assert [str(candidate.port) for candidate in found] == re.findall(
        r"(\d+) typ", "".join(candidates)
    )
    await near.setRemoteDescription(far.localDescription)
    await assert_connected(near, far)


async def test_candidates_that_come_for_a_rejected_section(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("data")
    found: list[RTCIceCandidate | None] = []
    near.on("icecandidate", found.append)
    await near.setLocalDescription()
    text = re.sub(r"(a=rtpmap:\d+) (VP8|H264)/", r"\1 VP9/", near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(without_candidates(text), "offer"))
    await far.setLocalDescription()
    await wait_until(near, "icecandidate", lambda: None in found)
    (candidate,) = [c for c in found if c and c.sdpMid == "1" and c.candidate]
    candidate.sdpMid, candidate.sdpMLineIndex = "0", 0
    await far.addIceCandidate(candidate)
    await near.setRemoteDescription(RTCSessionDescription(far.localDescription.sdp, "answer"))
    await assert_connected(near, far)
    assert far.sctp is not None
    (known,) = far.sctp.transport.transport.getRemoteCandidates()
    assert (known.type, known.port) == ("host", candidate.port)


def with_vp9(description: RTCSessionDescription) -> RTCSessionDescription:
    """Return what a page says that has VP9 only in its first section."""
    head, first, *others = sections(description.sdp)
    first = re.sub(r"(m=video \d+ \S+).*\r", "\\1 45\r", first)
    first = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):.*\r\n", "", first) + "a=rtpmap:45 VP9/90000\r\n"
    return RTCSessionDescription("".join([head, first, *others]), description.type)


def without_vp9(description: RTCSessionDescription) -> RTCSessionDescription:
    """Return what a peer says that has VP8 where that page has VP9."""
    text = description.sdp.replace("SAVPF 45\r", "SAVPF 97\r").replace(":45 VP9/", ":97 VP8/")
    return RTCSessionDescription(text, description.type)


async def test_the_section_that_all_ride_on(make_pc: Factory) -> None:
    """Browsers lose the whole call if it is rejected in mid-call, so it stays, inactive."""
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    far.addTrack(VideoStreamTrack())
    await near.setLocalDescription()
    channel = near.createDataChannel("data")
    await negotiate(near, far)
    await wait_connected(near, far)
    (transceiver,) = far.getTransceivers()
    needed: list[str] = []
    far.on("negotiationneeded", lambda: needed.append("far"))
    for asker in (near, far, near):
        asker.restartIce()
        if asker is near:
            await near.setLocalDescription()
            await far.setRemoteDescription(with_vp9(near.localDescription))
            await far.setLocalDescription()
            await near.setRemoteDescription(without_vp9(far.localDescription))
        else:
            await far.setLocalDescription()
            await near.setRemoteDescription(without_vp9(far.localDescription))
            await near.setLocalDescription()
            await far.setRemoteDescription(with_vp9(near.localDescription))
        assert ports(far.localDescription) == [("video", True), ("application", True)]
        first = sections(far.localDescription.sdp)[1]
        assert "a=inactive" in first
        assert " VP9/" in first
        assert " VP8/" not in first
        await wait_sending_on_new_pair(near, far)
    assert far.getTransceivers() == [transceiver]
    assert (transceiver.direction, transceiver.currentDirection) == ("sendrecv", "inactive")
    # A direction that it can't have is no reason to negotiate, but for its own restart.
    await asyncio.sleep(0)
    assert len(needed) <= 1
    assert channel.readyState == "open"
    # What has a codec in common again goes on.
    await negotiate(near, far)
    assert transceiver.currentDirection == "sendrecv"
    for pc in (near, far):
        async with asyncio.timeout(DEADLINE):
            await pc.getReceivers()[0].track.recv()


async def test_the_section_that_all_ride_on_after_a_rollback(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    await near.setLocalDescription()
    near.createDataChannel("data")
    await negotiate(near, far)
    await wait_connected(near, far)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(with_vp9(near.localDescription))
    await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
    (transceiver,) = far.getTransceivers()
    assert transceiver.currentDirection == "recvonly"
    offer = await far.createOffer()
    assert "VP8" in offer.sdp
    assert "VP9" not in offer.sdp
    async with asyncio.timeout(DEADLINE):
        await transceiver.receiver.track.recv()
