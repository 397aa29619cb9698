"""Remembers how STUN servers have answered, so that a dead one delays one description only."""

from collections.abc import Hashable
from enum import Enum, auto
from typing import Final

__all__ = ["KNOWN_SERVERS", "KnownServers", "Verdict"]

# How many seconds a server's behavior is remembered, and of how many servers and networks.
LIFETIME: Final = 300.0
LIMIT: Final = 64


class Verdict(Enum):
    """What is known of a server on a network."""

    # It didn't answer.
    SILENT = auto()
    # It sees each address of this host as it is, so that host candidates are enough.
    NO_NAT = auto()


class KnownServers:
    """The verdicts on servers, each on one network."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Verdict, float]] = {}

    def note(self, server: Hashable, network: Hashable, verdict: Verdict, now: float) -> None:
        """Remember a verdict, in place of an earlier one.

        Args:
            server: The address of the server.
            network: The addresses of this host that it was asked from.
            verdict: The verdict.
            now: The time in seconds.
        """
        self.forget(server, network)
        if len(self._known) >= LIMIT:
            del self._known[next(iter(self._known))]
        self._known[server, network] = verdict, now

    def forget(self, server: Hashable, network: Hashable) -> None:
        """Remember nothing of a server any more."""
        self._known.pop((server, network), None)

    def verdict(self, server: Hashable, network: Hashable, now: float) -> Verdict | None:
        """Return the verdict of the last five minutes on a server, or None."""
        verdict, since = self._known.get((server, network), (None, now))
        return verdict if now - since < LIFETIME else None


# Of all connections of the process.
KNOWN_SERVERS: Final = KnownServers()
