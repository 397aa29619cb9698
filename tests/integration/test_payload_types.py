"""Offers whose payload types aren't those that aiortc gives to codecs."""

import re

import pytest
from aiortc import RTCRtpCodecCapability

from conftest import Factory
from restartice import RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack

# What takes the place of the numbers of VP8 and of what repeats it. (RFC 3551 section 6)
LOW = {"97": "35", "98": "63"}


def renumbered(sdp: str, numbers: dict[str, str]) -> str:
    """Return a description with other payload types."""

    def change(match: re.Match[str]) -> str:
        return re.sub(r"\b(\d+)\b", lambda found: numbers.get(found[0], found[0]), match[0])

    named = r"a=(?:rtpmap|fmtp|rtcp-fb):\d+(?: apt=\d+)?|m=video .*"
    return re.sub(f"^(?:{named})", change, sdp, flags=re.MULTILINE)


def codecs(name: str) -> list[RTCRtpCodecCapability]:
    """Return a codec as a preference, with what repeats it."""
    known = RTCRtpSender.getCapabilities("video").codecs
    return [codec for codec in known if codec.mimeType in {f"video/{name}", "video/rtx"}]


async def answered(near: RTCPeerConnection, far: RTCPeerConnection) -> str:
    """Return the answer to an offer with low numbers."""
    near.addTrack(VideoStreamTrack())
    sender = far.addTrack(VideoStreamTrack())
    text = renumbered((await near.createOffer()).sdp, LOW)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    numbers = {codec.payloadType for codec in sender.getParameters().codecs}
    assert numbers == {35, 63, 99, 100, 101, 102}
    return far.localDescription.sdp


async def test_low_numbers_are_answered_as_they_are_offered(make_pc: Factory) -> None:
    """The numbers from 35 to 63 are some that libwebrtc gives to codecs."""
    sdp = await answered(make_pc(), make_pc())
    assert re.findall(r"^m=video \d+ \S+ (.*)\r$", sdp, re.MULTILINE) == ["35 63 99 100 101 102"]
    assert "a=rtpmap:35 VP8/90000" in sdp
    assert "a=fmtp:63 apt=35" in sdp


async def test_preferred_codecs_have_the_numbers_of_the_offer(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    text = renumbered((await near.createOffer()).sdp, LOW)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    (transceiver,) = far.getTransceivers()
    transceiver.setCodecPreferences(codecs("VP8"))
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    sdp = far.localDescription.sdp
    assert re.findall(r"^m=video \d+ \S+ (.*)\r$", sdp, re.MULTILINE) == ["35 63"]


@pytest.mark.parametrize("mode", ["", "packetization-mode=1;"])
async def test_so_are_those_of_h264_in_either_mode(make_pc: Factory, mode: str) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("video").setCodecPreferences(codecs("H264"))
    text = renumbered((await near.createOffer()).sdp, {"101": "40", "102": "41"})
    text = text.replace("packetization-mode=1;", mode)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    numbers = re.findall(r"^a=rtpmap:(\d+) H264", far.localDescription.sdp, re.MULTILINE)
    assert numbers == ["99", "40"]
    assert "a=fmtp:41 apt=40" in far.localDescription.sdp


async def test_they_keep_their_numbers_when_the_answerer_offers(make_pc: Factory) -> None:
    """One of them is aiortc's for VP8, but stands for what is repeated."""
    theirs, ours = {"97": "35", "98": "97"}, {"35": "97", "97": "98"}
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    sender = far.addTrack(VideoStreamTrack())
    for first, second, there, back in (near, far, theirs, ours), (far, near, ours, theirs):
        await first.setLocalDescription()
        text = renumbered(first.localDescription.sdp, there)
        await second.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await second.setLocalDescription()
        text = renumbered(second.localDescription.sdp, back)
        await first.setRemoteDescription(RTCSessionDescription(text, "answer"))
        codecs = sender.getParameters().codecs
        assert [(c.mimeType, c.payloadType) for c in codecs][:2] == [
            ("video/VP8", 35),
            ("video/rtx", 97),
        ]
        assert codecs[1].parameters == {"apt": 35}


async def test_a_codec_finds_a_number_beside_many_unknown_ones(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("video").setCodecPreferences(codecs("VP8"))
    text = renumbered((await near.createOffer()).sdp, {"97": "35", "98": "36"})
    unknown = range(96, 128)
    text = text.replace("SAVPF 35 36", f"SAVPF {' '.join(map(str, unknown))} 35 36")
    text += "".join(f"a=rtpmap:{number} X{number}/90000\r\n" for number in unknown)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    sdp = far.localDescription.sdp
    assert re.findall(r"^m=video \d+ \S+ (.*)\r$", sdp, re.MULTILINE) == ["35 36"]
