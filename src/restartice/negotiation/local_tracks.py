"""The tracks that the application sends, and their transceivers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import aiortc
from aiortc import InvalidAccessError, InvalidStateError
from aiortc.exceptions import InternalError

from ..media.owner import Owner
from ..media.parameters import RTCRtpEncodingParameters, usable_encodings
from ..media.receiver import RTCRtpReceiver
from ..media.sender import RTCRtpSender
from ..media.streams import MediaStream, check_track, stream_ids
from ..media.transceiver import DIRECTIONS, SENDING, RTCRtpTransceiver
from ..seam import pair
from ..settings import IceSettings
from ..transports.factory import TransportFactory
from .masking import SectionMask
from .needed_flag import NeededFlag
from .state import State

__all__ = ["LocalTracks"]

KINDS = frozenset({"audio", "video"})


@dataclass(eq=False, repr=False)
class LocalTracks:
    """The operations addTrack(), removeTrack() and addTransceiver(); makes transceivers."""

    state: State
    mask: SectionMask
    transports: TransportFactory
    needed_flag: NeededFlag
    owner: Owner
    settings: IceSettings
    # How many transceivers were made.
    _count: int = field(default=0, init=False)

    def create_transceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> RTCRtpTransceiver:
        """Make a transceiver and add it to the connection's set.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-create-an-rtcrtptransceiver
        """
        transport, shared = self.transports.transport_for(kind)
        label = f"{self.transports.label}/{self._count}"
        self._count += 1
        sender = RTCRtpSender(sender_track or kind, transport, label=label)
        # Departure: without streams, the track is in the connection's own stream, as in aiortc.
        sender._core.set_streams((self.state.stream_id,))
        receiver = RTCRtpReceiver(kind, transport, self.settings, label=label)
        transceiver = RTCRtpTransceiver(kind, receiver, sender, direction, self.owner)
        sender._core.join(transceiver, self.state.cname)
        pair(transceiver, receiver._core.track, shared=shared)
        self.state.transceivers.append(transceiver)
        return transceiver

    def add_track(
        self, track: aiortc.MediaStreamTrack, streams: Iterable[MediaStream | str]
    ) -> RTCRtpSender:
        """Send a track.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtrack
        """
        check_track(track)
        ids = stream_ids(streams) or (self.state.stream_id,)
        self._check_addition(track.kind, track)
        transceiver = self._reusable_for(track.kind)
        if transceiver is None:
            transceiver = self.create_transceiver("sendrecv", track.kind, track)
        transceiver._core.add_track(track, ids)
        self.needed_flag.update_negotiation_needed_flag()
        return transceiver.sender

    def add_transceiver(
        self,
        track_or_kind: aiortc.MediaStreamTrack | str,
        direction: str,
        streams: Iterable[MediaStream | str] | None,
        encodings: Iterable[RTCRtpEncodingParameters] | None,
    ) -> RTCRtpTransceiver:
        """Add a transceiver.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-addtransceiver
        """
        if isinstance(track_or_kind, str):
            kind, track = track_or_kind, None
        else:
            check_track(track_or_kind)
            kind, track = track_or_kind.kind, track_or_kind
        usable = usable_encodings(kind, encodings)
        ids = None if streams is None else stream_ids(streams)
        if direction not in DIRECTIONS:
            raise InternalError(f'Invalid direction "{direction}"')
        self._check_addition(kind, track)
        transceiver = self.create_transceiver(direction, kind, track)
        if ids is not None:
            transceiver.sender._core.set_streams(ids)
        transceiver.sender._core.encode_as(usable)
        self.needed_flag.update_negotiation_needed_flag()
        return transceiver

    def remove_track(self, sender: aiortc.RTCRtpSender) -> None:
        """Stop sending a track.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-removetrack
        """
        if self.state.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        # If sender was not created by connection, throw an InvalidAccessError.
        transceiver = sender._core.transceiver if isinstance(sender, RTCRtpSender) else None
        if transceiver is None or transceiver._core.owner is not self.owner:
            raise InvalidAccessError("The sender belongs to another connection")
        # If the sender is not in the connection's set (such as after a rollback), its transceiver
        # is stopped, or it has no track, abort these steps.
        known = transceiver in self.mask.transceivers and not transceiver._core.stopping
        if not known or sender.track is None:
            return
        transceiver._core.remove_track()
        self.needed_flag.update_negotiation_needed_flag()

    def _check_addition(self, kind: str, track: aiortc.MediaStreamTrack | None) -> None:
        if self.state.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")
        if kind not in KINDS:
            raise InternalError(f'Invalid track kind "{kind}"')
        senders = [t.sender for t in self.mask.transceivers if not t._core.stopping]
        if track is not None and any(sender.track is track for sender in senders):
            raise InvalidAccessError("Track already has a sender")

    def _reusable_for(self, kind: str) -> RTCRtpTransceiver | None:
        """Return a transceiver whose sender can take a track, or None.

        "The sender's track is null, the kind matches, [[Stopping]] is false, and the sender has
        never been used to send."
        """
        transceivers: list[RTCRtpTransceiver] = self.mask.transceivers
        for transceiver in transceivers:
            free = transceiver.sender.track is None and not transceiver._core.stopping
            unused = not transceiver._core.has_sent and transceiver.currentDirection not in SENDING
            if transceiver.kind == kind and free and unused:
                return transceiver
        return None
