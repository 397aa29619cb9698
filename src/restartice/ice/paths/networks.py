"""The networks of a pair, and the pairs missing from the check list."""

import socket
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Protocol

import aioice

from ...seam import CandidatePair
from .spares import Networks
from .switched import PathEnds

__all__ = ["can_send", "ends_of", "networks_of", "sent_from", "unknown_pairs"]

# How many missing pairs are returned at most, on hosts with many addresses.
MOST: Final = 512


class Pairing(Protocol):
    """The connection whose candidates are paired."""

    protocols: list[Any]
    all_remote_candidates: list[aioice.Candidate]

    def find_pair(self, protocol: Any, candidate: aioice.Candidate) -> CandidatePair | None:
        """Return the pair of a socket and a candidate, if it is in the check list."""


def networks_of(pair: CandidatePair) -> Networks:
    """Return the networks of a pair: the local and the remote address of its packets.

    For a relayed pair, the local address is the relay's.
    """
    return pair.local_candidate.host, pair.remote_addr[0]


def sent_from(pair: CandidatePair) -> str:
    """Return the address of this host that a pair is sent from, if need be to a relay."""
    socket: Any = pair.protocol
    base: str | None = socket.base
    return base or pair.local_candidate.host


def ends_of(pair: CandidatePair) -> PathEnds:
    """Return the addresses and ports of a pair."""
    local, remote = pair.local_candidate, pair.remote_addr
    return PathEnds((local.host, local.port), (remote[0], remote[1]))


def can_send(pair: CandidatePair) -> bool:
    """Return whether the system can send from a pair's local address. Sends nothing."""
    if pair.local_candidate.type == "relay":
        return True
    host = pair.local_candidate.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
            probe.connect(pair.remote_addr)
        except OSError:
            return False
    return True


def unknown_pairs(connection: Pairing) -> list[CandidatePair]:
    """Return the pairs that aioice has left out of the check list, or removed from it."""
    return list(islice(_unknown(connection), MOST))


def _unknown(connection: Pairing) -> Iterator[CandidatePair]:
    for protocol in connection.protocols:
        for candidate in connection.all_remote_candidates:
            if (
                protocol.local_candidate.can_pair_with(candidate)
                and connection.find_pair(protocol, candidate) is None
            ):
                yield CandidatePair(protocol, candidate)
