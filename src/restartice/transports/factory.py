"""Makes the transports of a connection."""

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc import RTCBundlePolicy

from ..ice.gatherer import RTCIceGatherer
from ..ice.gathering.forgotten import OpenConnections
from ..ice.gathering.servers import RTCPeerConnectionIceErrorEvent
from ..ice.gathering.turn import Releases
from ..ice.transport import RTCIceTransport
from ..seam import ConnectionView
from ..settings import IceSettings
from .aggregate_states import AggregateStates
from .bundle import Bundle, dtls_transport, ice_transport, move
from .dtls import RTCDtlsTransport
from .resumption import resume

__all__ = ["TransportFactory"]


@dataclass(eq=False, repr=False)
class TransportFactory:
    """Makes DTLS transports with their ICE transports and gatherers."""

    view: ConnectionView
    bundle: Bundle
    states: AggregateStates
    settings: IceSettings
    # The connection's number, for the log.
    label: str
    # Called when a gatherer has new candidates, or has ended.
    on_candidates: Callable[[], None]
    # All transports made, including those that are being stopped in the background.
    made: weakref.WeakSet[RTCDtlsTransport] = field(default_factory=weakref.WeakSet, init=False)
    # Releases TURN allocations in the background.
    releases: Releases = field(default_factory=Releases, init=False)
    _open_connections: OpenConnections = field(default_factory=OpenConnections, init=False)
    _count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._open_connections.belong_to(self.view.viewed)

    def transport_for(self, kind: str) -> tuple[RTCDtlsTransport, bool]:
        """Return the transport for a new transceiver, and whether it is shared from the start.

        Spec: https://w3c.github.io/webrtc-pc/#rtcbundlepolicy-enum
        """
        policy = self.view.configuration.bundlePolicy
        peers = [t for t in self.view.transceivers if t.kind == kind]
        if policy is RTCBundlePolicy.MAX_BUNDLE:
            peers = self.bundle.users()
        dead = self.bundle.dead_transports()
        peers = [user for user in peers if dtls_transport(user) not in dead]
        if peers and policy is not RTCBundlePolicy.MAX_COMPAT:
            return dtls_transport(peers[0]), True
        return self.create_dtls_transport(), False

    def create_dtls_transport(self) -> RTCDtlsTransport:
        """Return the BUNDLE group's transport, or make a transport if there is no group.

        Once a group is negotiated, later sections use its transport. (RFC 9143 section 7)
        """
        return self.bundle.common_transport() or self._make()

    def leave_dead_transports(self) -> None:
        """Move users without a section away from transports whose sections are all stopped.

        Such a transport ends, and the peer makes another one for a new section.
        """
        dead = self.bundle.dead_transports()
        for user in self.bundle.users():
            if user.mid is None and dtls_transport(user) in dead:
                move(user, self._make())

    def _make(self) -> RTCDtlsTransport:
        label, states = f"{self.label}/{self._count}", self.states
        self._count += 1
        gatherer = self._make_gatherer(label)
        # First the attribute, then the transport's event, then the connection's.
        gatherer._core.state_listeners.append(states.note_ice_gathering_state)
        ice = RTCIceTransport(
            gatherer,
            on_state=states.ice_changed,
            on_resumed=functools.partial(resume, self.view),
        )
        gatherer._core.state_listeners.append(states.update_ice_gathering_state)
        dtls = RTCDtlsTransport(
            ice, self.view.certificates[:1], label=label, on_cancelled=states.end_with_program
        )
        dtls.on("statechange", states.update_connection_state)
        self.view.ice_transports.add(ice)
        self.view.dtls_transports.add(dtls)
        self.made.add(dtls)
        states.update()
        return dtls

    def _make_gatherer(self, label: str) -> RTCIceGatherer:
        # All transports have the same credentials, as in a BUNDLE group, except those of dead ones.
        dead = self.bundle.dead_transports()
        alive = (user for user in self.bundle.users() if dtls_transport(user) not in dead)
        credentials = next((ice_transport(user).credentials for user in alive), None)
        others = self.bundle.transports_by_use()
        return RTCIceGatherer(
            iceServers=self.view.configuration.iceServers,
            iceTransportPolicy=self.view.configuration.iceTransportPolicy,
            local_username=None if credentials is None else credentials.ufrag,
            local_password=None if credentials is None else credentials.password,
            settings=self.settings,
            releases=self.releases,
            open_connections=self._open_connections,
            pacer=next((other.gatherer.pacer for other in others), None),
            label=label,
            on_news=self.on_candidates,
            on_server_error=self._announce_server_error,
        )

    def _announce_server_error(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        """Report that a STUN or TURN server gave no candidate, or refuses to send.

        Spec: https://w3c.github.io/webrtc-pc/#event-icecandidateerror
        """
        self.view.emit("icecandidateerror", error)
