"""The remote tracks and streams, as the remote side's descriptions declare them."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .streams import MediaStream
from .tracks import RemoteTrack, set_muted_state, set_streams
from .transceiver import RECEIVING, RTCRtpTransceiver

__all__ = ["RemoteMedia", "RemoteTracks"]


@dataclass(frozen=True)
class RemoteMedia:
    """The remote media of a transceiver, by a description.

    Attributes:
        transceiver: The transceiver.
        direction: The direction, seen from our side.
        streams: The ids of the streams of the track.
        track: The id of the track, or None if the description has none.
    """

    transceiver: RTCRtpTransceiver
    direction: str = "inactive"
    streams: tuple[str, ...] = ()
    track: str | None = None


@dataclass
class Changes:
    """The events to fire when a description has been set."""

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

    Attributes:
        default_stream: The id of the one that tracks are in whose description tells of no stream,
            nor that there is none.

    Spec: https://w3c.github.io/webrtc-pc/#processing-remote-mediastreamtracks
    """

    def __init__(self) -> None:
        self.default_stream = str(uuid.uuid4())
        self._streams: dict[str, MediaStream] = {}
        self._tracks: dict[str, RemoteTrack] = {}

    def process(self, described: Iterable[RemoteMedia]) -> Changes:
        """Process the media of descriptions, and return the changes."""
        changes = Changes()
        for media in described:
            self._process(media, changes)
        return changes

    def _process(self, media: RemoteMedia, changes: Changes) -> None:
        transceiver, receiver = media.transceiver, media.transceiver.receiver._core
        receives = media.direction in RECEIVING
        # Set the associated remote streams; a track that isn't sent has none.
        more = self._set_streams(media, changes) if receives else False
        if not receives:
            self._set_streams(RemoteMedia(transceiver), changes)
        fired = transceiver._core.fired_direction in RECEIVING
        # If direction is "sendrecv" or "recvonly", and [[FiredDirection]] is neither, or the
        # previous step increased the length of addList, process the addition of a remote track.
        if receives:
            if not receiver.named:
                receiver.name_track(self._free_id(media.track, receiver.track))
            if not fired or more:
                changes.tracks.append(receiver.track)
            receiver.expect_media()
        else:
            receiver.expect_no_media()
            changes.muted.append(receiver.track)
        transceiver._core.note_fired(media.direction)

    def _free_id(self, track_id: str | None, track: RemoteTrack) -> str | None:
        """Return the id of a track, or None if one that lives has it already.

        "This specification does not forbid" that two sections tell the same. (RFC 8830 section 3)
        """
        if track_id is None:
            return None
        owner = self._tracks.setdefault(track_id, track)
        if owner is not track and owner.readyState == "live":
            return None
        self._tracks[track_id] = track
        return track_id

    def _set_streams(self, media: RemoteMedia, changes: Changes) -> bool:
        track = media.transceiver.receiver._core.track
        streams = tuple(self._stream(stream_id) for stream_id in media.streams)
        before = track.streams
        old, new = set(before), set(streams)
        added = [(stream, track) for stream in streams if stream not in old]
        changes.removed += [(stream, track) for stream in before if stream not in new]
        changes.added += added
        set_streams(track, streams)
        return bool(added)

    def _stream(self, stream_id: str) -> MediaStream:
        return self._streams.setdefault(stream_id, MediaStream(stream_id))
