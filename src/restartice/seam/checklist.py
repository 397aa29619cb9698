"""Adds pairs to aioice's check list in linear time."""

from typing import TYPE_CHECKING

import aioice
import aioice.ice
from aioice.ice import CandidatePair, StunProtocol

from .names import Private, as_defined, require

if TYPE_CHECKING:
    from aioice.ice import Connection
else:
    # Programs put subclasses in its place, which is for aiortc to see, or not.
    Connection = as_defined(aioice.ice.Connection)

__all__ = ["Connection", "IndexedConnection"]

_CONNECTION = Connection

for _method in ("_find_pair", "_pair_remote_candidate", "_protocols", "sort_check_list"):
    require(_CONNECTION, _method)


class IndexedConnection(Connection):
    """aioice's connection, which finds a pair without looking through all of them.

    aioice does that for each socket and each candidate, when it comes and once more when the checks
    begin, and sorts the list after each candidate.
    """

    check_list = Private[list[CandidatePair]](_CONNECTION, "_check_list")

    def prepare(self) -> None:
        """Add what a connection of aioice lacks."""
        # Of the first pairs of the list, as many as it has entries.
        self.pair_index: dict[tuple[StunProtocol, aioice.Candidate], CandidatePair] = {}

    def pairs_changed(self) -> None:
        """Note that the list isn't sorted any more."""

    # What aioice calls.

    def sort_check_list(self) -> None:
        """Have the list sorted when it is needed."""
        self.index_pairs()
        self.pairs_changed()

    def _pair_remote_candidate(self, remote_candidate: aioice.Candidate) -> None:
        # aioice parses the addresses of both ends first, and does so for each of its three calls.
        sockets: list[StunProtocol] = self._protocols
        if any(self._find_pair(socket, remote_candidate) is None for socket in sockets):
            super()._pair_remote_candidate(remote_candidate)

    def _find_pair(
        self, protocol: StunProtocol, remote_candidate: aioice.Candidate
    ) -> CandidatePair | None:
        self.index_pairs()
        return self.pair_index.get((protocol, remote_candidate))

    def find_pair(
        self, protocol: StunProtocol, candidate: aioice.Candidate
    ) -> CandidatePair | None:
        """Return the pair of a socket and a remote candidate, or None."""
        return self._find_pair(protocol, candidate)

    def append_pair(self, pair: CandidatePair) -> None:
        """Add a pair to the check list."""
        self.check_list.append(pair)
        self.index_pairs()

    def index_pairs(self) -> None:
        """Note the pairs that have been appended."""
        # aioice appends a pair only where it hasn't found it, and removes some only when one is
        # nominated, so that the list is longer than the index, or shorter.
        pairs, index = self.check_list, self.pair_index
        if len(pairs) < len(index):
            index.clear()
        for pair in pairs[len(index) :]:
            index[pair.protocol, pair.remote_candidate] = pair
