"""Transceivers are matched, stopped and used again as both sides agree.

(W12, W13, W17, W18, W19)
"""

import asyncio
from typing import Any

import aiortc
import pytest

from conftest import Factory
from connecting import (
    Echo,
    assert_ends_later,
    negotiate,
    transports,
    wait_connected,
    wait_for_state,
)
from properties.world import SilentTrack
from restartice import (
    AudioStreamTrack,
    InvalidAccessError,
    InvalidStateError,
    MediaStream,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
    VideoStreamTrack,
)

ROLLBACK = RTCSessionDescription("", "rollback")


def mids(pc: RTCPeerConnection) -> list[str | None]:
    return [transceiver.mid for transceiver in pc.getTransceivers()]


def media_lines(pc: RTCPeerConnection) -> list[str]:
    lines = pc.localDescription.sdp.splitlines()
    return [" ".join(line.split()[:2]) for line in lines if line.startswith("m=")]


def directions(transceiver: RTCRtpTransceiver) -> tuple[str, str | None]:
    return transceiver.direction, transceiver.currentDirection


async def needed(pc: RTCPeerConnection) -> bool:
    """Say if negotiationneeded is fired in the next turns of the loop."""
    fired: list[bool] = []
    listener = pc.on("negotiationneeded", lambda: fired.append(True))
    for _ in range(5):
        await asyncio.sleep(0)
    pc.remove_listener("negotiationneeded", listener)
    assert len(fired) <= 1
    return bool(fired)


# Matching. (RFC 9429 section 5.10)


async def test_a_section_is_matched_with_what_add_track_made(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    made = far.addTransceiver("audio")
    far.addTrack(SilentTrack("video"))
    await far.setRemoteDescription(await near.createOffer())
    assert mids(far) == [None, None, "0"]
    assert far.getTransceivers()[2].direction == "recvonly"
    await far.setRemoteDescription(ROLLBACK)
    # Once addTrack() has taken it, it is matched.
    far.addTrack(SilentTrack("audio"))
    assert made.sender.track is not None
    await far.setRemoteDescription(await near.createOffer())
    assert mids(far) == ["0", None]


async def test_a_section_that_does_not_receive_is_not_matched(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio", "sendonly")
    far.addTrack(SilentTrack("audio"))
    await far.setRemoteDescription(await near.createOffer())
    assert mids(far) == [None, "0"]


# Rollback. (W12)


async def test_rollback_removes_what_the_offer_made(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(SilentTrack("audio"))
    near.addTrack(SilentTrack("video"))
    await far.setRemoteDescription(await near.createOffer())
    audio, video = far.getTransceivers()
    # replaceTrack() doesn't keep it, addTrack() does.
    await audio.sender.replaceTrack(SilentTrack("audio"))
    far.addTrack(SilentTrack("video"))
    await far.setRemoteDescription(ROLLBACK)
    assert far.getTransceivers() == [video]
    assert video.mid is None
    assert (audio.stopped, audio.currentDirection, audio.mid) == (True, "stopped", None)
    ending = asyncio.ensure_future(assert_ends_later(audio))
    assert await needed(far)
    await ending


async def test_stop_is_not_rolled_back(make_pc: Factory) -> None:
    pc = make_pc()
    transceiver = pc.addTransceiver("audio")
    await pc.setLocalDescription()
    transceiver.stop()
    await pc.setLocalDescription(ROLLBACK)
    assert transceiver.direction == "stopped"


async def test_rollback_takes_the_streams_back(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(SilentTrack("audio"), "first")
    tracks: list[Any] = []
    far.on("track", tracks.append)
    await negotiate(near, far)
    (stream,) = tracks[0].streams
    events: list[tuple[str, Any]] = []
    stream.on("addtrack", lambda track: events.append(("add", track)))
    stream.on("removetrack", lambda track: events.append(("remove", track)))
    sender.setStreams("second")
    await far.setRemoteDescription(await near.createOffer())
    assert [s.id for s in tracks[0].streams] == ["second"]
    assert stream.getTracks() == []
    await far.setRemoteDescription(ROLLBACK)
    assert tracks[0].streams == (stream,)
    assert stream.getTracks() == [tracks[0]]
    assert events == [("remove", tracks[0]), ("add", tracks[0])]
    # A track event for each stream that the track was put into.
    assert tracks == [tracks[0]] * 3


# Streams and track events.


async def test_track_events_come_with_their_streams(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    stream = MediaStream()
    near.addTrack(SilentTrack("audio"), stream, "other")
    near.addTransceiver("video", streams=[])
    near.addTrack(SilentTrack("video"))
    events: list[tuple[str, list[str]]] = []
    far.on(
        "track",
        lambda track: events.append((far.signalingState, [s.id for s in track.streams])),
    )
    await far.setRemoteDescription(await near.createOffer())
    states, streams = zip(*events, strict=True)
    assert set(states) == {"have-remote-offer"}
    # What is added without streams is in one of the connection's.
    assert streams[0] == [stream.id, "other"]
    assert len(streams[1]) == 1
    assert len(events) == 2


async def test_a_track_without_streams(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(SilentTrack("audio")).setStreams()
    near.addTransceiver(SilentTrack("video"), streams=[])
    streams: list[tuple[MediaStream, ...]] = []
    far.on("track", lambda track: streams.append(track.streams))
    await far.setRemoteDescription(await near.createOffer())
    assert streams == [(), ()]


async def test_a_track_event_whenever_the_remote_side_begins_to_send(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(SilentTrack("audio"))
    tracks: list[aiortc.MediaStreamTrack] = []
    far.on("track", tracks.append)
    await negotiate(near, far)
    assert len(tracks) == 1
    near.getTransceivers()[0].direction = "inactive"
    await negotiate(near, far)
    near.getTransceivers()[0].direction = "sendrecv"
    await negotiate(near, far)
    assert tracks == [tracks[0], tracks[0]]
    assert sender.track is not None


# What needs negotiation. (W18, W19)


async def test_each_cause_of_negotiationneeded(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(SilentTrack("audio"))
    assert await needed(near)
    near.addTransceiver("video")
    # It is needed already.
    assert not await needed(near)
    await negotiate(near, far)
    assert not await needed(near)
    sender.setStreams("other")
    assert await needed(near)
    await negotiate(near, far)
    near.getTransceivers()[1].direction = "recvonly"
    assert await needed(near)
    await negotiate(near, far)
    near.removeTrack(sender)
    assert await needed(near)
    await negotiate(near, far)
    near.createDataChannel("chat")
    assert await needed(near)
    await negotiate(near, far)
    near.createDataChannel("another")
    assert not await needed(near)
    near.getTransceivers()[0].stop()
    assert await needed(near)
    await negotiate(near, far)
    near.restartIce()
    assert await needed(near)
    await negotiate(near, far)
    assert not await needed(near)
    assert not await needed(far)


async def test_no_event_while_operations_are_queued(make_pc: Factory) -> None:
    pc = make_pc()
    events: list[str] = []
    pc.on("negotiationneeded", lambda: events.append("needed"))

    async def offer() -> None:
        await pc.createOffer()
        events.append("settled")

    offering = asyncio.ensure_future(offer())
    await asyncio.sleep(0)
    pc.addTransceiver("audio")
    await offering
    await needed(pc)
    assert events == ["settled", "needed"]


async def test_a_direction_that_the_other_side_narrows_does_not_fire_forever(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio", "sendonly")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    far.getTransceivers()[0].direction = "sendrecv"
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert far.getTransceivers()[0].currentDirection == "recvonly"
    assert not await needed(far)
    assert not await needed(near)


# Removing tracks.


async def test_remove_track(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    track = SilentTrack("audio")
    sender = near.addTrack(track)
    await negotiate(near, far)
    near.removeTrack(sender)
    near.removeTrack(sender)
    (transceiver,) = near.getTransceivers()
    assert sender.track is None
    assert transceiver.direction == "recvonly"
    # It has sent before, so it isn't used again.
    near.addTrack(track)
    await negotiate(near, far)
    assert [t.currentDirection for t in far.getTransceivers()] == ["inactive", "recvonly"]
    with pytest.raises(InvalidAccessError):
        far.removeTrack(sender)


async def test_replace_track_takes_its_turn(make_pc: Factory) -> None:
    pc = make_pc()
    first, second = SilentTrack("audio"), SilentTrack("audio")
    sender = pc.addTrack(first)
    sender.replaceTrack(second)
    assert sender.track is second
    setting = asyncio.ensure_future(pc.setLocalDescription())
    await asyncio.sleep(0)
    replacing = sender.replaceTrack(first)
    assert sender.track is second
    await replacing
    assert sender.track is first
    assert setting.done()
    with pytest.raises(TypeError, match="video"):
        sender.replaceTrack(SilentTrack("video"))


# Stopping.


async def test_a_stop_is_negotiated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(SilentTrack("audio"))
    near.addTrack(SilentTrack("video"))
    await negotiate(near, far)
    await wait_connected(near, far)
    stopped, other = near.getTransceivers()
    far_stopped, _ = far.getTransceivers()
    await stopped.stop()
    assert (stopped.direction, stopped.currentDirection, stopped.mid) == (
        "stopped",
        "sendonly",
        "0",
    )
    assert near.getSenders() == [stopped.sender, other.sender]
    with pytest.raises(InvalidStateError):
        stopped.direction = "sendrecv"
    with pytest.raises(InvalidStateError):
        stopped.sender.replaceTrack(None)
    await negotiate(near, far)
    assert media_lines(near)[0] == "m=audio 0"
    assert "a=group:BUNDLE 1\r\n" in near.localDescription.sdp
    assert near.getTransceivers() == [other]
    assert near.getSenders() == [other.sender]
    assert len(far.getTransceivers()) == 1
    for transceiver in (stopped, far_stopped):
        assert (transceiver.currentDirection, transceiver.mid) == ("stopped", None)
        assert transceiver.receiver.track.readyState == "ended"
    # The first of the BUNDLE group is gone, and the call goes on.
    assert near.connectionState == far.connectionState == "connected"
    await stopped.stop()


async def test_the_section_is_used_again(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    await negotiate(near, far)
    near.getTransceivers()[0].stop()
    added = near.addTransceiver("audio")
    # Not yet: the other side doesn't know.
    await negotiate(near, far)
    assert [line.split()[0] for line in media_lines(near)] == ["m=audio", "m=video", "m=audio"]
    assert added.mid == "2"
    far.addTransceiver("video")
    await negotiate(far, near)
    assert [line.split()[0] for line in media_lines(far)] == ["m=video", "m=video", "m=audio"]
    assert mids(far) == ["1", "2", "3"]
    assert mids(near) == ["1", "2", "3"]
    await wait_connected(near, far)


async def _offered_both_kinds(make_pc: Factory) -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """Return two connections that send audio and video, the second with the first one's offer."""
    near, far = make_pc(), make_pc()
    for kind in (AudioStreamTrack, VideoStreamTrack):
        near.addTrack(kind())
        far.addTrack(kind())
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    return near, far


async def test_what_the_answerer_stops_is_inactive_until_its_own_offer(make_pc: Factory) -> None:
    near, far = await _offered_both_kinds(make_pc)
    ours, theirs = near.getTransceivers()[0], far.getTransceivers()[0]
    theirs.stop()
    needs: list[str] = []
    far.on("negotiationneeded", lambda: needs.append(far.signalingState))
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert directions(ours) == ("sendrecv", "inactive")
    assert directions(theirs) == ("stopped", "inactive")
    assert mids(near) == mids(far) == ["0", "1"]
    assert theirs.sender in far.getSenders()
    await wait_connected(near, far)
    assert needs == ["stable"]
    # Offers of the other side change nothing.
    await negotiate(near, far)
    assert needs == ["stable", "stable"]
    assert directions(ours) == ("sendrecv", "inactive")
    await negotiate(far, near)
    assert media_lines(far)[0] == "m=audio 0"
    assert directions(ours) == directions(theirs) == ("stopped", "stopped")
    assert mids(near) == mids(far) == ["1"]
    assert not await needed(far)
    assert near.connectionState == far.connectionState == "connected"


async def test_all_that_the_answerer_has_is_stopped(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    far.getTransceivers()[0].stop()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    far.addTransceiver("video")
    await negotiate(far, near)
    assert [line.split()[0] for line in media_lines(far)] == ["m=audio", "m=video"]
    assert mids(near) == mids(far) == ["1"]
    await wait_connected(near, far)


async def test_what_changes_after_create_answer_comes_too_late_for_it(make_pc: Factory) -> None:
    near, far = await _offered_both_kinds(make_pc)
    answer = await far.createAnswer()
    stopped, changed = far.getTransceivers()
    stopped.stop()
    changed.direction = "inactive"
    await far.setLocalDescription(answer)
    assert directions(stopped) == ("stopped", "sendrecv")
    assert directions(changed) == ("inactive", "sendrecv")
    assert await needed(far)
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    await negotiate(near, far)
    assert [directions(t)[1] for t in near.getTransceivers()] == ["inactive", "inactive"]


async def test_a_remote_stop_that_is_rolled_back_is_offered_by_this_side(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    near.getTransceivers()[0].stop()
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    stopped, other = far.getTransceivers()
    await far.setRemoteDescription(ROLLBACK)
    assert far.getTransceivers() == [stopped, other]
    assert far.getReceivers() == [other.receiver]
    assert (*directions(stopped), stopped.mid) == ("stopped", "stopped", "0")
    assert await needed(far)
    await near.setLocalDescription(ROLLBACK)
    await negotiate(far, near)
    assert media_lines(far)[0] == "m=audio 0"
    assert stopped.mid is None
    assert far.getTransceivers() == [other]
    assert mids(near) == ["1"]
    assert not await needed(far)


async def test_everything_is_stopped_and_something_new_is_added(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    await negotiate(near, far)
    await wait_connected(near, far)
    near.getTransceivers()[0].stop()
    await negotiate(near, far)
    assert near.getTransceivers() == far.getTransceivers() == []
    near.createDataChannel("chat")
    await negotiate(near, far)
    await wait_connected(near, far)
    assert [line.split()[0] for line in media_lines(near)] == ["m=application"]


async def test_stopped_before_it_was_ever_offered(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio").stop()
    near.addTransceiver("video")
    await negotiate(near, far)
    assert [line.split()[0] for line in media_lines(near)] == ["m=video"]
    assert mids(near) == ["0"]
    assert not await needed(near)


async def test_plain_aiortc_hears_of_a_stop(make_pc: Factory) -> None:
    near, far = make_pc(), aiortc.RTCPeerConnection()
    near.addTrack(SilentTrack("audio"))
    near.createDataChannel("chat")
    await negotiate(near, far)
    await wait_connected(near)
    near.getTransceivers()[0].stop()
    await negotiate(near, far)
    assert near.getTransceivers() == []
    await negotiate(far, near)
    assert near.connectionState == "connected"
    await far.close()


async def test_closing_stops_the_transceivers(make_pc: Factory) -> None:
    pc = make_pc()
    transceiver = pc.addTransceiver("audio")
    await pc.close()
    assert (transceiver.stopped, transceiver.currentDirection) == (True, "stopped")
    assert transceiver.receiver.track.readyState == "ended"
    with pytest.raises(InvalidStateError):
        transceiver.stop()
    with pytest.raises(InvalidStateError):
        transceiver.sender.setStreams("stream")


async def test_sections_without_mid(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(SilentTrack("audio"))
    await near.setLocalDescription()
    nameless = near.localDescription.sdp.replace("a=mid:0\r\n", "")
    nameless = nameless.replace("a=group:BUNDLE 0\r\n", "")
    await far.setRemoteDescription(RTCSessionDescription(nameless, "offer"))
    assert mids(far) == ["0"]
    await far.setLocalDescription()
    answer = far.localDescription.sdp.replace("a=mid:0\r\n", "")
    assert "a=group:BUNDLE" not in answer
    await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await wait_connected(near, far)


async def test_all_of_a_kind_move_to_the_bundle_transport(make_pc: Factory) -> None:
    """Those that share a transport of their own before a group is negotiated share the group's."""
    near, far = make_pc(), make_pc()
    for kind in (AudioStreamTrack, AudioStreamTrack, VideoStreamTrack, VideoStreamTrack):
        near.addTrack(kind())
    far.addTrack(VideoStreamTrack())
    echo = Echo(far, near)
    await near.setLocalDescription()
    await negotiate(far, near)
    await negotiate(near, far)
    await wait_connected(near, far)
    for pc in (near, far):
        assert len(transports(pc)) == 1
    await echo.check()


async def test_a_transport_that_the_bundle_drops_is_closed(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    video = near.addTransceiver("video")
    dropped = video.receiver.transport
    told: list[str] = []
    dropped.on("statechange", lambda: told.append(f"DTLS {dropped.state}"))
    dropped.transport.on("statechange", lambda: told.append(f"ICE {dropped.transport.state}"))
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    assert (dropped.state, dropped.transport.state) == ("new", "new")
    await near.setRemoteDescription(far.localDescription)
    assert video.receiver.transport is not dropped
    assert (dropped.state, dropped.transport.state) == ("closed", "new")
    await wait_for_state(dropped.transport, "state", "closed")
    assert told == ["DTLS closed", "ICE closed"]


async def test_what_is_added_in_mid_negotiation_joins_the_bundle(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    first = near.addTransceiver("video")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    # It takes the place of the stopped one, so it is the first of the group in the next offer.
    first.stop()
    near.addTransceiver("audio")
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
    transport = transports(near)
    assert len(transport) == 1
    await negotiate(near, far)
    assert mids(near) == ["2"]
    assert transports(near) == transport
    await wait_connected(near, far)
    await echo.check("after")


@pytest.mark.parametrize(("bundled", "count"), [(True, 1), (False, 3)])
async def test_the_answerer_of_a_bundle_makes_one_transport(
    make_pc: Factory, *, bundled: bool, count: int
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("video")
    near.addTransceiver("audio")
    echo = Echo(near, far)
    await near.setLocalDescription()
    offer = near.localDescription
    if not bundled:
        offer.sdp = offer.sdp.replace("a=group:BUNDLE 0 1 2\r\n", "")
    await far.setRemoteDescription(offer)
    assert len(far._core.transports.made) == len(transports(far)) == count
    # Sections that the answerer has already must move to that of the first one.
    other = make_pc()
    other.addTrack(SilentTrack("audio"))
    await other.setRemoteDescription(offer)
    assert len(transports(other)) == count
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    assert len(transports(near)) == count
    await echo.check()


async def test_a_track_that_was_added_to_a_first_offer_stays_after_its_rollback(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("video")
    near.addTransceiver("audio")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    far.addTrack(SilentTrack("audio"))
    await far.setRemoteDescription(ROLLBACK)
    assert len(far.getTransceivers()) == 1
    echo = Echo(far, near)
    await near.setLocalDescription(ROLLBACK)
    await negotiate(far, near)
    await wait_connected(near, far)
    await echo.check()
