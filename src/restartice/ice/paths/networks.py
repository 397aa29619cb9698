"""The networks that a pair leads between, and the pairs that there could be."""

import socket
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Protocol

import aioice

from ...seam import CandidatePair
from .spares import Networks

__all__ = ["can_send", "networks_of", "unknown_pairs"]

# How many pairs are looked at, of hosts with many addresses.
MOST: Final = 512


class Pairing(Protocol):
    """The connection whose candidates are paired."""

    protocols: list[Any]
    all_remote_candidates: list[aioice.Candidate]

    def find_pair(self, protocol: Any, candidate: aioice.Candidate) -> CandidatePair | None:
        """Return the pair of a socket and a candidate, if it is in the check list."""


def networks_of(pair: CandidatePair) -> Networks:
    """Return the networks of a pair: the address that it is sent from, and the one it is sent to.

    What is sent by way of a relay comes from the relay.
    """
    return pair.local_candidate.host, pair.remote_addr[0]


def can_send(pair: CandidatePair) -> bool:
    """Say if the system can send on a pair, from its local address. Nothing is sent."""
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
    """Return pairs that the check list lacks, where aioice has left them out or removed them."""
    return list(islice(_unknown(connection), MOST))


def _unknown(connection: Pairing) -> Iterator[CandidatePair]:
    for protocol in connection.protocols:
        for candidate in connection.all_remote_candidates:
            if (
                protocol.local_candidate.can_pair_with(candidate)
                and connection.find_pair(protocol, candidate) is None
            ):
                yield CandidatePair(protocol, candidate)
