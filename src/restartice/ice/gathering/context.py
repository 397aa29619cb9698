"""The settings and collaborators of an ICE connection."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from ...logs import ObjectLogger
from ...settings import IceSettings
from ..incoming.guard import Discards
from .forgotten import OpenConnections
from .servers import RTCPeerConnectionIceErrorEvent
from .turn import Releases

if TYPE_CHECKING:
    from ...seam import CandidatePair
    from ..checks.schedule import CheckPacer
    from ..liveness import PathState

__all__ = ["ConnectionContext", "Observer", "Owner", "stand_alone"]

logger = logging.getLogger(__name__)

DEFAULTS: Final = IceSettings()


class Observer(Protocol):
    """Receives the events of connections."""

    def peer_found(self) -> None:
        """A check has come in, perhaps from a candidate that wasn't known."""

    def pair_valid(self, connection: Any, pair: "CandidatePair | None") -> None:
        """The other end has answered on a pair, while none is nominated.

        After others have failed for good, this is one that remains, or None.
        """

    def pair_nominated(self, connection: Any) -> None:
        """A pair was nominated, the first one or another."""

    def path_changed(self, connection: Any, state: "PathState") -> None:
        """The path in use is lost or back, or consent to send has expired."""

    def path_resumed(self, connection: Any) -> None:
        """Packets come in on the path in use again, after a silence."""

    def role_switched(self, *, controlling: bool) -> None:
        """The ICE role has changed, to resolve a role conflict."""

    def send_twice(self, connection: Any, pair: "CandidatePair | None") -> None:
        """Send packets on a second pair, too; None ends that."""

    async def make_room(self, connection: Any, server: tuple[str, int]) -> bool:
        """Release an allocation of another connection at a server; return if there was one."""


class Owner(Protocol):
    """The maker of a connection, which receives the events of gathering.

    Attributes:
        observer: Receives the other events; None if there is no observer yet.
    """

    observer: Observer | None

    def gathering_ended(self) -> None:
        """All servers have answered, or are given up."""

    def server_failed(self, error: RTCPeerConnectionIceErrorEvent) -> None:
        """A server gave no candidate, or refuses to send to an address."""


@dataclass(frozen=True)
class ConnectionContext:
    """The settings and collaborators of an ICE connection.

    Attributes:
        settings: The ICE settings.
        log: The log, with the transport's name.
        deliver: Called with each received packet that isn't STUN.
        discards: Counts dropped datagrams.
        releases: Releases TURN allocations in the background.
        siblings: The connections of the same peer connection.
        pacer: The pace of the checks, which several connections may share; None for one of its own.
        owner: Returns the owner, or None if it is gone. The event loop keeps the connection alive,
            so the connection must not keep its owner alive.
    """

    settings: IceSettings
    log: ObjectLogger
    deliver: Callable[[bytes], None]
    discards: Discards
    releases: Releases = field(default_factory=Releases)
    siblings: OpenConnections = field(default_factory=OpenConnections)
    pacer: "CheckPacer | None" = None
    owner: Callable[[], Owner | None] = lambda: None


def stand_alone(name: str) -> ConnectionContext:
    """Return the context of a connection that belongs to no transport, with a name for the log."""
    log = ObjectLogger(logger, name)
    return ConnectionContext(DEFAULTS, log, lambda _: None, Discards(log))
