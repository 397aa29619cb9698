"""What follows from media sections that a description rejects."""

import aiortc

from ..media.transceiver import RTCRtpTransceiver
from ..sdp import description as sdp
from ..seam import HookedPeerConnection, dissociate
from ..settings import IceSettings
from ..transports.bundle import dtls_transport
from .remote_candidates import CandidateReceiver
from .signaling_state import SignalingState

__all__ = ["RejectionFollower"]


class RejectionFollower(CandidateReceiver):
    """What stops transceivers, SCTP and transports that are negotiated not to be."""

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        # Transceivers that a description has made superfluous, until it is applied.
        self.abandoned: list[RTCRtpTransceiver] = []

    def stop_rejected(self, state: SignalingState) -> list[RTCRtpTransceiver]:
        """Stop what a description rejects, which can't be taken back; return it."""
        stopped, self.abandoned = self.abandoned, []
        counting = [self.pending_remote or self.current_remote]
        if state is SignalingState.STABLE:
            counting = [self.current_remote, self.current_local]
        rejected = set[str]().union(*map(sdp.rejected_mids, counting))
        for transceiver in self.transceivers:
            is_rejected = transceiver.mid is not None and transceiver.mid in rejected
            if is_rejected or transceiver._core.stopped:
                stopped.append(transceiver)
        for transceiver in stopped:
            self._stop_for_good(transceiver)
            # One that a remote offer rejects stays associated until the answer.
            if state is SignalingState.STABLE or transceiver not in self.transceivers:
                self._dissociate(transceiver)
        if state is SignalingState.STABLE:
            # Remove stopped transceivers from the connection's set.
            self.transceivers[:] = [t for t in self.transceivers if not t._core.stopped]
        if (sctp := self.sctp_transport) is not None and sctp.mid in rejected:
            self.in_background(sctp.stop())
            self.sctp_transport, self.data_channel_created = None, False
        return stopped

    def _stop_for_good(self, transceiver: RTCRtpTransceiver) -> None:
        if not transceiver._core.stopping:
            transceiver._core.stop_sending_and_receiving(self)
        transceiver._core.stopped = True

    def _dissociate(self, transceiver: RTCRtpTransceiver) -> None:
        dissociate(transceiver)
        self.remote_dtls.pop(transceiver, None)
        self.remote_ice.pop(transceiver, None)

    def unused_transports(self) -> set[aiortc.RTCDtlsTransport]:
        """Return transports on which nothing is left, and forget them."""
        unused = self.dtls_transports - {dtls_transport(user) for user in self.users()}
        for transport in unused:
            self.dtls_transports.discard(transport)
            self.ice_transports.discard(transport.transport)
        return unused
