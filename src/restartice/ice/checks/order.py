"""The order in which candidate pairs are checked: the most promising ones first.

The RFC orders candidates of one type by priority alone, which doesn't tell which local address can
reach which remote address. Between machines with many addresses, such as a bridge for each
container, only one pair in a thousand may work. (RFC 8445 section 6.1.2.3)
"""

import functools
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

__all__ = ["Hints", "Pair", "order_checks"]

# How many pairs of each type are checked per round, so that relayed pairs, which come last, don't
# wait until all others have been checked.
ROUND: Final = 16
# The candidate types, best first. (RFC 8445 section 5.1.2.2)
KINDS: Final = {"host": 0, "prflx": 1, "srflx": 2, "relay": 3}
# "The subnet prefix is /64", as most are. (RFC 7421)
SUBNET_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """The properties of a candidate pair that decide its place.

    Attributes:
        local: The address of the local candidate.
        remote: The address of the remote candidate.
        kinds: The types of the local and the remote candidate, such as `"host"`.
        source: The local address that the system would use to reach the remote address, or None if
            there is no route.
        priority: The priority of the pair.
    """

    local: str
    remote: str
    kinds: tuple[str, str]
    source: str | None
    priority: int


@dataclass(frozen=True, slots=True)
class Hints:
    """The facts known besides the candidates.

    Attributes:
        in_use: The local and the remote address of the pair that was in use before, or None.
        default: The local addresses of the default routes.
    """

    in_use: tuple[str, str] | None = None
    default: frozenset[str] = frozenset()


class Tier(IntEnum):
    """The likelihood that a pair works."""

    DEFAULT_ROUTE = 0
    ROUTED = 1  # the system would use this local address, too
    KNOWN_REMOTE = 2  # another of our links to the last known address of the peer
    OTHER = 3
    UNROUTED = 4


class Scope(IntEnum):
    """The scope of an address."""

    LOOPBACK = 0
    LINK = 1
    SITE = 2
    WORLD = 3


def order_checks(pairs: Sequence[Pair], hints: Hints) -> list[int]:
    """Return the indices of the pairs, in the order of their checks.

    Better candidate types come before worse ones, as in the RFC, but only `ROUND` pairs at a time.
    Within a type, the pair in use comes first; then pairs whose local address the system would
    choose, the default route's before others; and then pairs of similar addresses.
    """
    kinds: dict[tuple[int, int], list[int]] = {}
    for place, pair in enumerate(pairs):
        kinds.setdefault(_kind(pair), []).append(place)
    for places in kinds.values():
        places.sort(key=lambda place: _rank(pairs[place], hints))
    return [*_in_rounds([kinds[kind] for kind in sorted(kinds)])]


def _in_rounds(queues: Sequence[Sequence[int]]) -> Iterator[int]:
    waiting = [iter(queue) for queue in queues]
    for _ in range(max(map(len, queues), default=0) // ROUND + 1):
        for queue in waiting:
            yield from islice(queue, ROUND)


def _kind(pair: Pair) -> tuple[int, int]:
    # The worse type of the two decides, as in the priorities of pairs.
    local, remote = (KINDS.get(kind, len(KINDS)) for kind in pair.kinds)
    return max(local, remote), min(local, remote)


def _rank(pair: Pair, hints: Hints) -> tuple[bool, Tier, bool, int, int]:
    remembered = hints.in_use or (None, None)
    return (
        (pair.local, pair.remote) != remembered,
        _tier(pair, hints),
        pair.remote != remembered[1],
        -_likeness(pair.local, pair.remote),
        -pair.priority,
    )


def _tier(pair: Pair, hints: Hints) -> Tier:
    if pair.kinds[0] == "relay":
        # The relay has routes of its own.
        return Tier.ROUTED
    if pair.source == pair.local:
        return Tier.DEFAULT_ROUTE if pair.local in hints.default else Tier.ROUTED
    if hints.in_use is not None and pair.remote == hints.in_use[1]:
        return Tier.KNOWN_REMOTE
    return Tier.UNROUTED if pair.source is None else Tier.OTHER


def _likeness(local: str, remote: str) -> int:
    """Return the length of the common prefix, from 0 to 32; 0 for different families or scopes."""
    (family, scope, bits), (other_family, other_scope, other_bits) = _parse(local), _parse(remote)
    if (family, scope) != (other_family, other_scope):
        return 0
    if family == 4:
        return 32 - (bits ^ other_bits).bit_length()
    return min(SUBNET_BITS, 128 - (bits ^ other_bits).bit_length()) // 2


@functools.lru_cache(maxsize=4096)
def _parse(address: str) -> tuple[int, Scope, int]:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return 0, Scope.WORLD, 0
    if parsed.is_loopback:
        scope = Scope.LOOPBACK
    elif parsed.is_link_local:
        scope = Scope.LINK
    else:
        scope = Scope.SITE if parsed.is_private else Scope.WORLD
    return parsed.version, scope, int(parsed)
