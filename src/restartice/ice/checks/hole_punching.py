"""Letting the checks of the other side in before we send any of our own.

A NAT or a TURN server in front of us lets nothing pass from an address to which we haven't sent
anything. What we send for that is a STUN indication, which nobody answers, and which does no harm
where it comes too early. (RFC 8445 section 11 keeps such ways open with it)
"""

import asyncio
from typing import Final, Protocol

from ...seam import CandidatePair, send_indication
from .schedule import PACE

__all__ = ["punch_holes"]

# How many seconds there are between two looks for candidates that have come meanwhile.
LOOK: Final = 0.05
# To how many pairs an indication is sent, at most: those that lead across are likely among them.
MOST: Final = 64


class Punching(Protocol):
    """The connection whose pairs are opened."""

    asked: asyncio.Event
    check_list: list[CandidatePair]

    def sort_pairs(self) -> None:
        """Put the pairs into the order in which they are checked."""


async def punch_holes(connection: Punching) -> None:
    """Send an indication on each pair, and on those that come, until the other side checks one.

    Runs until it is cancelled otherwise.
    """
    opened: set[CandidatePair] = set()
    while not connection.asked.is_set() and len(opened) < MOST:
        if len(connection.check_list) > MOST:
            connection.sort_pairs()
        for pair in [p for p in connection.check_list if p not in opened][: MOST - len(opened)]:
            opened.add(pair)
            send_indication(pair)
            await asyncio.sleep(PACE)
        await asyncio.sleep(LOOK)
