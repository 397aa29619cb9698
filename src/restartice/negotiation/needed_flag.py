"""The negotiation-needed flag, and the operations chain that it waits for."""

import asyncio
from typing import TYPE_CHECKING

from aiortc.sdp import SessionDescription

from ..logs import ObjectLogger
from ..sdp import description as sdp
from ..sdp.text import described_streams
from ..seam import is_suspended
from ..transports.data_channels import DataChannels
from .needed import NegotiationSnapshot, Section, TransceiverSnapshot, is_negotiation_needed
from .operations import OperationsChain
from .reminders import Reminders
from .signaling_state import SignalingState
from .state import State

if TYPE_CHECKING:
    from ..media.transceiver import RTCRtpTransceiver

__all__ = ["NeededFlag"]


class NeededFlag:
    """Fires `negotiationneeded`, once for each need, and never while operations are queued.

    Args:
        state: The slots of the connection.
        data_channels: The data channels of the connection.
        log: The connection's log.

    Attributes:
        operations: [[Operations]]
        reminders: Warns if nothing listens for `negotiationneeded`.
    """

    def __init__(self, state: State, data_channels: DataChannels, log: ObjectLogger) -> None:
        self.state = state
        self.data_channels = data_channels
        self.operations = OperationsChain(on_empty=self._operations_emptied)
        self.reminders = Reminders(self._is_restart_unheard, log.object_name)

    def clear_and_update(self) -> None:
        """Clear the flag at the end of a negotiation, and check whether another one is needed."""
        self.state.negotiation_needed = False
        self.update_negotiation_needed_flag()

    def update_negotiation_needed_flag(self) -> None:
        """Check in a later task whether negotiation is needed.

        Spec: https://w3c.github.io/webrtc-pc/#dfn-update-the-negotiation-needed-flag
        """
        loop = _running_loop()
        # If the length of connection.[[Operations]] is not 0, check again when it is. So also if no
        # event loop is running yet: aiortc can add tracks without one.
        if not self.operations.empty or loop is None:
            self.state.update_negotiation_needed_flag_on_empty_chain = True
        else:
            loop.call_soon(self._update_negotiation_needed)

    def _update_negotiation_needed(self) -> None:
        # If connection.[[IsClosed]] is true, abort these steps.
        if self.state.is_closed:
            return
        # If the length of connection.[[Operations]] is not 0, check again when it is.
        if not self.operations.empty:
            self.state.update_negotiation_needed_flag_on_empty_chain = True
            return
        # If connection.[[SignalingState]] is not "stable", abort. It is checked again when stable.
        if self.state.signaling_state != SignalingState.STABLE:
            return
        # If negotiation isn't needed, clear the flag; if the flag is set already, abort.
        needed = is_negotiation_needed(self._negotiation_snapshot())
        if needed and not self.state.negotiation_needed:
            self.state.negotiation_needed = True
            self.state.emit("negotiationneeded")
        self.state.negotiation_needed = needed
        self.reminders.restart_needed()

    def _is_restart_unheard(self) -> bool:
        state = self.state
        wanted = bool(state.local_ice_credentials_to_replace) and state.negotiation_needed
        # A running operation may be the offer.
        waiting = wanted and self.operations.empty and not state.is_closed
        return waiting and not state.viewed.listeners("negotiationneeded")

    def _operations_emptied(self) -> None:
        if self.state.update_negotiation_needed_flag_on_empty_chain:
            self.state.update_negotiation_needed_flag_on_empty_chain = False
            self.update_negotiation_needed_flag()

    def _negotiation_snapshot(self) -> NegotiationSnapshot:
        replace = bool(self.state.local_ice_credentials_to_replace)
        return NegotiationSnapshot(
            # Departure: after a peer has ignored a restart, the request waits for the next offer
            # with another reason. Otherwise we would offer restart after restart.
            restart_requested=replace and not self.state.restart_ignored,
            data_channel_created=self.data_channels.created,
            transceivers=tuple(map(_snapshot, self.state.transceivers)),
            local=sections(self.state.current_local),
            remote=sections(self.state.current_remote),
            we_offered=self.state.we_offered,
        )


def _snapshot(transceiver: "RTCRtpTransceiver") -> TransceiverSnapshot:
    core, streams = transceiver._core, transceiver.sender._core.stream_ids
    # A section without a common codec can't have another direction, however often it is offered.
    suspended = is_suspended(core.codecs, transceiver.kind)
    direction = "inactive" if suspended else core.wanted_direction
    return TransceiverSnapshot(transceiver.mid, direction, core.stopping, streams)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def sections(description: SessionDescription | None) -> dict[str, Section]:
    """Return the live sections of a description, by mid."""
    return {
        media.rtp.muxId: Section(
            media.kind, media.direction or "sendrecv", described_streams(media.msid)
        )
        for _, media in sdp.live_sections(description)
    }
