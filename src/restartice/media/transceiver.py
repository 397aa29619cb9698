"""RTCRtpTransceiver: aiortc's, with the negotiation rules of the specification."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import aiortc
from aiortc import InvalidStateError, rtcrtptransceiver

from ..seam import TransceiverView, abort_receiver, abort_sender
from .owner import Done, Owner
from .parameters import supported
from .receiver import RTCRtpReceiver
from .sender import RTCRtpSender

__all__ = ["DIRECTIONS", "RECEIVING", "SENDING", "RTCRtpTransceiver"]

SENDING: Final = frozenset({"sendrecv", "sendonly"})
RECEIVING: Final = frozenset({"sendrecv", "recvonly"})
DIRECTIONS: Final = frozenset({*SENDING, *RECEIVING, "inactive"})
WITH_SENDING: Final = {"recvonly": "sendrecv", "inactive": "sendonly"}
WITHOUT_SENDING: Final = {"sendrecv": "recvonly", "sendonly": "inactive"}


class TransceiverCore(TransceiverView):
    """The state of a transceiver for the connection.

    Attributes:
        owner: The connection, or None once it is closed.
        stopping: [[Stopping]]
        stopped: [[Stopped]]
        shown: Whether aiortc works on it, which doesn't know the direction "stopped".
        fired_direction: [[FiredDirection]], the direction of the last track event.
        added_by_track: Whether addTrack() created or reused it, so a remote section may be matched
            with it.
        has_sent: Whether "the sender has ever been used to send".
    """

    def __init__(self, transceiver: "RTCRtpTransceiver", owner: Owner | None) -> None:
        super().__init__(transceiver)
        self._sender, self._receiver = transceiver.sender, transceiver.receiver
        self.owner = owner
        self.stopping = False
        self.stopped = False
        self.shown = False
        self.fired_direction = "inactive"
        self.added_by_track = False
        self.has_sent = False

    def owner_for(self, name: str) -> Owner:
        """Return the connection, for a call of that name.

        Raises:
            InvalidStateError: The connection is closed.
            RuntimeError: This is not the thread of the connection's event loop.
        """
        owner = self.owner
        if owner is None or owner.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        owner.home.check(name)
        return owner

    @property
    def is_sending(self) -> bool:
        """Whether it is negotiated to send, and not stopped."""
        return not self.stopping and self.negotiated_direction in SENDING

    def raise_if_stopped(self) -> None:
        """Raise InvalidStateError if it is stopped."""
        if self.stopping:
            raise InvalidStateError("RTCRtpTransceiver is stopped")

    def add_track(self, track: aiortc.MediaStreamTrack, streams: tuple[str, ...]) -> None:
        """Send a track, as addTrack() does with a new transceiver and with one that it reuses."""
        self._sender._core.set_track(track)
        self._sender._core.set_streams(streams)
        self.wanted_direction = WITH_SENDING.get(self.wanted_direction, self.wanted_direction)
        self.added_by_track = True

    def remove_track(self) -> None:
        """Send no track, as removeTrack() does."""
        self._sender._core.set_track(None)
        self.wanted_direction = WITHOUT_SENDING.get(self.wanted_direction, self.wanted_direction)

    def show(self, *, shown: bool) -> None:
        """Note whether aiortc works on it."""
        self.shown = shown

    def note_fired(self, direction: str) -> None:
        """Note the direction that a remote description has."""
        self.fired_direction = direction

    def note_negotiated(self, parameters: aiortc.RTCRtpParameters) -> None:
        """Note what is negotiated to be sent and received, in the negotiated direction."""
        self.has_sent |= self.negotiated_direction in SENDING
        self._sender._core.note_negotiated(parameters)
        self._receiver._core.note_negotiated(parameters)

    def forget_owner(self) -> None:
        """Forget the connection, which is closed."""
        self.owner = None

    def close(self) -> None:
        """Stop because the connection is closed, which then ends the tasks.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-stop-the-rtcrtptransceiver
        """
        self.stopping = self.stopped = True
        receiving = self._receiver._core
        receiving.end()
        receiving.track.stop()

    def stop_sending_and_receiving(
        self, in_background: Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
    ) -> Awaitable[None]:
        """Stop at once; the tasks end in the background.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-stop-sending-and-receiving
        """
        self.stopping = True
        self.wanted_direction = "inactive"
        self._receiver._core.end()
        return in_background(self.end())

    def stop_for_good(
        self, in_background: Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
    ) -> None:
        """Stop, because its media section is rejected."""
        if not self.stopping:
            self.stop_sending_and_receiving(in_background)
        self.stopped = True

    async def end(self) -> None:
        """End the remote track and the tasks, all of them even if aiortc fails to."""
        self._receiver._core.track.stop()
        try:
            await self._receiver.stop()
        finally:
            try:
                await self._sender.stop()
            finally:
                self.abort()

    def abort(self) -> None:
        """End the tasks at once, without waiting."""
        abort_sender(self._sender)
        abort_receiver(self._receiver)


class RTCRtpTransceiver(rtcrtptransceiver.RTCRtpTransceiver):
    """aiortc's transceiver; its changes fire `negotiationneeded`, and stop() is negotiated.

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
        self._core = TransceiverCore(self, owner)

    @property
    def direction(self) -> str:
        """The direction that the application wants, or `"stopped"`.

        Raises:
            InvalidStateError: The transceiver is stopped, or the connection is closed.
            TypeError: The value isn't a direction.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-direction
        """
        core = self._core
        return "stopped" if core.stopping and not core.shown else core.wanted_direction

    @direction.setter
    def direction(self, direction: str) -> None:
        core = self._core
        owner = core.owner_for("direction")
        core.raise_if_stopped()
        if direction not in DIRECTIONS:
            raise TypeError(f"expected one of {sorted(DIRECTIONS)}, got {direction!r}")
        # If newDirection is equal to transceiver.[[Direction]], abort these steps.
        if direction != core.wanted_direction:
            core.wanted_direction = direction
            owner.update_negotiation_needed_flag()

    def setCodecPreferences(self, codecs: list[aiortc.RTCRtpCodecCapability]) -> None:
        """Offer these codecs only, in an order of preference.

        Args:
            codecs: Codecs of getCapabilities(); an empty list for all of them.

        Raises:
            RuntimeError: This is not the thread of the connection's event loop.
            TypeError: A value isn't a codec.
            InvalidModificationError: A codec isn't supported, or none of them carries media. A
                ValueError, as in aiortc.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-setcodecpreferences
        """
        if (owner := self._core.owner) is not None:
            owner.home.check("setCodecPreferences()")
        capabilities = RTCRtpReceiver.getCapabilities(self.kind)
        assert capabilities is not None
        super().setCodecPreferences(supported(codecs, capabilities.codecs))

    @property
    def currentDirection(self) -> str | None:
        """The negotiated direction, also `"stopped"`; None before the first negotiation.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-currentdirection
        """
        return "stopped" if self._core.stopped else self._core.negotiated_direction

    @property
    def stopped(self) -> bool:
        """Whether stop() was called, or the connection is closed."""
        return self._core.stopping

    def stop(self) -> Awaitable[None]:  # type: ignore[override]
        """Stop sending and receiving for good; `negotiationneeded` fires.

        It is stopped when this returns. An answer says `inactive`; our next offer rejects its media
        section. After that negotiation the connection drops it, and the section can be used again.

        Returns:
            An awaitable, which is done when its tasks have ended.

        Raises:
            InvalidStateError: The connection is closed.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcrtptransceiver-stop
        """
        owner = self._core.owner_for("stop()")
        if self._core.stopping:
            return Done()
        task = self._core.stop_sending_and_receiving(owner.in_background)
        owner.update_negotiation_needed_flag()
        return task
