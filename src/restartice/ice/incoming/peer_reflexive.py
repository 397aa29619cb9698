"""Limits the number of peer-reflexive candidates learned from checks.

A host that has seen a signed check can send copies of it from any number of ports and addresses.
Each of these would become a candidate, and be checked.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import aioice

from ...seam import CandidatePair, address_of
from .guarded_socket import Address, GuardedProtocol

__all__ = ["PeerReflexive"]

# How many are kept per generation, and per address. A call needs one for each pair of sockets
# behind NATs, and one each time that a NAT loses its mapping.
LIMIT: Final = 64
PER_HOST: Final = 16


class Learning(Protocol):
    """The connection that learns candidates."""

    all_remote_candidates: list[aioice.Candidate]
    check_list: list[CandidatePair]
    nominated: dict[int, CandidatePair]
    protocols: list[GuardedProtocol]

    def forget_pair(self, pair: CandidatePair) -> None:
        """Drop a pair from the check list."""


class PeerReflexive:
    """Makes room for new candidates."""

    def __init__(self, connection: Learning) -> None:
        self._connection = connection

    def request_came(self, address: Address, protocol: GuardedProtocol) -> None:
        """Note a signed request, before a candidate is learned from it.

        Candidates from the peer's descriptions aren't limited here.
        """
        remote = self._connection.all_remote_candidates
        known = next((c for c in remote if address_of(c) == address), None)
        if known is None:
            self._make_room(address[0])
        if known is None or known.type == "prflx":
            protocol.grant(address)

    def _make_room(self, host: str) -> None:
        learned = [c for c in self._connection.all_remote_candidates if c.type == "prflx"]
        neighbors = [c for c in learned if c.host == host]
        if len(neighbors) >= PER_HOST:
            self._drop_one(neighbors)
        elif len(learned) >= LIMIT:
            self._drop_one(learned)

    def _drop_one(self, candidates: Sequence[aioice.Candidate]) -> None:
        """Drop the oldest candidate that hasn't answered, or else the oldest one not in use."""
        in_use = {pair.remote_candidate for pair in self._connection.nominated.values()}
        idle = [c for c in candidates if c not in in_use]
        self._drop(next((c for c in idle if not self._has_answered(c)), idle[0]))

    def _has_answered(self, candidate: aioice.Candidate) -> bool:
        address = address_of(candidate)
        return any(protocol.has_answered(address) for protocol in self._connection.protocols)

    def _drop(self, candidate: aioice.Candidate) -> None:
        connection = self._connection
        connection.all_remote_candidates.remove(candidate)
        for pair in [p for p in connection.check_list if p.remote_candidate is candidate]:
            connection.forget_pair(pair)
        for protocol in connection.protocols:
            protocol.forget(address_of(candidate))
