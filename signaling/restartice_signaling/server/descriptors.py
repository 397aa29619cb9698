"""The limit of open files and sockets of this process."""

import sys
from typing import Final

if sys.platform != "win32":
    import resource

__all__ = ["raise_limit", "spare_descriptors"]

# Descriptors for other uses: connections to Redis, and connections that asyncio has accepted and
# that aren't counted yet, up to 100.
RESERVE: Final = 192


def spare_descriptors() -> int | None:
    """Return the most clients that the limit allows, or None without a limit."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(1, soft - min(RESERVE, soft // 4))


def raise_limit(clients: int) -> None:
    """Raise the limit for so many clients, as far as this process may."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + RESERVE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
