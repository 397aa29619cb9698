"""What the remote side said of one of its ICE generations: parameters, and candidates to check."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import aiortc
from aiortc import RTCIceParameters

from .credentials import IceCredentials

__all__ = ["DESCRIBED_LIMIT", "LIMIT", "RemoteCandidates", "RemoteIce"]

COMPONENT: Final = 1
# How many remote candidates of UDP a generation takes, and as many of other protocols, which aren't
# checked. A host with 33 addresses, a STUN server and five relays has some 230. With a check every
# 20 ms, those of more would hardly get their turn before the time for checks is over. RFC 8445
# section 6.1.2.5 suggests at most 100 pairs; others take from 16 to 25 candidates.
LIMIT: Final = 256
# How many a section of a description has at most after those that came one by one.
DESCRIBED_LIMIT: Final = 2 * LIMIT

logger = logging.getLogger(__name__)


class RemoteCandidates:
    """The candidates of a remote generation, each once, up to a limit. The first ones count."""

    def __init__(self) -> None:
        self._candidates: list[aiortc.RTCIceCandidate] = []
        self._known: set[tuple[bool, str, int]] = set()
        self._room = {True: LIMIT, False: LIMIT}

    def __iter__(self) -> Iterator[aiortc.RTCIceCandidate]:
        return iter(self._candidates)

    def take(self, candidates: Iterable[aiortc.RTCIceCandidate]) -> list[aiortc.RTCIceCandidate]:
        """Add those that are new, and return them.

        Those for RTCP aren't needed, as it is multiplexed. Some tell them even so, perhaps with the
        same address. (RFC 5761 section 5.1.3)
        """
        taken = [c for c in candidates if c.component == COMPONENT and self._admits(c)]
        self._candidates += taken
        return taken

    def _admits(self, candidate: aiortc.RTCIceCandidate) -> bool:
        is_udp = candidate.protocol.lower() == "udp"
        # That they are redundant if the transport addresses are equal is aioice's rule, too.
        place = (is_udp, candidate.ip.lower(), candidate.port)
        if place in self._known:
            return False
        self._room[is_udp] -= 1
        if self._room[is_udp] == -1:
            logger.warning("More than %d remote candidates; the others are dropped", LIMIT)
        if self._room[is_udp] < 0:
            return False
        self._known.add(place)
        return True


@dataclass
class RemoteIce:
    """What the remote side said of one of its generations: parameters and candidates.

    It is kept until a local generation is there to use it.
    """

    parameters: RTCIceParameters
    candidates: RemoteCandidates = field(default_factory=RemoteCandidates)

    @property
    def credentials(self) -> IceCredentials:
        """The remote username fragment and password."""
        ice = self.parameters
        return IceCredentials(ice.usernameFragment or "", ice.password or "")
