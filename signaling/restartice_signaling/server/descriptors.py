"""How many files and sockets this process may have open."""

import sys
from typing import Final

if sys.platform != "win32":
    import resource

__all__ = ["raise_limit", "spare_descriptors"]

# For what is no client: the connections to Redis, and those that are accepted and not counted yet,
# of which asyncio takes up to 100 at once.
RESERVE: Final = 192


def spare_descriptors() -> int | None:
    """Return how many clients there may be, or None where that isn't bounded."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(1, soft - min(RESERVE, soft // 4))


def raise_limit(clients: int) -> None:
    """Let this process have so many clients, or as many as it may."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + RESERVE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
