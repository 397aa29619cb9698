"""The tracks of the remote side: which are there, and in which streams, by its descriptions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .streams import MediaStream
from .tracks import RemoteTrack, set_muted_state
from .transceiver import RECEIVING, RTCRtpTransceiver

__all__ = ["RemoteMedia", "RemoteTracks"]


@dataclass(frozen=True)
class RemoteMedia:
    """What a description says of what a transceiver receives.

    Attributes:
        transceiver: The transceiver.
        direction: The direction, seen from our side.
        streams: The ids of the streams that the track is in.
        track: The id of the track, or None if it isn't told.
    """

    transceiver: RTCRtpTransceiver
    direction: str = "inactive"
    streams: tuple[str, ...] = ()
    track: str | None = None


@dataclass
class Changes:
    """What is to be told when a description has been set."""

    muted: list[RemoteTrack] = field(default_factory=list)
    added: list[tuple[MediaStream, RemoteTrack]] = field(default_factory=list)
    removed: list[tuple[MediaStream, RemoteTrack]] = field(default_factory=list)
    tracks: list[RemoteTrack] = field(default_factory=list)

    def announce(self, fire_track: Callable[[RemoteTrack], object]) -> None:
        """Change the streams, and fire the events."""
        # For each track in muteTracks, set the muted state of track to the value true.
        for track in self.muted:
            set_muted_state(track, muted=True)
        # For each stream and track pair in removeList, remove the track from the stream.
        for stream, track in self.removed:
            stream.removeTrack(track)
            stream.emit("removetrack", track)
        # For each stream and track pair in addList, add the track to the stream.
        for stream, track in self.added:
            stream.addTrack(track)
            stream.emit("addtrack", track)
        # For each entry in trackEventInits, fire an event named track.
        for track in self.tracks:
            fire_track(track)


class RemoteTracks:
    """The remote streams of a connection.

    Spec: https://w3c.github.io/webrtc-pc/#processing-remote-mediastreamtracks
    """

    def __init__(self) -> None:
        self._streams: dict[str, MediaStream] = {}

    def process(self, described: Iterable[RemoteMedia]) -> Changes:
        """Take what descriptions say, and return what has changed by that."""
        changes = Changes()
        for media in described:
            self._process(media, changes)
        return changes

    def _process(self, media: RemoteMedia, changes: Changes) -> None:
        transceiver, receiver = media.transceiver, media.transceiver.receiver._core
        receives = media.direction in RECEIVING
        # Set the associated remote streams; those of a track that isn't sent are none.
        more = self._set_streams(media, changes) if receives else False
        if not receives:
            self._set_streams(RemoteMedia(transceiver), changes)
        fired = transceiver._core.fired_direction in RECEIVING
        # If direction is "sendrecv" or "recvonly", and [[FiredDirection]] is neither, or the
        # previous step increased the length of addList, process the addition of a remote track.
        if receives:
            receiver.name_track(media.track)
            if not fired or more:
                changes.tracks.append(receiver.track)
            receiver.expect_media()
        else:
            receiver.receptive = False
            changes.muted.append(receiver.track)
        transceiver._core.fired_direction = media.direction

    def _set_streams(self, media: RemoteMedia, changes: Changes) -> bool:
        track = media.transceiver.receiver._core.track
        streams = tuple(self._stream(stream_id) for stream_id in media.streams)
        before = track.streams
        old, new = set(before), set(streams)
        added = [(stream, track) for stream in streams if stream not in old]
        changes.removed += [(stream, track) for stream in before if stream not in new]
        changes.added += added
        track._core.streams = streams
        return bool(added)

    def _stream(self, stream_id: str) -> MediaStream:
        return self._streams.setdefault(stream_id, MediaStream(stream_id))
