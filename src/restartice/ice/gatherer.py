"""The ICE gatherer, which gathers anew for each generation."""

from typing import TYPE_CHECKING

import aiortc
from aiortc import rtcicetransport
from aiortc.exceptions import OperationError

from ..events import Emitter
from ..seam import transport_policy
from ..settings import IceSettings
from .checks.schedule import CheckPacer
from .connection import make_ice_connection
from .credentials import IceCredentials
from .gathering.forgotten import OpenConnections, weakly
from .gathering.servers import RTCPeerConnectionIceErrorEvent, read_servers
from .gathering.turn import Releases
from .generation import IceGeneration

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RTCIceGatherer"]


class RTCIceGatherer(Emitter, rtcicetransport.RTCIceGatherer):
    """aiortc's gatherer, which gathers anew for each generation.

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
        releases: Releases | None = None,
        open_connections: OpenConnections | None = None,
        pacer: CheckPacer | None = None,
    ) -> None:
        # The servers are ours to read.
        super().__init__([], iceTransportPolicy, local_username, local_password)
        self._ice_servers = self.getDefaultIceServers() if iceServers is None else iceServers
        self._policy = iceTransportPolicy
        self._settings = settings or IceSettings()
        self._releases = releases or Releases()
        self._open_connections = open_connections or OpenConnections()
        # That of all transports of an agent.
        self.pacer = pacer or CheckPacer()
        self.listeners_internal: list[Callable[[], None]] = []
        # Called when there are candidates to be made known, or there is an end of them.
        self.on_news: Callable[[], None] = _ignore
        self.on_server_error: Callable[[RTCPeerConnectionIceErrorEvent], None] = _ignore
        given = None
        if local_username or local_password:
            fresh = IceCredentials.generate()
            given = IceCredentials(local_username or fresh.ufrag, local_password or fresh.password)
        self.generation = self.make_generation(given)

    @property
    def state(self) -> str:
        """`"new"`, `"gathering"` or `"completed"`, of the newest generation."""
        return self.generation.gathering_state

    def make_generation(self, credentials: IceCredentials | None) -> IceGeneration:
        """Make a generation with sockets of its own, and make it the one to gather for.

        Args:
            credentials: Its credentials; None for fresh ones, or those that a program imposes on
                all connections of aioice, which can't do for a restart.
        """
        _, arguments = read_servers(self._ice_servers)
        initial = credentials or IceCredentials.generate()
        connection = make_ice_connection(
            ice_controlling=False,
            local_username=initial.ufrag,
            local_password=initial.password,
            transport_policy=transport_policy(self._policy),
            **arguments,
        )
        if credentials is not None:
            connection.credentials = credentials
        connection.settings = self._settings
        connection.releases = self._releases
        connection.schedule.pacer = self.pacer
        connection.siblings = self._open_connections
        connection.on_gathered = weakly(self._tell_news)
        connection.on_server_error = weakly(self._tell_server_error)
        generation = IceGeneration(connection)
        generation.on_news = self._tell_news
        self.use(generation)
        return generation

    def use(self, generation: IceGeneration) -> None:
        """Make a generation the one that this gatherer describes and gathers for."""
        self.generation = generation
        self._connection = generation.connection

    def configure(
        self, servers: list[aiortc.RTCIceServer] | None, policy: aiortc.RTCIceTransportPolicy
    ) -> None:
        """Use other servers and another policy from the next gathering on.

        Args:
            servers: The STUN and TURN servers; None for aiortc's own.
            policy: Which candidates may be used.
        """
        self._ice_servers = self.getDefaultIceServers() if servers is None else servers
        # Programs may impose a policy on connections, which stays as long as this one does.
        if policy is not self._policy and self.generation.gathering_state == "new":
            self.generation.connection.transport_policy = transport_policy(policy)
        self._policy = policy

    async def begin(self) -> None:
        """Gather host candidates for the newest generation, and ask the servers.

        Whoever calls this has to follow `on_news`, and to finish() when that is all.

        Raises:
            OperationError: No port in the range of the settings is free.
        """
        generation = self.generation
        servers, _ = read_servers(self._ice_servers)
        if generation.gathering_state == "new":
            self._set_state(generation, "gathering")
        try:
            await generation.begin_gathering(servers)
        except OperationError:
            self._set_state(generation, "new")
            raise

    async def gather(self) -> None:
        """Gather the candidates of the newest generation, if that wasn't done.

        Returns when all servers have answered, or enough of them.
        """
        generation = self.generation
        await self.begin()
        await generation.gather_enough()
        self.finish(generation)

    def finish(self, generation: IceGeneration) -> None:
        """Declare the gathering of a generation complete."""
        if generation.gathering_state == "gathering":
            self._set_state(generation, "completed")

    def getLocalCandidates(self) -> list[aiortc.RTCIceCandidate]:
        """Return the candidates of the newest generation, each with its username fragment.

        Spec: https://w3c.github.io/webrtc-pc/#dom-rtcicetransport-getlocalcandidates
        """
        return [*self.generation.local_candidates()]

    def _set_state(self, generation: IceGeneration, state: str) -> None:
        generation.gathering_state = state
        if generation is self.generation:
            self.announce_state()

    def _tell_news(self) -> None:
        self.on_news()

    def _tell_server_error(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        self.on_server_error(error)

    def announce_state(self) -> None:
        """Tell that the state has changed."""
        for listener in self.listeners_internal:
            listener()
        self.emit("statechange")


def _ignore(*_: object) -> None:
    """Tell nobody."""
