"""Checks a pair again from a new port of ours.

libwebrtc keeps one pair for each of its own networks, the one whose candidates have the highest
priority, and prunes the others: it answers their checks, but doesn't check them itself, and so
never sends there, not even when they are nominated. It takes back none of them before it has
received nothing for 2.5 s on the pair in use. A port that it doesn't know yet makes a new pair,
whose priority is the one in our check. (RFC 8445 section 7.3.1.3)

Firefox, where it is controlled, accepts a nomination only for a pair of higher priority than that
of the pair in use, so each port has a higher one than those before. All are lower than those of
Firefox's own addresses, so ours decide which pair is higher.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import aioice

from ...logs import ObjectLogger
from ...seam import CandidatePair

__all__ = ["FreshPort"]

# How many ports a connection may open this way; each takes a socket.
LIMIT: Final = 16


class Opening(Protocol):
    """The connection that opens ports."""

    log: ObjectLogger

    async def open_port(self, address: str) -> Any:
        """Open one more socket on an address of this host, or return None."""

    def add_local_candidate(self, candidate: aioice.Candidate) -> None:
        """Add a local candidate that was found after the others."""

    def append_pair(self, pair: CandidatePair) -> None:
        """Add a pair to the check list."""


class FreshPort:
    """Opens ports, one at a time.

    Args:
        connection: The connection.
        on_open: Called with the new pair.

    Attributes:
        pair: The pair of the last port, until stop().
    """

    def __init__(self, connection: Opening, on_open: Callable[[CandidatePair], None]) -> None:
        self.pair: CandidatePair | None = None
        self._connection = connection
        self._on_open = on_open
        self._opening: asyncio.Task[None] | None = None
        self._beside: CandidatePair | None = None
        self._last: aioice.Candidate | None = None
        self._opened = 0

    def open(self, before: CandidatePair) -> None:
        """Open a port beside that of a pair of this host's address, for the same remote address.

        Has no effect if that has been done since stop(), or if the pair is that of the last port.
        """
        if before is self._beside or before.local_candidate is self._last:
            return
        self.stop()
        if before.local_candidate.type in {"host", "prflx"} and self._opened < LIMIT:
            self._opened += 1
            self._beside = before
            self._opening = asyncio.ensure_future(self._open(before))

    def stop(self) -> None:
        """Stop opening, and forget the pair."""
        self.pair = self._beside = None
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    async def _open(self, before: CandidatePair) -> None:
        connection, host = self._connection, before.local_candidate.host
        try:
            protocol = await connection.open_port(host)
        except Exception as error:  # noqa: BLE001  no port is free, or the address is gone
            connection.log.info("no other port on %s could be opened: %s", host, error)
            return
        if protocol is None:
            return
        candidate = protocol.local_candidate
        # The peer learns it from our check, and the program isn't told.
        candidate.type = "prflx"
        # Its local preference is higher. (RFC 8445 section 5.1.2.1)
        candidate.priority += self._opened << 8
        self._last = candidate
        connection.add_local_candidate(candidate)
        self.pair = CandidatePair(protocol, before.remote_candidate)
        connection.append_pair(self.pair)
        self._on_open(self.pair)
