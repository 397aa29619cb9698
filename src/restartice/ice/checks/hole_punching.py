"""Opens NATs for the peer's checks before we send checks of our own.

A NAT or TURN server in front of this host drops packets from addresses that we haven't sent to. A
STUN indication opens it: it gets no answer, and does no harm if it comes too early. (RFC 8445
section 11 uses indications to keep NATs open.)
"""

import asyncio
from typing import Final, Protocol

from ...seam import CandidatePair, send_indication
from .schedule import PACE

__all__ = ["punch_holes"]

# How often to look for new pairs, in seconds.
LOOK: Final = 0.05
# How many pairs get an indication at most; the pairs that work are likely among them.
MOST: Final = 64


class Punching(Protocol):
    """The connection whose pairs get indications."""

    asked: asyncio.Event
    check_list: list[CandidatePair]

    def sort_pairs(self) -> None:
        """Sort the pairs into the order of their checks."""


async def punch_holes(connection: Punching) -> None:
    """Send an indication on each pair, also on new ones, until the peer's first check comes in."""
    opened: set[CandidatePair] = set()
    while not connection.asked.is_set() and len(opened) < MOST:
        if len(connection.check_list) > MOST:
            connection.sort_pairs()
        for pair in [p for p in connection.check_list if p not in opened][: MOST - len(opened)]:
            opened.add(pair)
            send_indication(pair)
            await asyncio.sleep(PACE)
        await asyncio.sleep(LOOK)
