"""The order in which candidate pairs are checked: those that lead across most likely come first.

The RFC leaves the order between candidates of one kind to the priorities, which say nothing of
which of one side's addresses fits which of the other's. Where both have many, as on machines with a
bridge for each container, only one pair in a thousand may lead across. (RFC 8445 section 6.1.2.3)
"""

import functools
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

__all__ = ["Hints", "Pair", "order_checks"]

# How many pairs of each kind are checked in turn, so that the relayed ones, which are last, needn't
# wait until all others have been checked.
ROUND: Final = 16
# What the kinds of candidates are worth, best first. (RFC 8445 section 5.1.2.2)
KINDS: Final = {"host": 0, "prflx": 1, "srflx": 2, "relay": 3}
# "The subnet prefix is /64", as most are. (RFC 7421)
SUBNET_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """What the place of a candidate pair depends on.

    Attributes:
        local: The address of the local candidate.
        remote: That of the remote one.
        kinds: The kinds of the local and the remote candidate, such as `"host"`.
        source: The address from which the system would send to the remote one, None if it can't.
        priority: The priority of the pair.
    """

    local: str
    remote: str
    kinds: tuple[str, str]
    source: str | None
    priority: int


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known beside the candidates.

    Attributes:
        in_use: The local and the remote address of the pair that was in use last, or None.
        default: Our addresses that the default routes are from.
    """

    in_use: tuple[str, str] | None = None
    default: frozenset[str] = frozenset()


class Tier(IntEnum):
    """How likely it is that a pair leads across."""

    DEFAULT_ROUTE = 0
    ROUTED = 1  # the system would send that way, too
    KNOWN_REMOTE = 2  # by another of our links to where the other end was last
    OTHER = 3
    UNROUTED = 4


class Scope(IntEnum):
    """How far an address reaches."""

    LOOPBACK = 0
    LINK = 1
    SITE = 2
    WORLD = 3


def order_checks(pairs: Sequence[Pair], hints: Hints) -> list[int]:
    """Return the places of the pairs, in the order in which to check them.

    Better kinds of candidates come before worse ones, as the RFC wants it, but no more than a few
    at a time. Among those of a kind, the first is the pair in use; then come those that the system
    would choose itself, the default route's before others; and then like with like.
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
    # The worse one of the two decides, as it does in the priorities of pairs.
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
        # The way from the relay is the server's.
        return Tier.ROUTED
    if pair.source == pair.local:
        return Tier.DEFAULT_ROUTE if pair.local in hints.default else Tier.ROUTED
    if hints.in_use is not None and pair.remote == hints.in_use[1]:
        return Tier.KNOWN_REMOTE
    return Tier.UNROUTED if pair.source is None else Tier.OTHER


def _likeness(local: str, remote: str) -> int:
    """Return how many bits the addresses have in common, from 0 to 32, if they are of one kind."""
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
