"""Relayed addresses that are given up because a TURN server grants a user no more of them."""

import logging
from collections.abc import Sequence

from .connection import IceConnection

__all__ = ["give_way"]

logger = logging.getLogger(__name__)


async def give_way(
    draining: Sequence[IceConnection],
    others: Sequence[IceConnection],
    server: tuple[str, int],
) -> bool:
    """Give an address back that older generations have of a server, so that a next one gets it.

    The one that carries the traffic is the last to go. Without it there is a gap until the next one
    has a pair, but there would be no restart otherwise.

    Args:
        draining: The connections that send no more.
        others: Those older than the one that needs an address; the first carries the traffic.
        server: The server.

    Returns:
        Whether there was one.
    """
    found = [(False, c, protocol) for c in draining for protocol in c.relays_of(server)]
    for connection in reversed(others):
        pair = connection.selected_pair
        in_use = None if pair is None else pair.protocol
        found += [(p is in_use, connection, p) for p in connection.relays_of(server)]
    if not found:
        return False
    is_used, connection, protocol = min(found, key=lambda entry: entry[0])
    if is_used:
        logger.warning("The path in use is given up, as %s:%d grants no address beside it", *server)
    connection.protocol_lost(protocol)
    await connection.releases.wait()
    return True
