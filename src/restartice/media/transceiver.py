"""Transceivers that the specification's negotiation rules apply to."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, Protocol

import aiortc
from aiortc import InvalidStateError

from ..events import Emitter
from ..home import Home
from ..seam import (
    AiortcRtpTransceiver,
    RemoteStreamTrack,
    abort_receiver,
    abort_sender,
    set_track_id,
)
from ..settings import IceSettings
from . import rtp
from .streams import MediaStream, stream_ids

__all__ = ["RTCRtpReceiver", "RTCRtpSender", "RTCRtpTransceiver", "RemoteTrack"]

SENDING: Final = frozenset({"sendrecv", "sendonly"})
RECEIVING: Final = frozenset({"sendrecv", "recvonly"})
DIRECTIONS: Final = frozenset({*SENDING, *RECEIVING, "inactive"})


class Operations(Protocol):
    """The operations chain of the connection, as far as transceivers need it."""

    @property
    def empty(self) -> bool:
        """Whether no operation runs or waits."""

    async def run(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Run the operation when all earlier ones have settled."""


class Owner(Protocol):
    """The connection, as far as its transceivers need it."""

    @property
    def operations(self) -> Operations:
        """The operations chain."""

    is_closed: bool
    home: Home

    def update_negotiation_needed_flag(self) -> None:
        """Find out in a later task if negotiation is needed."""

    def in_background(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something whose failure concerns nobody, and end it when the connection closes."""


class Done:
    """Something to await that is done already."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class RemoteTrack(Emitter, RemoteStreamTrack):
    """A track of the remote side.

    It emits `unmute` when media comes, and `mute` when the remote side says that none is sent.

    Attributes:
        receiver: What receives it, of which `streams` are the streams that it is in.
        muted: Whether nothing comes in: it isn't negotiated, or not sent.

    Spec: https://w3c.github.io/mediacapture-main/#track-muted
    """

    def __init__(self, kind: str, receiver: "RTCRtpReceiver") -> None:
        super().__init__(kind)
        self.receiver = receiver
        self.muted = True

    @property
    def streams(self) -> tuple[MediaStream, ...]:
        """The streams that the remote side has put it in.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtctrackevent-streams
        """
        return self.receiver.streams

    def set_muted_state(self, muted: bool) -> None:
        """Change the state, and tell it, if it isn't so already.

        Spec: https://w3c.github.io/mediacapture-main/#set-track-muted
        """
        if muted != self.muted:
            self.muted = muted
            self.emit("mute" if muted else "unmute")


class RTCRtpReceiver(rtp.RTCRtpReceiver):
    """aiortc's receiver, whose track is there from the start, and is in streams.

    Attributes:
        streams: The streams that the remote side has put the track in.
        receptive: Whether the remote side may send, by what is negotiated.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpreceiver-interface
    """

    def __init__(
        self, kind: str, transport: aiortc.RTCDtlsTransport, settings: IceSettings | None = None
    ) -> None:
        super().__init__(kind, transport, settings)
        self.streams: tuple[MediaStream, ...] = ()
        self.receptive = False
        self.remote_track = RemoteTrack(kind, self)
        self._named = False

    def expect_media(self) -> None:
        """Unmute the track when media comes."""
        self.receptive = True
        if self.remote_track.muted:
            loop = asyncio.get_running_loop()
            self.call_at_next_packet(lambda: loop.call_soon(self._media_comes))

    def source_left(self) -> None:
        """Mute the track until media comes again.

        In aiortc the track ends. But libwebrtc says goodbye for its sources when a negotiation
        makes it rebuild their streams, which then go on.

        Spec: https://w3c.github.io/webrtc-pc/#mediastreamtrack-network-use
        """
        if self.receptive:
            self.remote_track.set_muted_state(True)
            self.expect_media()

    def _media_comes(self) -> None:
        if self.receptive:
            self.remote_track.set_muted_state(False)

    def name_track(self, track_id: str | None) -> None:
        """Call the track as the remote side does when it first describes it, as aiortc does."""
        if not self._named and track_id is not None:
            set_track_id(self.remote_track, track_id)
        self._named = True


class RTCRtpSender(rtp.RTCRtpSender):
    """aiortc's sender, whose track is in streams.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtpsender-interface
    """

    transceiver: "RTCRtpTransceiver | None" = None

    def __init__(
        self, trackOrKind: aiortc.MediaStreamTrack | str, transport: aiortc.RTCDtlsTransport
    ) -> None:
        super().__init__(trackOrKind, transport)
        self.stream_ids: tuple[str, ...] = ()

    def setStreams(self, *streams: MediaStream | str) -> None:
        """Announce the track in other streams, given themselves or by their ids.

        Raises:
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-setstreams
        """
        owner = _owner_of(self.transceiver, "setStreams()")
        self.stream_ids = stream_ids(streams)
        owner.update_negotiation_needed_flag()

    def replaceTrack(self, track: aiortc.MediaStreamTrack | None) -> Awaitable[None]:  # type: ignore[override]
        """Send another track, or none, without negotiation.

        It has happened when this returns, as in aiortc, unless operations of the connection are
        under way, after which it happens.

        Returns:
            Something to await, if that matters.

        Raises:
            InvalidStateError: The transceiver is stopped, or the connection is closed.
            TypeError: The track is of another kind.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtpsender-replacetrack
        """
        if self.transceiver is None:
            self.set_track(track)
            return Done()
        owner = _owner_of(self.transceiver, "replaceTrack()")
        if track is not None and track.kind != self.kind:
            raise TypeError(f"A track of kind {track.kind} can't replace one of kind {self.kind}")
        self.transceiver.raise_if_stopped()
        if owner.operations.empty:
            self.set_track(track)
            return Done()
        return owner.in_background(owner.operations.run(lambda: self._replace_track(track)))

    def raise_if_stopped(self) -> None:
        """Raise InvalidStateError if the transceiver is stopped, or the connection is closed."""
        if self.transceiver is not None:
            _owner_of(self.transceiver, "setParameters()")
            self.transceiver.raise_if_stopped()

    def set_track(self, track: aiortc.MediaStreamTrack | None) -> None:
        """Set the track at once."""
        super().replaceTrack(track)

    async def _replace_track(self, track: aiortc.MediaStreamTrack | None) -> None:
        assert self.transceiver is not None
        self.transceiver.raise_if_stopped()
        self.set_track(track)


class RTCRtpTransceiver(AiortcRtpTransceiver):
    """aiortc's transceiver, whose changes cause `negotiationneeded`, and which can be stopped.

    Attributes:
        sender: Sends the local track.
        receiver: Receives the remote track.

    Spec: https://w3c.github.io/webrtc-pc/#rtcrtptransceiver-interface
    """

    sender: RTCRtpSender
    receiver: RTCRtpReceiver

    def __init__(
        self,
        kind: str,
        receiver: RTCRtpReceiver,
        sender: RTCRtpSender,
        direction: str = "sendrecv",
        owner: Owner | None = None,
    ) -> None:
        super().__init__(kind, receiver, sender, direction)
        self.owner = owner
        # [[Stopping]] and [[Stopped]].
        self.stopping = False
        self.stopped_for_good = False
        # Whether aiortc is looking, to which "stopped" is no direction.
        self.shown = False
        # The direction that track events were fired for last.
        self.fired_direction = "inactive"
        # Whether addTrack() made or took it, so that a remote section may be matched with it.
        self.added_by_track = False
        # "The sender has never been used to send."
        self.has_sent = False

    @property
    def direction(self) -> str:
        """The direction that the application wants, or `"stopped"`.

        Raises:
            InvalidStateError: The transceiver is stopped, or the connection is closed.
            TypeError: It is no direction.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-direction
        """
        return "stopped" if self.stopping and not self.shown else self.wanted_direction

    @direction.setter
    def direction(self, direction: str) -> None:
        owner = _owner_of(self, "direction")
        self.raise_if_stopped()
        if direction not in DIRECTIONS:
            raise TypeError(f"{direction!r} is no direction")
        # If newDirection is equal to transceiver.[[Direction]], abort these steps.
        if direction != self.wanted_direction:
            self.wanted_direction = direction
            owner.update_negotiation_needed_flag()

    def setCodecPreferences(self, codecs: list[aiortc.RTCRtpCodecCapability]) -> None:
        """Describe some codecs only, in an order of preference.

        Args:
            codecs: The codecs, of those of getCapabilities(); none for all of them, as they are.

        Raises:
            RuntimeError: This is not the thread of the connection's event loop.
            ValueError: One of them isn't supported.

        Spec: https://w3c.github.io/webrtc-pc/#rtcrtptransceiver-interface
        """
        if self.owner is not None:
            self.owner.home.check("setCodecPreferences()")
        super().setCodecPreferences(codecs)

    @property
    def currentDirection(self) -> str | None:
        """The direction that is negotiated, or None; `"stopped"` when that is what is negotiated.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-currentdirection
        """
        return "stopped" if self.stopped_for_good else self.negotiated_direction

    @property
    def stopped(self) -> bool:
        """Whether it neither sends nor receives any more."""
        return self.stopping

    def close(self) -> None:
        """Be stopped because the connection is closed, which then ends the tasks.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-stop-the-rtcrtptransceiver
        """
        self.stopping = self.stopped_for_good = True
        self.receiver.receptive = False
        self.receiver.remote_track.stop()

    def stop(self) -> Awaitable[None]:  # type: ignore[override]
        """Stop sending and receiving, for good, and tell the remote side by negotiation.

        It is stopped when this returns. Once that is negotiated, the connection forgets it, and
        its media section can be used again.

        Returns:
            Something to await, which is done when its tasks have ended.

        Raises:
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-stop
        """
        owner = _owner_of(self, "stop()")
        if self.stopping:
            return Done()
        task = self.stop_sending_and_receiving(owner)
        owner.update_negotiation_needed_flag()
        return task

    def stop_sending_and_receiving(self, owner: Owner) -> Awaitable[None]:
        """Stop without more ado.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-stop-sending-and-receiving
        """
        self.stopping = True
        self.receiver.receptive = False
        return owner.in_background(self.end())

    async def end(self) -> None:
        """End the remote track and the tasks, all of them even if aiortc fails to."""
        self.receiver.remote_track.stop()
        try:
            await self.receiver.stop()
        finally:
            try:
                await self.sender.stop()
            finally:
                self.abort()

    def abort(self) -> None:
        """End the tasks at once, without waiting for that."""
        abort_sender(self.sender)
        abort_receiver(self.receiver)

    def raise_if_stopped(self) -> None:
        """Raise InvalidStateError if it is stopped."""
        if self.stopping:
            raise InvalidStateError("RTCRtpTransceiver is stopped")


def _owner_of(transceiver: RTCRtpTransceiver | None, name: str) -> Owner:
    """Return the connection, which is to be changed by a call of that name."""
    owner = None if transceiver is None else transceiver.owner
    if owner is None or owner.is_closed:
        raise InvalidStateError("RTCPeerConnection is closed")
    owner.home.check(name)
    return owner
