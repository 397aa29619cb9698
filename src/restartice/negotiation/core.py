"""What is behind a peer connection, so that the program's object shows aiortc's names only."""

import aiortc
from aiortc import InvalidStateError

from ..configuration import RTCConfiguration, in_force, validated
from ..ice.gatherer import RTCIceGatherer
from ..sdp import description as sdp
from ..seam import HookedPeerConnection
from ..settings import IceSettings
from .closing import Closing
from .local_description import LocalDescriptionSetter
from .remote_description import RemoteDescriptionSetter

__all__ = ["Core"]


class Core(LocalDescriptionSetter, RemoteDescriptionSetter):
    """What a peer connection hands its calls to.

    Args:
        pc: The program's object.
        settings: Those of ICE.
    """

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        super().__init__(pc, settings)
        self.closing = Closing(self)

    def raise_if_closed(self) -> None:
        """Raise InvalidStateError if the connection is closed."""
        if self.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")

    def configuration_in_force(self) -> RTCConfiguration:
        """Return a copy of the configuration.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getconfiguration
        """
        configuration = in_force(validated(self.configuration), self.certificates)
        if configuration.iceServers is None:
            configuration.iceServers = RTCIceGatherer.getDefaultIceServers()
        return configuration

    def set_configuration(self, configuration: aiortc.RTCConfiguration | None) -> None:
        """Put another configuration in force.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-setconfiguration
        """
        self.raise_if_closed()
        described = (self.current_local or self.pending_local) is not None
        self.configure(configuration, described=described)

    def restart_ice(self) -> None:
        """Let the next offer restart ICE.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-restartice
        """
        if self.is_closed:
            return
        # Empty [[LocalIceCredentialsToReplace]], and populate it with all ICE credentials found in
        # [[CurrentLocalDescription]] and [[PendingLocalDescription]].
        described = (self.current_local, self.pending_local)
        self.local_ice_credentials_to_replace = set().union(*map(sdp.credentials_in, described))
        self.restart_ignored = False
        self.failure_timer.start_again()
        # Update the negotiation-needed flag for connection.
        self.update_negotiation_needed_flag()

    def add_channel(self, channel: aiortc.RTCDataChannel) -> None:
        """Take note of a data channel that the program has created."""
        self.take_channel(channel)
        self.data_channel_created = True
        self.update_negotiation_needed_flag()
