"""The request of restartIce(), until it is negotiated."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..ice.handover import IceTransportCore
from ..logs import ObjectLogger
from ..sdp import description as sdp
from ..transports.aggregate_states import AggregateStates
from .needed_flag import NeededFlag
from .state import State

__all__ = ["RestartRequest"]


@dataclass(eq=False, repr=False)
class RestartRequest:
    """The request to restart ICE. It stays until an offer has restarted ICE."""

    state: State
    states: AggregateStates
    needed_flag: NeededFlag
    log: ObjectLogger

    def make(self) -> None:
        """Make the next offer restart ICE.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-restartice
        """
        state = self.state
        if state.is_closed:
            return
        # Empty [[LocalIceCredentialsToReplace]], and populate it with all ICE credentials found in
        # [[CurrentLocalDescription]] and [[PendingLocalDescription]].
        described = (state.current_local, state.pending_local)
        state.local_ice_credentials_to_replace = set().union(*map(sdp.credentials_in, described))
        state.restart_ignored = False
        self.states.failure_timer.start_again()
        self.log.info("restart asked for")
        # Update the negotiation-needed flag for connection.
        self.needed_flag.update_negotiation_needed_flag()

    def conclude(self, transports: Iterable[IceTransportCore]) -> None:
        """Restart ICE on the negotiated transports where both sides agree."""
        state = self.state
        state.restart_ignored = False
        restarted = False
        for transport in transports:
            asked = transport.restarting
            restarted |= asked
            if not transport.commit():
                self._note_refusal(transport, asked=asked)
        if state.restart_ignored:
            return
        # What has restarted has gathered with the configuration in force.
        state.servers_changed &= not restarted
        # If none of the ICE credentials in [[LocalIceCredentialsToReplace]] exist in the new
        # [[CurrentLocalDescription]], empty the set. Not after a restart that the peer ignored: the
        # description has new credentials then, but ICE hasn't restarted.
        if not state.local_ice_credentials_to_replace & sdp.credentials_in(state.current_local):
            state.local_ice_credentials_to_replace.clear()

    def _note_refusal(self, transport: IceTransportCore, *, asked: bool) -> None:
        # Departure: for RFC 9429 such an answer is an error, but deployed peers send it.
        if asked:
            self.log.warning("the answer ignores the ICE restart; the previous pair stays in use")
            self.state.local_ice_credentials_to_replace.add(transport.credentials)
            self.state.restart_ignored = True
        else:
            self.log.warning("the answer restarts ICE unasked; the previous pair stays in use")
