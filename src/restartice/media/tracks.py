"""The tracks that receivers have and programs send."""

from dataclasses import dataclass

from ..events import Emitter
from ..seam import RemoteStreamTrack
from .streams import MediaStream

__all__ = ["RemoteTrack", "set_muted_state", "set_streams"]


@dataclass
class TrackState:
    """The state of a remote track.

    Attributes:
        source: The receiver, which lives as long as a program has the track.
        muted: Whether no media comes.
        streams: The streams that it is in.
    """

    source: object
    muted: bool = True
    streams: tuple[MediaStream, ...] = ()


class RemoteTrack(Emitter, RemoteStreamTrack):
    """A track of the remote side.

    It emits `unmute` when media comes, and `mute` when the remote side has stopped sending.

    Args:
        kind: `"audio"` or `"video"`.
        source: The receiver.

    Spec: https://w3c.github.io/mediacapture-main/#track-muted
    """

    def __init__(self, kind: str, source: object) -> None:
        super().__init__(kind)
        self._core = TrackState(source)

    @property
    def muted(self) -> bool:
        """Whether no media comes, because none is negotiated or sent.

        Spec: https://w3c.github.io/mediacapture-main/#track-muted
        """
        return self._core.muted

    @property
    def streams(self) -> tuple[MediaStream, ...]:
        """The streams of the track, as the remote side declares them.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtctrackevent-streams
        """
        return self._core.streams


def set_streams(track: RemoteTrack, streams: tuple[MediaStream, ...]) -> None:
    """Set the streams of a track."""
    track._core.streams = streams


def set_muted_state(track: RemoteTrack, muted: bool) -> None:
    """Mute or unmute a track, and fire the event if its state changes.

    Spec: https://w3c.github.io/mediacapture-main/#set-track-muted
    """
    if muted != track.muted:
        track._core.muted = muted
        track.emit("mute" if muted else "unmute")
