"""Releases relayed addresses when a user's quota at a TURN server is used up."""

from collections.abc import Sequence

from .connection import IceConnection

__all__ = ["give_way"]


async def give_way(
    draining: Sequence[IceConnection],
    others: Sequence[IceConnection],
    server: tuple[str, int],
) -> bool:
    """Release an older generation's allocation at a server, so that a newer generation gets one.

    The allocation that carries the traffic is released last. Then there is a gap until the next
    generation has a pair, but otherwise the restart would be impossible.

    Args:
        draining: The connections that no longer send.
        others: The connections older than the one that needs an allocation; the first one carries
            the traffic.
        server: The server.

    Returns:
        Whether there was an allocation to release.
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
        connection.log.warning(
            "gives up the path in use: %s:%d grants no second allocation for the restart", *server
        )
    connection.protocol_lost(protocol)
    await connection.releases.wait()
    return True
