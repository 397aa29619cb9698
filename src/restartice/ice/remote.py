"""The remote side's parameters and candidates of one ICE generation."""

from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, field
from typing import Final

import aiortc
from aiortc import RTCIceParameters

from ..logs import ObjectLogger
from .credentials import IceCredentials

__all__ = ["DESCRIBED_LIMIT", "LIMIT", "RemoteCandidates", "RemoteIce"]

COMPONENT: Final = 1
# How many remote UDP candidates a generation accepts, and how many of other protocols, which aren't
# checked. A host with 33 addresses, a STUN server and five relays has about 230. More candidates
# would hardly be checked within the time limit. RFC 8445 section 6.1.2.5 suggests at most 100
# pairs; other stacks accept 16 to 25 candidates.
LIMIT: Final = 256
# How many candidates a media section may have, including those that were added one by one.
DESCRIBED_LIMIT: Final = 2 * LIMIT


class RemoteCandidates:
    """The candidates of a remote generation, each once, up to a limit.

    Args:
        log: The log of the transport.
    """

    def __init__(self, log: ObjectLogger) -> None:
        self._log = log
        self._candidates: list[aiortc.RTCIceCandidate] = []
        self._known: set[tuple[bool, str, int]] = set()
        self._room = {True: LIMIT, False: LIMIT}

    def __iter__(self) -> Iterator[aiortc.RTCIceCandidate]:
        return iter(self._candidates)

    def take(self, candidates: Iterable[aiortc.RTCIceCandidate]) -> list[aiortc.RTCIceCandidate]:
        """Add the new candidates, and return them.

        Candidates for RTCP are skipped, as RTCP is multiplexed. Some peers send them anyway,
        perhaps with the same address. (RFC 5761 section 5.1.3)
        """
        taken = [c for c in candidates if c.component == COMPONENT and self._admits(c)]
        self._candidates += taken
        return taken

    def _admits(self, candidate: aiortc.RTCIceCandidate) -> bool:
        is_udp = candidate.protocol.lower() == "udp"
        # As in aioice, a candidate is redundant if its transport address is known.
        place = (is_udp, candidate.ip.lower(), candidate.port)
        if place in self._known:
            return False
        self._room[is_udp] -= 1
        if self._room[is_udp] == -1:
            self._log.warning("more than %d remote candidates; the others are dropped", LIMIT)
        if self._room[is_udp] < 0:
            return False
        self._known.add(place)
        return True


@dataclass
class RemoteIce:
    """The peer's parameters and candidates for one of its generations.

    They are kept until a local generation can use them.

    Attributes:
        parameters: The parameters.
        candidates: The candidates.
        takes_early_checks: Whether the peer takes checks before it has the answer to its restart.
    """

    parameters: RTCIceParameters
    log: InitVar[ObjectLogger]
    candidates: RemoteCandidates = field(init=False)
    takes_early_checks: bool = False

    def __post_init__(self, log: ObjectLogger) -> None:
        self.candidates = RemoteCandidates(log)

    @property
    def credentials(self) -> IceCredentials:
        """The remote username fragment and password."""
        ice = self.parameters
        return IceCredentials(ice.usernameFragment or "", ice.password or "")
