"""Peers that take H.264 only in packetization mode 0, or of the Main profile."""

import asyncio
import logging
import random
import re
from fractions import Fraction

import av
import pytest
from aiortc import rtp

from conftest import Factory
from connecting import DEADLINE, wait_connected, wait_sending_on_new_pair
from restartice import (
    MediaStreamTrack,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice.logs import ObjectLogger
from restartice.seam.h264 import SingleNalEncoder

LOG = ObjectLogger(logging.getLogger("restartice.test"), "RTCRtpSender(1/0)")
PROFILE_MAIN = "profile-level-id=4d001f"
SINGLE_NAL_UNITS = range(1, 24)
H264 = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == "video/H264"]


class Noise(VideoStreamTrack):
    """Pictures that can't be compressed to a packet."""

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(random.Random(pts).randbytes(plane.buffer_size))
        frame.pts, frame.time_base = pts, time_base
        return frame


def in_mode_0(description: RTCSessionDescription) -> RTCSessionDescription:
    """Return what a peer would send that knows no fragments, or leaves the parameter out."""
    text = re.sub("packetization-mode=[01];?", "", description.sdp)
    return RTCSessionDescription(text, description.type)


async def negotiate_mode_0(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Negotiate; only the near side is one that says nothing of the packetization mode."""
    await near.setLocalDescription()
    await far.setRemoteDescription(in_mode_0(near.localDescription))
    await far.setLocalDescription()
    assert "packetization-mode=0" in far.localDescription.sdp
    assert "packetization-mode=1" not in far.localDescription.sdp
    # What stands for the peer here is our own connection, which has offered mode 1.
    text = far.localDescription.sdp.replace("packetization-mode=0", "packetization-mode=1")
    await near.setRemoteDescription(RTCSessionDescription(text, "answer"))


def record_nal_types(sender: RTCRtpSender, found: set[int]) -> None:
    """Take down which kind of NAL unit each packet of a sender has."""
    send = sender.transport._send_rtp

    async def record(data: bytes) -> None:
        if not rtp.is_rtcp(data):
            found.add(rtp.RtpPacket.parse(data).payload[0] & 0x1F)
            assert len(data) < 1400
        await send(data)

    vars(sender.transport)["_send_rtp"] = record


async def receive(track: MediaStreamTrack, count: int) -> None:
    async with asyncio.timeout(DEADLINE):
        for _ in range(count):
            frame = await track.recv()
            assert isinstance(frame, av.VideoFrame)
            assert (frame.width, frame.height) == (320, 240)


async def test_media_each_way(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(Noise())
    sender = far.addTrack(Noise())
    near.getTransceivers()[0].setCodecPreferences(H264)
    await negotiate_mode_0(near, far)
    types: set[int] = set()
    record_nal_types(sender, types)
    await wait_connected(near, far)
    await receive(far.getReceivers()[0].track, 5)
    await receive(near.getReceivers()[0].track, 5)
    # Pictures that are whole and parameter sets, and nothing else.
    assert {1, 5, 7, 8} <= types
    assert all(kind in SINGLE_NAL_UNITS for kind in types)


async def test_main_is_answered_with_main(make_pc: Factory) -> None:
    """Its receivers decode the constrained baseline profile, which we send."""
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    far.addTrack(VideoStreamTrack())
    near.getTransceivers()[0].setCodecPreferences(H264)
    for _ in range(2):
        await near.setLocalDescription()
        text = re.sub("profile-level-id=42(00|e0)1f", PROFILE_MAIN, near.localDescription.sdp)
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await far.setLocalDescription()
        told = re.findall("profile-level-id=......", far.localDescription.sdp)
        assert {*told} == {PROFILE_MAIN}
        assert "packetization-mode=0" not in far.localDescription.sdp
        answer = far.localDescription.sdp.replace(PROFILE_MAIN, "profile-level-id=42e01f")
        await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await wait_connected(near, far)
        near.restartIce()
    for pc in (near, far):
        async with asyncio.timeout(DEADLINE):
            for _ in range(3):
                assert isinstance(await pc.getReceivers()[0].track.recv(), av.VideoFrame)
    # It is offered again, before what we offer everybody.
    offer = (await far.createOffer()).sdp
    assert re.findall("profile-level-id=......", offer)[0] == PROFILE_MAIN


async def test_mode_0_of_several_profiles_with_low_numbers(make_pc: Factory) -> None:
    """As Chromium offers it. aiortc answers numbers below 96 with its own."""
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    far.addTrack(VideoStreamTrack())
    near.getTransceivers()[0].setCodecPreferences([c for c in H264 if "42e0" in str(c.parameters)])
    await near.setLocalDescription()
    (number,) = re.findall(r"a=rtpmap:(\d+) H264", near.localDescription.sdp)
    text = re.sub(rf"(a=\S+:){number} ", r"\g<1>39 ", in_mode_0(near.localDescription).sdp)
    text = re.sub(rf"(m=video .*){number}", r"\g<1>39 40", text)
    text += f"a=rtpmap:40 H264/90000\r\na=fmtp:40 {PROFILE_MAIN}\r\n"
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    told = re.findall("packetization-mode=[01];profile-level-id=....", far.localDescription.sdp)
    assert told == ["packetization-mode=0;profile-level-id=42e0"]


async def test_a_restart_from_either_side(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(Noise())
    far.addTrack(Noise())
    near.getTransceivers()[0].setCodecPreferences(H264)
    await negotiate_mode_0(near, far)
    await wait_connected(near, far)
    near.restartIce()
    await negotiate_mode_0(near, far)
    await wait_sending_on_new_pair(near, far)
    far.restartIce()
    offer = await far.createOffer()
    # It is offered again by its number, beside what we offer everybody.
    numbers = re.findall(r"a=fmtp:(\d+) .*packetization-mode=0", offer.sdp)
    assert numbers
    assert set(numbers) <= set(re.findall(r"a=rtpmap:(\d+) H264", near.localDescription.sdp))
    payload_types = re.findall(r"a=rtpmap:(\d+)", offer.sdp)
    assert len(set(payload_types)) == len(payload_types)
    await far.setLocalDescription(offer)
    await near.setRemoteDescription(far.localDescription)
    await near.setLocalDescription()
    answer = near.localDescription.sdp
    # A peer that knows mode 0 only answers with that only.
    kept = "".join(
        line
        for line in answer.splitlines(keepends=True)
        if not re.match(r"a=(rtpmap|fmtp|rtcp-fb):", line)
        or any(re.match(rf"a=\S+:{number} ", line) for number in numbers)
    )
    kept = re.sub(r"(m=video \d+ \S+).*", rf"\1 {' '.join(numbers)}", kept)
    for number in numbers:
        if f"a=rtpmap:{number} " not in kept:
            kept += f"a=rtpmap:{number} H264/90000\r\n"
    await far.setRemoteDescription(
        RTCSessionDescription(in_mode_0(RTCSessionDescription(kept, "answer")).sdp, "answer")
    )
    await wait_sending_on_new_pair(near, far)
    await receive(far.getReceivers()[0].track, 5)
    (transceiver,) = far.getTransceivers()
    assert transceiver.currentDirection == "sendrecv"


async def test_mode_1_goes_first(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    await near.setLocalDescription()
    text = near.localDescription.sdp.replace("packetization-mode=1", "packetization-mode=0", 1)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    assert "packetization-mode=0" not in far.localDescription.sdp
    assert "VP8" in far.localDescription.sdp


def test_what_can_not_be_split_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """As a file's pictures, which are packed as they are."""
    encoder = SingleNalEncoder(LOG)
    packet = av.Packet(b"\0\0\1" + bytes([0x65]) + bytes(range(1, 256)) * 8)
    packet.pts, packet.time_base = 0, Fraction(1, 30)
    with caplog.at_level(logging.WARNING):
        assert encoder.pack(packet)[0] == []
    assert "packetization-mode=0" in caplog.text


def test_the_encoder_follows_size_and_rate() -> None:
    encoder = SingleNalEncoder(LOG)
    for size, rate in [((320, 240), 500_000), ((320, 240), 2_000_000), ((640, 480), 2_000_000)]:
        encoder.target_bitrate = rate
        frame = av.VideoFrame(*size, "yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        payloads, _ = encoder.encode(frame, force_keyframe=True)
        assert {payload[0] & 0x1F for payload in payloads} >= {5, 7, 8}
        assert encoder.codec is not None
        assert (encoder.codec.width, encoder.codec.height) == size
        assert encoder.codec.bit_rate == rate
