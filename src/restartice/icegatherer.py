"""The ICE gatherer, which gathers anew for each generation."""

from typing import TYPE_CHECKING

import aiortc

from .credentials import IceCredentials
from .iceconnection import ice_connection_class
from .icegeneration import IceGeneration
from .internals import configure, ice_connection_kwargs, transport_policy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RTCIceGatherer"]


class RTCIceGatherer(aiortc.RTCIceGatherer):
    """aiortc's gatherer, which gathers anew for each generation.

    Spec: https://w3c.github.io/webrtc-pc/#dfn-ice-gatherer
    """

    def __init__(
        self,
        iceServers: list[aiortc.RTCIceServer] | None = None,
        iceTransportPolicy: aiortc.RTCIceTransportPolicy = aiortc.RTCIceTransportPolicy.ALL,
        local_username: str | None = None,
        local_password: str | None = None,
    ) -> None:
        super().__init__(iceServers, iceTransportPolicy, local_username, local_password)
        self._ice_servers = self.getDefaultIceServers() if iceServers is None else iceServers
        self._policy = iceTransportPolicy
        fresh = IceCredentials.generate()
        credentials = IceCredentials(
            local_username or fresh.ufrag, local_password or fresh.password
        )
        self.listeners_internal: list[Callable[[], None]] = []
        self.generation = self.make_generation(credentials)

    @property
    def state(self) -> str:
        """`"new"`, `"gathering"` or `"completed"`, of the newest generation."""
        return self.generation.gathering_state

    def configure(
        self, servers: list[aiortc.RTCIceServer] | None, policy: aiortc.RTCIceTransportPolicy
    ) -> None:
        """Use other servers, and another policy, for what isn't being gathered yet."""
        self._ice_servers = self.getDefaultIceServers() if servers is None else servers
        self._policy = policy
        if self.generation.gathering_state == "new":
            configure(
                self.generation.connection,
                ice_connection_kwargs(self._ice_servers),
                transport_policy(policy),
            )

    def make_generation(self, credentials: IceCredentials) -> IceGeneration:
        """Make a generation with sockets of its own, and make it the one to gather for."""
        connection = ice_connection_class()(
            ice_controlling=False,
            local_username=credentials.ufrag,
            local_password=credentials.password,
            transport_policy=transport_policy(self._policy),
            **ice_connection_kwargs(self._ice_servers),
        )
        generation = IceGeneration(connection)
        self.use(generation)
        return generation

    def use(self, generation: IceGeneration) -> None:
        """Make a generation the one that this gatherer describes and gathers for."""
        self.generation = generation
        self._connection = generation.connection

    async def gather(self) -> None:
        """Gather the candidates of the newest generation, if that wasn't done."""
        generation = self.generation
        if generation.gathering_state == "new":
            self._set_state(generation, "gathering")
        await generation.gather()
        if generation.gathering_state == "gathering":
            self._set_state(generation, "completed")

    def getLocalCandidates(self) -> list[aiortc.RTCIceCandidate]:
        """Return the candidates of the newest generation, each with its username fragment."""
        return [*self.generation.local_candidates()]

    def _set_state(self, generation: IceGeneration, state: str) -> None:
        generation.gathering_state = state
        if generation is self.generation:
            self.announce_state()

    def announce_state(self) -> None:
        """Tell that the state has changed."""
        for listener in self.listeners_internal:
            listener()
        self.emit("statechange")
