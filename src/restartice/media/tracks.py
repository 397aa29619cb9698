"""The track that a receiver receives."""

from dataclasses import dataclass

from ..events import Emitter
from ..seam import RemoteStreamTrack
from .streams import MediaStream

__all__ = ["RemoteTrack", "set_muted_state"]


@dataclass
class TrackState:
    """What the remote side says of a track.

    Attributes:
        source: What receives it, which lives as long as a program has the track.
        muted: Whether no media comes.
        streams: The streams that it is in.
    """

    source: object
    muted: bool = True
    streams: tuple[MediaStream, ...] = ()


class RemoteTrack(Emitter, RemoteStreamTrack):
    """A track of the remote side.

    It emits `unmute` when media comes, and `mute` when the remote side says that none is sent.

    Args:
        kind: `"audio"` or `"video"`.
        source: What receives it.

    Spec: https://w3c.github.io/mediacapture-main/#track-muted
    """

    def __init__(self, kind: str, source: object) -> None:
        super().__init__(kind)
        self._core = TrackState(source)

    @property
    def muted(self) -> bool:
        """Whether no media comes: it isn't negotiated, or not sent.

        Spec: https://w3c.github.io/mediacapture-main/#track-muted
        """
        return self._core.muted

    @property
    def streams(self) -> tuple[MediaStream, ...]:
        """The streams that the remote side has put it in.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtctrackevent-streams
        """
        return self._core.streams


def set_muted_state(track: RemoteTrack, muted: bool) -> None:
    """Change whether a track is muted, and fire the event if that is a change.

    Spec: https://w3c.github.io/mediacapture-main/#set-track-muted
    """
    if muted != track.muted:
        track._core.muted = muted
        track.emit("mute" if muted else "unmute")
