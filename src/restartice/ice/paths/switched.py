"""The report of a switch to another path without a restart."""

from dataclasses import dataclass

__all__ = ["PathEnds", "PathSwitched"]


@dataclass(frozen=True)
class PathEnds:
    """The two addresses of a path, each with its port.

    Attributes:
        local: The local address; with a relay, the relay's.
        remote: The remote address.
    """

    local: tuple[str, int]
    remote: tuple[str, int]


@dataclass(frozen=True)
class PathSwitched:
    """A transport has switched to another path, without a restart.

    Attributes:
        reason: `"silence"` if packets stopped coming in, `"gone"` if this host has lost the address
            or can't send from it, `"preferred"` if `IceSettings.prefer` ranks the new network
            higher, or `"peer"` if the peer asked for the switch.
        before: The old path.
        after: The new path.
        silence: How many seconds the old path had been silent.
    """

    reason: str
    before: PathEnds
    after: PathEnds
    silence: float
