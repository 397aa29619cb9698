"""The state behind a peer connection. The program's own object has aiortc's names only."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import aiortc
from aiortc import InvalidStateError

from ..configuration import RTCConfiguration, check_change, in_force, validated
from ..event_loop import LoopAffinity
from ..ice.gatherer import RTCIceGatherer
from ..logs import ObjectLogger, next_number
from ..seam import HookedPeerConnection, Hooks
from ..settings import IceSettings
from ..transports.aggregate_states import AggregateStates
from ..transports.background import BackgroundTasks
from ..transports.bundle import Bundle
from ..transports.connector import Connector
from ..transports.data_channels import DataChannels
from ..transports.factory import TransportFactory
from .closing import Closing
from .local_candidates import LocalCandidates
from .local_description import LocalDescription
from .local_tracks import LocalTracks
from .masking import SectionMask
from .needed_flag import NeededFlag
from .offers import Offers
from .outcome import Outcome
from .remote_candidates import RemoteCandidates
from .remote_description import RemoteDescription
from .restart import RestartRequest
from .state import State
from .transaction import Transaction

__all__ = ["Core"]

logger = logging.getLogger(__name__)


class Core:
    """Makes the parts of a peer connection, and connects them.

    Args:
        pc: The program's object.
        settings: The ICE settings.

    Attributes:
        hooks: Replacements for aiortc's private methods.
    """

    def __init__(self, pc: HookedPeerConnection, settings: IceSettings) -> None:
        number = str(next_number())
        self.log = log = ObjectLogger(logger, f"RTCPeerConnection({number})")
        self.home = LoopAffinity()
        self.state = state = State(pc)
        if certificates := validated(state.configuration).certificates:
            state.certificates = list(certificates)
        self.mask = mask = SectionMask(state)
        self._background = background = BackgroundTasks(log)
        self._bundle = bundle = Bundle(state)
        self.states = states = AggregateStates(state, bundle, settings.failed_timeout, log)
        self.remote_candidates = remote = RemoteCandidates(state, bundle, log)
        self.data_channels = channels = DataChannels(state, states, background, self.home, number)
        connector = Connector(state)
        self._needed_flag = flag = NeededFlag(state, channels, log)
        self.operations = operations = flag.operations
        self.local_candidates = LocalCandidates(state, bundle, states, operations)
        self.transports = transports = TransportFactory(
            state, bundle, states, settings, number, self.local_candidates.announce
        )
        self.restart = RestartRequest(state, states, flag, log)
        self.local_tracks = tracks = LocalTracks(state, mask, transports, flag, self, settings)
        self.offers = offers = Offers(state, mask, bundle, transports)
        outcome = Outcome(
            state, bundle, states, flag, self.restart, channels, connector, background, log
        )
        transaction = Transaction(state, bundle, states, channels, offers, outcome, log)
        self.local_description = LocalDescription(state, mask, offers, transaction)
        self.remote_description = RemoteDescription(
            state,
            mask,
            bundle,
            states,
            transports,
            tracks,
            remote,
            offers,
            outcome,
            transaction,
            log,
        )
        limit = settings.release_timeout
        self.closing = Closing(
            state, mask, operations, states, transports, outcome, connector, background, log, limit
        )
        self.hooks = Hooks(
            create_dtls_transport=transports.create_dtls_transport,
            create_sctp_transport=self.data_channels.create_sctp_transport,
            create_transceiver=self.local_tracks.create_transceiver,
            gather=self.local_candidates.gather,
            set_signaling_state=outcome.enter_signaling_state,
            update_connection_state=states.update_connection_state,
            update_ice_connection_state=states.update_ice_connection_state,
            update_ice_gathering_state=states.update_ice_gathering_state,
        )

    # Called by transceivers, senders and channels.

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""
        return self.state.is_closed

    def raise_if_closed(self) -> None:
        """Raise InvalidStateError if the connection is closed."""
        if self.state.is_closed:
            raise InvalidStateError("RTCPeerConnection is closed")

    def update_negotiation_needed_flag(self) -> None:
        """Check in a later task whether negotiation is needed."""
        self._needed_flag.update_negotiation_needed_flag()

    def in_background(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a job in the background, until the connection closes; log its failure."""
        return self._background.run(job)

    def add_channel(self, channel: aiortc.RTCDataChannel) -> None:
        """Add a data channel that the program has created."""
        self.data_channels.add(channel)
        self.update_negotiation_needed_flag()

    # The configuration.

    def configuration_in_force(self) -> RTCConfiguration:
        """Return a copy of the configuration.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-getconfiguration
        """
        configuration = in_force(validated(self.state.configuration), self.state.certificates)
        if configuration.iceServers is None:
            configuration.iceServers = RTCIceGatherer.getDefaultIceServers()
        return configuration

    def set_configuration(self, configuration: aiortc.RTCConfiguration | None) -> None:
        """Use another configuration from the next gathering on, which the next offer begins.

        "If the ICE servers or the policy change after gathering, the needs-ice-restart bit is set."
        (RFC 9429 section 4.1.18)

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-setconfiguration
        """
        self.raise_if_closed()
        new = validated(configuration)
        old = in_force(validated(self.state.configuration), self.state.certificates)
        check_change(old, new, described=self.state.local is not None)
        self.state.configuration = new
        transports = self._bundle.transports_by_use()
        if any(transport.gatherer.generation.has_gathered for transport in transports):
            changed = (new.iceServers, new.iceTransportPolicy) != (
                old.iceServers,
                old.iceTransportPolicy,
            )
            self.state.servers_changed |= changed
        for transport in transports:
            transport.gatherer.configure(new.iceServers, new.iceTransportPolicy)
