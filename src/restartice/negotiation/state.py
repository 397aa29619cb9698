"""The specification's slots of a connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiortc.sdp import SessionDescription

from ..ice.credentials import IceCredentials
from ..ice.handover import IceTransportCore
from ..sdp import description as sdp
from ..seam import ConnectionView, HookedPeerConnection
from ..transports.bundle import User

__all__ = ["CreatedDescription", "State"]


@dataclass(frozen=True)
class CreatedDescription:
    """The last result of createOffer() or createAnswer(), and what it was made from.

    Attributes:
        text: Its SDP.
        description: Its parsed form.
        credentials: The new credentials, by the transport that they restart.
        users: The transceivers and SCTP of its live sections, by index.
    """

    text: str
    description: sdp.Description
    credentials: Mapping[IceTransportCore, IceCredentials] = field(default_factory=dict)
    users: Mapping[int, User] = field(default_factory=dict)


class State(ConnectionView):
    """The slots of a connection. All parts read them; each is assigned by its owners only.

    Slots that aiortc has, too, are kept in its object. [[Operations]] is the OperationsChain, and
    [[DataChannels]] are in the SCTP transport. The slots of transceivers, senders and receivers are
    in their `_core`.

    Attributes:
        configuration: [[Configuration]]. Assigned by Core.
        certificates: The certificates of [[Configuration]], or one that aiortc has made. Assigned
            by Core.
        is_closed: [[IsClosed]]. Set before `closed_future`. Assigned by Closing.
        closed_future: aiortc's mark of a closed connection, set when the running operation has
            ended. Assigned by Closing.
        close_task: The task that closes the connection because the peer has closed DTLS, or because
            it has failed and wasn't restarted in time. Assigned by AggregateStates.
        negotiation_needed: [[NegotiationNeeded]]. Assigned by NeededFlag.
        update_negotiation_needed_flag_on_empty_chain: [[UpdateNegotiationNeededFlagOnEmptyChain]].
            Assigned by NeededFlag.
        local_ice_credentials_to_replace: [[LocalIceCredentialsToReplace]]. Assigned by
            RestartRequest.
        restart_ignored: Whether the peer has ignored the requested restart. Assigned by
            RestartRequest.
        servers_changed: Whether the next offer restarts ICE because the configuration has changed.
            Assigned by Core, RestartRequest.
        last_created: [[LastCreatedOffer]] and [[LastCreatedAnswer]], by type. Assigned by Offers.
        signaling_state: [[SignalingState]]. Assigned by Outcome.
        ice_gathering_state: [[IceGatheringState]]. Assigned by AggregateStates.
        ice_connection_state: [[IceConnectionState]]. Assigned by AggregateStates.
        connection_state: [[ConnectionState]]. Assigned by AggregateStates.
        current_local: [[CurrentLocalDescription]]. Assigned by Transaction, SectionMask.
        pending_local: [[PendingLocalDescription]]. Assigned by Transaction, SectionMask.
        current_remote: [[CurrentRemoteDescription]]. Assigned by Transaction, SectionMask.
        pending_remote: [[PendingRemoteDescription]]. Assigned by Transaction, SectionMask.
        transceivers: The connection's set of transceivers.
            Assigned by LocalTracks, Outcome, SectionMask.
        sctp_transport: [[SctpTransport]]. Assigned by DataChannels.
        sctp_mline_index: The index of its media section.
            Assigned by RemoteDescription, SectionMask.
        dtls_transports: The DTLS transports in use.
            Assigned by Bundle, DataChannels, TransportFactory.
        ice_transports: The ICE transports in use.
            Assigned by Bundle, DataChannels, TransportFactory.
        remote_dtls: The remote DTLS parameters, by transceiver or SCTP. Assigned by Outcome.
        remote_ice: The remote ICE parameters, by transceiver or SCTP. Assigned by Outcome.
        seen_mids: The mids that have been in use. Assigned by Transaction.

    Spec: https://w3c.github.io/webrtc-pc/#rtcpeerconnection-interface
    """

    def __init__(self, pc: HookedPeerConnection) -> None:
        super().__init__(pc)
        self.is_closed = False
        self.negotiation_needed = False
        self.update_negotiation_needed_flag_on_empty_chain = False
        self.local_ice_credentials_to_replace: set[IceCredentials] = set()
        self.restart_ignored = False
        self.servers_changed = False
        self.last_created: dict[str, CreatedDescription] = {}

    @property
    def local(self) -> SessionDescription | None:
        """The pending local description if there is one, else the current one, or None."""
        return self.pending_local or self.current_local

    @property
    def remote(self) -> SessionDescription | None:
        """The pending remote description if there is one, else the current one, or None."""
        return self.pending_remote or self.current_remote

    @property
    def we_offered(self) -> bool:
        """Whether the current local description is an offer; also if there is none yet."""
        return self.current_local is None or self.current_local.type == "offer"
