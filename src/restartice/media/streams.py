"""Media streams: groups of tracks that a description declares."""

import unicodedata
import uuid
from collections.abc import Iterable

import aiortc

from ..events import Emitter

__all__ = ["MediaStream", "check_track", "stream_ids"]


class MediaStream(Emitter):
    """A group of tracks, such as the video and the audio of one camera.

    aiortc has no streams. Remote descriptions create and change remote streams.

    Events: `addtrack` and `removetrack`, with the track, when a remote description changes it.

    Args:
        id: The id of the stream; None for a new one.

    Raises:
        TypeError: The id isn't a string.

    Spec: https://w3c.github.io/mediacapture-main/#mediastream
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  the specification's name
        super().__init__()
        if not isinstance(id, str | None):
            raise TypeError(f"expected the id of a stream or None, got {id!r}")
        self._id = id or str(uuid.uuid4())
        self._tracks: list[aiortc.MediaStreamTrack] = []

    @property
    def id(self) -> str:
        """The id of the stream in descriptions.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-id
        """
        return self._id

    @property
    def active(self) -> bool:
        """Whether at least one of its tracks hasn't ended.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-active
        """
        return any(track.readyState == "live" for track in self._tracks)

    def getTracks(self) -> list[aiortc.MediaStreamTrack]:
        """Return the tracks.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-gettracks
        """
        return list(self._tracks)

    def getAudioTracks(self) -> list[aiortc.MediaStreamTrack]:
        """Return the audio tracks.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-getaudiotracks
        """
        return [track for track in self._tracks if track.kind == "audio"]

    def getVideoTracks(self) -> list[aiortc.MediaStreamTrack]:
        """Return the video tracks.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-getvideotracks
        """
        return [track for track in self._tracks if track.kind == "video"]

    def getTrackById(self, trackId: str) -> aiortc.MediaStreamTrack | None:
        """Return the track with this id, or None.

        Args:
            trackId: The id of the track.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-gettrackbyid
        """
        return next((track for track in self._tracks if track.id == trackId), None)

    def addTrack(self, track: aiortc.MediaStreamTrack) -> None:
        """Add a track; no event is fired.

        Args:
            track: The track. It has no effect if the stream has it already.

        Raises:
            TypeError: This isn't a track.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-addtrack
        """
        check_track(track)
        if track not in self._tracks:
            self._tracks.append(track)

    def removeTrack(self, track: aiortc.MediaStreamTrack) -> None:
        """Remove a track; no event is fired.

        Args:
            track: The track. It has no effect if the stream doesn't have it.

        Spec: https://w3c.github.io/mediacapture-main/#dom-mediastream-removetrack
        """
        if track in self._tracks:
            self._tracks.remove(track)


def check_track(track: object) -> None:
    """Raise TypeError unless this is a track.

    By what it has, because a program may have put another class in place of aiortc's.
    """
    if isinstance(track, type) or not (hasattr(track, "kind") and hasattr(track, "recv")):
        raise TypeError(f"expected a MediaStreamTrack, got {type(track).__name__}")


def stream_ids(streams: Iterable[MediaStream | str]) -> tuple[str, ...]:
    """Return the ids of streams, each once.

    Raises:
        TypeError: A value is neither a stream nor an id, or this is a string.
        ValueError: An id is empty, or contains white space or control characters.
    """
    if isinstance(streams, str):
        raise TypeError(f"expected several streams or their ids, got the string {streams!r}")
    ids = [stream.id if isinstance(stream, MediaStream) else stream for stream in streams]
    for stream_id in ids:
        if not isinstance(stream_id, str):
            raise TypeError(f"expected a MediaStream or the id of one, got {stream_id!r}")
        if not stream_id or any(map(_is_unfit, stream_id)):
            raise ValueError(f"expected the id of a stream, without white space, got {stream_id!r}")
    return tuple(dict.fromkeys(ids))


def _is_unfit(character: str) -> bool:
    """Return whether a character can't be in an id: white space, or what isn't text."""
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cs"}
