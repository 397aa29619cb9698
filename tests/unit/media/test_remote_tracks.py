"""What a description changes in the tracks and streams of the remote side."""

from collections.abc import AsyncIterator

import pytest

from restartice import MediaStream, RTCPeerConnection, RTCRtpTransceiver, VideoStreamTrack
from restartice.media.remote_tracks import RemoteMedia, RemoteTracks


@pytest.fixture
async def transceiver() -> AsyncIterator[RTCRtpTransceiver]:
    connection = RTCPeerConnection()
    yield connection.addTransceiver("audio")
    await connection.close()


class Described:
    """Descriptions of one transceiver, and the events that they cause."""

    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        self.transceiver = transceiver
        self.track = transceiver.receiver._core.track
        self.tracks = RemoteTracks()
        self.fired: list[object] = []
        self.events: list[tuple[str, str]] = []
        self._known: set[MediaStream] = set()

    def __call__(self, direction: str, *streams: str, track: str | None = None) -> list[str]:
        """Return the ids of the streams after a description."""
        changes = self.tracks.process([RemoteMedia(self.transceiver, direction, streams, track)])
        for stream in {stream for stream, _ in changes.added} - self._known:
            self._known.add(stream)
            for name in ("addtrack", "removetrack"):
                stream.on(name, lambda _, n=name, s=stream: self.events.append((n, s.id)))
        changes.announce(self.fired.append)
        return [stream.id for stream in self.track.streams]


async def test_a_track_that_begins_is_announced_once(transceiver: RTCRtpTransceiver) -> None:
    describe = Described(transceiver)
    assert describe("recvonly", "a") == describe("sendrecv", "a") == ["a"]
    assert describe.fired == [describe.track]
    assert describe.events == [("addtrack", "a")]
    (stream,) = describe.track.streams
    assert stream.getTracks() == [describe.track]


async def test_a_stream_is_active_while_a_track_of_it_lives(
    transceiver: RTCRtpTransceiver,
) -> None:
    describe = Described(transceiver)
    describe("recvonly", "a")
    (stream,) = describe.track.streams
    ended = VideoStreamTrack()
    ended.stop()
    stream.addTrack(ended)
    assert stream.active
    assert stream.getTrackById(describe.track.id) is describe.track
    assert stream.getTrackById(ended.id) is ended
    assert stream.getTrackById("another") is None
    describe.track.stop()
    assert not stream.active
    assert not MediaStream().active


async def test_another_stream_announces_it_again(transceiver: RTCRtpTransceiver) -> None:
    describe = Described(transceiver)
    describe("recvonly", "a")
    (first,) = describe.track.streams
    assert describe("recvonly", "b", "c") == ["b", "c"]
    assert describe.fired == [describe.track] * 2
    assert first.getTracks() == []
    assert describe.events[:2] == [("addtrack", "a"), ("removetrack", "a")]
    # A stream that comes back is the same one.
    describe("recvonly", "a")
    assert describe.track.streams == (first,)


async def test_a_track_that_ends_is_muted_and_in_no_stream(transceiver: RTCRtpTransceiver) -> None:
    describe = Described(transceiver)
    describe("sendrecv", "a")
    core = transceiver.receiver._core
    assert core.receptive
    assert describe("inactive", "a") == []
    assert describe.track.muted
    assert not core.receptive
    describe("sendrecv", "a")
    assert describe.fired == [describe.track] * 2


async def test_the_first_id_of_a_track_stays(transceiver: RTCRtpTransceiver) -> None:
    describe = Described(transceiver)
    describe("recvonly", track="first")
    describe("recvonly", track="second")
    assert describe.track.id == "first"
