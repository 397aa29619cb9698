"""The operations chain of a connection, and the flag that says if negotiation is needed."""

import asyncio
from typing import TYPE_CHECKING

from aiortc.sdp import SessionDescription

from ..sdp import description as sdp
from ..sdp.text import described_streams
from ..seam import HookedPeerConnection
from ..settings import IceSettings
from .local_candidates import CandidateAnnouncer
from .needed import NegotiationSnapshot, Section, TransceiverSnapshot, is_negotiation_needed
from .operations import OperationsChain
from .reminders import Reminders
from .signaling_state import SignalingState

if TYPE_CHECKING:
    from ..ice.credentials import IceCredentials
    from ..media.transceiver import RTCRtpTransceiver

__all__ = ["NegotiationNeeded"]


class NegotiationNeeded(CandidateAnnouncer):
    """What fires `negotiationneeded`: never while operations are queued, once for each need."""

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        self.operations = OperationsChain(on_empty=self._operations_emptied)
        self.data_channel_created = False
        self.restart_ignored = False
        self.we_offered = True
        # What the spec calls [[LocalIceCredentialsToReplace]], [[NegotiationNeeded]] and
        # [[UpdateNegotiationNeededFlagOnEmptyChain]].
        self.local_ice_credentials_to_replace: set[IceCredentials] = set()
        self.negotiation_needed = False
        self._update_negotiation_needed_flag_on_empty_chain = False
        self.reminders = Reminders(self._is_restart_unheard)

    def update_negotiation_needed_flag(self) -> None:
        """Find out in a later task if negotiation is needed.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-update-the-negotiation-needed-flag
        """
        loop = _running_loop()
        # If the length of connection.[[Operations]] is not 0, ask again when it is. So also when
        # there is no event loop yet, which aiortc doesn't need for adding tracks.
        if not self.operations.empty or loop is None:
            self._update_negotiation_needed_flag_on_empty_chain = True
        else:
            loop.call_soon(self._update_negotiation_needed)

    def _update_negotiation_needed(self) -> None:
        # If connection.[[IsClosed]] is true, abort these steps.
        if self.is_closed:
            return
        # If the length of connection.[[Operations]] is not 0, ask again when it is.
        if not self.operations.empty:
            self._update_negotiation_needed_flag_on_empty_chain = True
            return
        # If connection.[[SignalingState]] is not "stable", abort: it is asked again then.
        if self.signaling_state != SignalingState.STABLE:
            return
        # If negotiation isn't needed, clear the flag; if the flag is set already, abort.
        needed = is_negotiation_needed(self._negotiation_snapshot())
        if needed and not self.negotiation_needed:
            self.negotiation_needed = True
            self.emit("negotiationneeded")
        self.negotiation_needed = needed
        self.reminders.restart_needed()

    def _is_restart_unheard(self) -> bool:
        wanted = bool(self.local_ice_credentials_to_replace) and self.negotiation_needed
        # An operation under way may be the offer.
        waiting = wanted and self.operations.empty and not self.is_closed
        return waiting and not self.viewed.listeners("negotiationneeded")

    def _operations_emptied(self) -> None:
        if self._update_negotiation_needed_flag_on_empty_chain:
            self._update_negotiation_needed_flag_on_empty_chain = False
            self.update_negotiation_needed_flag()

    def _negotiation_snapshot(self) -> NegotiationSnapshot:
        replace = bool(self.local_ice_credentials_to_replace)
        return NegotiationSnapshot(
            # Departure: a peer that ignores restarts would be offered one after the other, so
            # the request waits for the next offer that has another reason.
            restart_requested=replace and not self.restart_ignored,
            data_channel_created=self.data_channel_created,
            transceivers=tuple(map(_snapshot, self.transceivers)),
            local=sections(self.current_local),
            remote=sections(self.current_remote),
            we_offered=self.we_offered,
        )


def _snapshot(transceiver: "RTCRtpTransceiver") -> TransceiverSnapshot:
    core, streams = transceiver._core, transceiver.sender._core.stream_ids
    return TransceiverSnapshot(transceiver.mid, core.wanted_direction, core.stopping, streams)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def sections(description: SessionDescription | None) -> dict[str, Section]:
    """Return what is to be known of the media sections to tell if negotiation is needed."""
    return {
        media.rtp.muxId: Section(
            media.kind, media.direction or "sendrecv", described_streams(media.msid)
        )
        for _, media in sdp.live_sections(description)
    }
