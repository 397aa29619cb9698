"""The ICE gatherer, which gathers candidates for each generation."""

import logging
import weakref
from collections.abc import Callable

import aiortc
from aiortc import rtcicetransport
from aiortc.exceptions import OperationError

from ..events import Emitter
from ..logs import ObjectLogger, next_number
from ..seam import IceGathererView, transport_policy
from ..settings import IceSettings, or_default
from .checks.schedule import CheckPacer
from .credentials import IceCredentials
from .datagrams import DatagramQueue
from .gathering.context import ConnectionContext, Observer
from .gathering.forgotten import OpenConnections
from .gathering.servers import RTCPeerConnectionIceErrorEvent, read_servers, validated_servers
from .gathering.turn import Releases
from .generation import IceGeneration
from .incoming.guard import Discards
from .making import make_ice_connection

__all__ = ["GathererCore", "RTCIceGatherer"]

logger = logging.getLogger(__name__)


class GathererCore(IceGathererView):
    """The state behind an RTCIceGatherer.

    Attributes:
        generation: The generation to describe and to gather for.
        pacer: The pace of the checks, which all transports of an agent share.
        context: The settings and collaborators of its connections.
        datagrams: The packets received on its connections.
        observer: The transport, which receives the connections' events; None before there is one.
        tell_news: Reports new candidates, or the end of gathering.
        server_failed: Reports a server that gave no candidate, or refuses to send.
    """

    def __init__(
        self,
        gatherer: "RTCIceGatherer",
        servers: list[aiortc.RTCIceServer] | None,
        policy: aiortc.RTCIceTransportPolicy,
        *,
        settings: IceSettings,
        label: str | None,
        releases: Releases | None,
        open_connections: OpenConnections | None,
        pacer: CheckPacer | None,
        on_news: Callable[[], None],
        on_server_error: Callable[[RTCPeerConnectionIceErrorEvent], None],
    ) -> None:
        super().__init__(gatherer)
        self._ice_servers = gatherer.getDefaultIceServers() if servers is None else servers
        self._policy = policy
        self.log = log = ObjectLogger(logger, f"RTCIceTransport({label or next_number()})")
        self.datagrams = DatagramQueue(Discards(log))
        self.pacer = pacer or CheckPacer()
        self.context = ConnectionContext(
            settings,
            log,
            self.datagrams.put,
            self.datagrams.discards,
            releases or Releases(),
            open_connections or OpenConnections(),
            self.pacer,
            weakref.ref(self),
        )
        self.observer: Observer | None = None
        self.state_listeners: list[Callable[[], object]] = []
        self.tell_news = on_news
        self.server_failed = on_server_error
        self.generation: IceGeneration

    def make_generation(self, credentials: IceCredentials | None) -> IceGeneration:
        """Make a generation with its own sockets, and gather for it from now on.

        Args:
            credentials: Its credentials; None for new ones, or those that a program has set on all
                connections of aioice. A restart must pass credentials.
        """
        _, arguments = read_servers(self._ice_servers)
        initial = credentials or IceCredentials.generate()
        connection = make_ice_connection(
            self.context,
            credentials,
            ice_controlling=False,
            local_username=initial.ufrag,
            local_password=initial.password,
            transport_policy=transport_policy(self._policy),
            **arguments,
        )
        generation = IceGeneration(connection, self.tell_news)
        self.use(generation)
        return generation

    def use(self, generation: IceGeneration) -> None:
        """Describe a generation and gather for it from now on."""
        self.generation = generation
        self.connection = generation.connection

    def configure(
        self, servers: list[aiortc.RTCIceServer] | None, policy: aiortc.RTCIceTransportPolicy
    ) -> None:
        """Use other servers and another policy from the next gathering on.

        Args:
            servers: The STUN and TURN servers; None for aiortc's defaults.
            policy: Which candidates may be used.
        """
        self._ice_servers = self.viewed.getDefaultIceServers() if servers is None else servers
        # A program may have set another policy on the connection. Keep it unless ours changes.
        if policy is not self._policy and self.generation.gathering_state == "new":
            self.generation.connection.transport_policy = transport_policy(policy)
        self._policy = policy

    @property
    def has_new(self) -> bool:
        """Whether the newest generation has yet to gather."""
        return self.generation.gathering_state == "new"

    async def begin(self) -> None:
        """Gather host candidates for the newest generation, and ask the servers.

        The caller must announce the state if it has changed, handle the reported candidates, and
        call finish() after the last.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        generation = self.generation
        servers, _ = read_servers(self._ice_servers)
        await generation.begin_gathering(servers)
        if generation.gathering_state == "new":
            generation.enter_gathering("gathering")

    async def gather(self) -> None:
        """Gather the candidates of the newest generation, unless that was done.

        Returns when all servers have answered, or enough of them.
        """
        generation = self.generation
        if self.has_new:
            self._set_state(generation, "gathering")
        try:
            await self.begin()
        except OperationError:
            self._set_state(generation, "new")
            raise
        await generation.gather_enough()
        self.finish(generation)

    def finish(self, generation: IceGeneration) -> None:
        """Declare the gathering of a generation complete."""
        if generation.gathering_state == "gathering":
            self._set_state(generation, "completed")

    def _set_state(self, generation: IceGeneration, state: str) -> None:
        generation.enter_gathering(state)
        if generation is self.generation:
            self.announce_state()

    def observed_by(self, observer: Observer) -> None:
        """Report the events of all connections to a transport."""
        self.observer = observer

    def gathering_ended(self) -> None:
        """Report that all servers have answered, or are given up."""
        self.tell_news()

    def announce_state(self) -> None:
        """Report that the state has changed."""
        for listener in self.state_listeners:
            listener()
        self.viewed.emit("statechange")


class RTCIceGatherer(Emitter, rtcicetransport.RTCIceGatherer):
    """aiortc's gatherer, which gathers candidates for each generation.

    Raises:
        TypeError: An argument has the wrong type.
        IceServerSyntaxError: A server has no URL or a malformed one.
        InvalidAccessError: A TURN server lacks username or credential.

    Spec: https://w3c.github.io/webrtc-pc/#dfn-ice-gatherer
    """

    def __init__(
        self,
        iceServers: list[aiortc.RTCIceServer] | None = None,
        iceTransportPolicy: aiortc.RTCIceTransportPolicy = aiortc.RTCIceTransportPolicy.ALL,
        local_username: str | None = None,
        local_password: str | None = None,
        settings: IceSettings | None = None,
        *,
        label: str | None = None,
        releases: Releases | None = None,
        open_connections: OpenConnections | None = None,
        pacer: CheckPacer | None = None,
        on_news: Callable[[], None] = lambda: None,
        on_server_error: Callable[[RTCPeerConnectionIceErrorEvent], None] = lambda _: None,
    ) -> None:
        if not isinstance(iceTransportPolicy, aiortc.RTCIceTransportPolicy):
            raise TypeError(f"expected an RTCIceTransportPolicy, got {iceTransportPolicy!r}")
        fresh = IceCredentials.generate()
        ufrag, password = local_username or fresh.ufrag, local_password or fresh.password
        # We parse the servers ourselves, not aiortc, and make the connection that is used.
        super().__init__([], iceTransportPolicy, ufrag, password)
        self._core = GathererCore(
            self,
            None if iceServers is None else validated_servers(iceServers),
            iceTransportPolicy,
            settings=or_default(settings, IceSettings),
            label=label,
            releases=releases,
            open_connections=open_connections,
            pacer=pacer,
            on_news=on_news,
            on_server_error=on_server_error,
        )
        credentials = None
        if local_username or local_password:
            credentials = IceCredentials(ufrag, password)
        self._core.make_generation(credentials)

    @property
    def state(self) -> str:
        """`"new"`, `"gathering"` or `"completed"`, of the newest generation."""
        return self._core.generation.gathering_state

    async def gather(self) -> None:
        """Gather the candidates of the newest generation, unless that was done.

        Returns when all servers have answered, or enough of them.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        await self._core.gather()

    def getLocalCandidates(self) -> list[aiortc.RTCIceCandidate]:
        """Return the candidates of the newest generation, each with its username fragment.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalcandidates
        """
        return [*self._core.generation.local_candidates()]
