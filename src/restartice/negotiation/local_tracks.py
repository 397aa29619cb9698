"""The tracks that the application sends, and the transceivers it adds for them."""

from collections.abc import Iterable

import aiortc
from aiortc import InvalidAccessError, InvalidStateError
from aiortc.exceptions import InternalError

from ..media.receiver import RTCRtpReceiver
from ..media.sender import RTCRtpSender
from ..media.streams import MediaStream, stream_ids
from ..media.transceiver import DIRECTIONS, SENDING, RTCRtpTransceiver
from ..seam import pair
from .masking import Descriptions, Shown
from .needed_flag import NegotiationNeeded

__all__ = ["LocalTracks"]

KINDS = frozenset({"audio", "video"})
WITH_SENDING = {"recvonly": "sendrecv", "inactive": "sendonly"}
WITHOUT_SENDING = {"sendrecv": "recvonly", "sendonly": "inactive"}


class LocalTracks(NegotiationNeeded):
    """What addTrack, removeTrack and addTransceiver do, and how a transceiver is made."""

    shown: Shown | None = None

    def all_transceivers(self) -> list[RTCRtpTransceiver]:
        """Return the transceivers, whatever aiortc is shown."""
        if self.shown is None or self.shown.left:
            return self.transceivers
        return self.shown.transceivers

    def all_descriptions(self) -> Descriptions:
        """Return the descriptions, whatever aiortc is shown."""
        if self.shown is None or self.shown.left:
            return Descriptions.of(self)
        return self.shown.descriptions

    def reveal(self) -> None:
        """Let aiortc see everything."""
        if self.shown is not None:
            self.shown.leave()

    def create_transceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> RTCRtpTransceiver:
        """Make a transceiver and add it to the connection's set.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-rtcrtptransceiver
        """
        transport, shared = self.transport_for(kind)
        sender = RTCRtpSender(sender_track or kind, transport)
        # Departure: without streams given, the track is in one of the connection's, as in aiortc.
        sender._core.stream_ids = (self.stream_id,)
        receiver = RTCRtpReceiver(kind, transport, self.ice_settings)
        transceiver = RTCRtpTransceiver(kind, receiver, sender, direction, self)
        sender._core.transceiver = transceiver
        pair(transceiver, receiver._core.track, shared=shared)
        self.transceivers.append(transceiver)
        return transceiver

    def add_track(
        self, track: aiortc.MediaStreamTrack, streams: Iterable[MediaStream | str]
    ) -> RTCRtpSender:
        """Add a track to those which are sent.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtrack
        """
        ids = stream_ids(streams) or (self.stream_id,)
        self._check_addition(track.kind, track)
        transceiver = self._reusable_for(track.kind)
        if transceiver is None:
            transceiver = self.create_transceiver("sendrecv", track.kind, track)
        else:
            transceiver.sender._core.set_track(track)
            wanted = transceiver._core.wanted_direction
            transceiver._core.wanted_direction = WITH_SENDING.get(wanted, wanted)
        transceiver.sender._core.stream_ids = ids
        transceiver._core.added_by_track = True
        self.update_negotiation_needed_flag()
        return transceiver.sender

    def add_transceiver(
        self,
        track_or_kind: aiortc.MediaStreamTrack | str,
        direction: str,
        streams: Iterable[MediaStream | str] | None,
    ) -> RTCRtpTransceiver:
        """Add a transceiver.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtransceiver
        """
        ids = None if streams is None else stream_ids(streams)
        track = None if isinstance(track_or_kind, str) else track_or_kind
        kind = track_or_kind if isinstance(track_or_kind, str) else track_or_kind.kind
        if direction not in DIRECTIONS:
            raise InternalError(f'Invalid direction "{direction}"')
        self._check_addition(kind, track)
        transceiver = self.create_transceiver(direction, kind, track)
        if ids is not None:
            transceiver.sender._core.stream_ids = ids
        self.update_negotiation_needed_flag()
        return transceiver

    def remove_track(self, sender: aiortc.RTCRtpSender) -> None:
        """Stop sending a track.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-removetrack
        """
        if self.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        # If sender was not created by connection, throw an InvalidAccessError.
        transceiver = sender._core.transceiver if isinstance(sender, RTCRtpSender) else None
        if transceiver is None or transceiver._core.owner is not self:
            raise InvalidAccessError("The sender is another connection's")
        # If sender is not in the connection's set, which a rollback may have done, or its
        # transceiver is stopped, or it has no track, abort these steps.
        known = transceiver in self.all_transceivers() and not transceiver._core.stopping
        if not known or sender.track is None:
            return
        transceiver.sender._core.set_track(None)
        wanted = transceiver._core.wanted_direction
        transceiver._core.wanted_direction = WITHOUT_SENDING.get(wanted, wanted)
        self.update_negotiation_needed_flag()

    def _check_addition(self, kind: str, track: aiortc.MediaStreamTrack | None) -> None:
        if self.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        if kind not in KINDS:
            raise InternalError(f'Invalid track kind "{kind}"')
        senders = [t.sender for t in self.all_transceivers() if not t._core.stopping]
        if track is not None and any(sender.track is track for sender in senders):
            raise InvalidAccessError("Track already has a sender")

    def _reusable_for(self, kind: str) -> RTCRtpTransceiver | None:
        """Return a transceiver whose sender can take a track, or None.

        "The sender's track is null, the kind matches, [[Stopping]] is false, and the sender has
        never been used to send."
        """
        for transceiver in self.all_transceivers():
            free = transceiver.sender.track is None and not transceiver._core.stopping
            unused = not transceiver._core.has_sent and transceiver.currentDirection not in SENDING
            if transceiver.kind == kind and free and unused:
                return transceiver
        return None
