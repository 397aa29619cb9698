"""Which streams and tracks a description tells of, and what an answer says of feedback."""

import itertools
import re

import pytest

from conftest import Factory
from connecting import negotiate
from restartice import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

MSID = re.compile(r"a=msid:.*\r\n")
SSRC = re.compile(r"a=ssrc(-group)?:.*\r\n")
FIRST_SOURCE = re.compile(r"(a=ssrc:\d+) (cname:.*\r\n)")


@pytest.fixture
async def offer(make_pc: Factory) -> str:
    """Return an offer of two videos and a sound."""
    pc = make_pc()
    for track in (VideoStreamTrack(), VideoStreamTrack(), AudioStreamTrack()):
        pc.addTrack(track)
    return str((await pc.createOffer()).sdp)


async def tracks_of(pc: RTCPeerConnection, offer: str) -> list[MediaStreamTrack]:
    """Return the tracks that an offer announces."""
    tracks: list[MediaStreamTrack] = []
    pc.on("track", tracks.append)
    await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    return tracks


def streams_of(track: MediaStreamTrack) -> list[str]:
    return [stream.id for stream in track.streams]  # type: ignore[attr-defined]


@pytest.mark.parametrize("lines", [MSID, re.compile(f"{MSID.pattern}|{SSRC.pattern}")])
async def test_tracks_of_which_no_stream_is_told_are_in_one_of_their_own(
    make_pc: Factory, offer: str, lines: re.Pattern[str]
) -> None:
    pc, other = make_pc(), make_pc()
    tracks = await tracks_of(pc, lines.sub("", offer))
    assert len(tracks) == 3
    (stream,) = {stream for track in tracks for stream in track.streams}  # type: ignore[attr-defined]
    assert stream.getTracks() == tracks
    # It is the same one later on, and no other connection's.
    await pc.setLocalDescription()
    assert await tracks_of(pc, lines.sub("", offer)) == []
    assert streams_of(tracks[0]) == [stream.id]
    assert streams_of((await tracks_of(other, lines.sub("", offer)))[0]) != [stream.id]


async def test_a_track_may_be_told_to_be_in_no_stream(make_pc: Factory, offer: str) -> None:
    number = itertools.count()
    tracks = await tracks_of(make_pc(), MSID.sub(lambda _: f"a=msid:- t{next(number)}\r\n", offer))
    assert [streams_of(track) for track in tracks] == [[], [], []]
    assert [track.id for track in tracks] == ["t0", "t1", "t2"]


async def test_streams_that_are_told_of_each_source(make_pc: Factory, offer: str) -> None:
    number = itertools.count()

    def add(line: re.Match[str]) -> str:
        return f"{line[0]}{line[1]} msid:camera track{next(number)}\r\n"

    tracks = await tracks_of(make_pc(), FIRST_SOURCE.sub(add, MSID.sub("", offer)))
    assert [streams_of(track) for track in tracks] == [["camera"]] * 3
    # A video's other source repeats what the first one sends.
    assert [track.id for track in tracks] == ["track0", "track2", "track4"]


@pytest.mark.parametrize("msid", ["camera track", "- track"])
async def test_sections_that_tell_the_same_track_have_tracks_of_their_own(
    make_pc: Factory, offer: str, msid: str
) -> None:
    """RFC 8830 section 3 doesn't forbid it, and Firefox takes it; Chromium refuses it."""
    pc = make_pc()
    tracks = await tracks_of(pc, MSID.sub(f"a=msid:{msid}\r\n", offer))
    assert tracks[0].id == "track"
    assert len({track.id for track in tracks}) == 3
    await pc.setLocalDescription()
    assert pc.signalingState == "stable"


async def test_a_track_that_comes_again_has_its_id(make_pc: Factory, offer: str) -> None:
    pc = make_pc()
    (first, *_) = await tracks_of(pc, MSID.sub("a=msid:camera track\r\n", offer))
    await pc.setLocalDescription()
    first.stop()
    more = offer + re.sub(r"a=mid:\w+", "a=mid:more", offer[offer.index("m=audio") :])
    (new,) = await tracks_of(pc, MSID.sub("a=msid:camera track\r\n", more))
    assert new.id == "track"


async def test_a_track_with_two_senders_is_announced_as_two(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    track = VideoStreamTrack()
    near.addTrack(track)
    await near.addTransceiver("video").sender.replaceTrack(track)
    await negotiate(near, far)
    first, second = MSID.findall(near.localDescription.sdp)
    assert first.split()[1] == track.id
    assert first != second
    await negotiate(near, far)
    assert MSID.findall(near.localDescription.sdp) == [first, second]


async def test_an_answer_tells_its_own_feedback(make_pc: Factory, offer: str) -> None:
    """What isn't known of a codec isn't repeated, and nothing at all of repeated packets."""
    repeating = re.findall(r"a=rtpmap:(\d+) rtx/", offer)
    assert repeating
    told = "a=rtcp-fb:* nack\r\na=rtcp-fb:* ccm fir\r\na=rtcp-fb:* transport-cc\r\n"
    offer = re.sub(r"(a=rtpmap:\d+ VP8/90000\r\n)", rf"{told}\1", offer)
    offer = re.sub(r"(a=fmtp:\d+ apt=\d+)", r"\1;rtx-time=3000", offer)
    pc = make_pc()
    await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await pc.setLocalDescription()
    answer = pc.localDescription.sdp
    feedback = re.findall(r"a=rtcp-fb:(\d+) (.*)\r\n", answer)
    assert not {payload_type for payload_type, _ in feedback} & set(repeating)
    assert {what for _, what in feedback} == {"nack", "nack pli", "goog-remb"}
    assert "rtx-time" not in answer
    assert all(f"a=rtpmap:{payload_type} rtx/" in answer for payload_type in repeating)
