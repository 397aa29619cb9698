"""Makes local candidates from addresses."""

from typing import Any, Final

import aioice
from aioice.candidate import candidate_foundation, candidate_priority

from .servers import TurnServer

__all__ = ["host_candidate", "relayed_candidate", "server_reflexive_candidate"]

COMPONENT: Final = 1
# Of all addresses of this host. It is lower than Firefox's, and the lower one of both candidates
# decides first which pair has the higher priority (RFC 8445 section 6.1.2.3), so that a new port of
# ours can have Firefox go over; see paths/fresh_port.py.
LOCAL_PREFERENCE: Final = 4095
LOCAL_PREFERENCES: Final = {"udp": 65535, "tcp": 65534, "tls": 65533}


def host_candidate(component: int, address: tuple[Any, ...]) -> aioice.Candidate:
    """Return a candidate of this host."""
    return _candidate("host", component, address[0], address)


def _candidate(kind: str, component: int, base: str, address: tuple[Any, ...]) -> aioice.Candidate:
    """Return a candidate with its foundation and priority; `base` is the address it sends from."""
    return aioice.Candidate(
        foundation=candidate_foundation(kind, "udp", base),
        component=component,
        transport="udp",
        priority=candidate_priority(component, kind, LOCAL_PREFERENCE),
        host=address[0],
        port=address[1],
        type=kind,
    )


def server_reflexive_candidate(base: aioice.Candidate, mapped: tuple[str, int]) -> aioice.Candidate:
    """Return the candidate of an address at which a STUN server sees a host candidate."""
    candidate = _candidate("srflx", base.component, base.host, mapped)
    candidate.related_address, candidate.related_port = base.host, base.port
    return candidate


def relayed_candidate(server: TurnServer, address: tuple[str, int]) -> aioice.Candidate:
    """Return the candidate of a relayed address.

    A server reached by UDP has a higher priority than one reached by TCP, where a lost packet
    delays the following ones. Candidates from the same server by different transports have
    different foundations. (RFC 8445 section 5.1.1.3)
    """
    candidate = _candidate("relay", COMPONENT, address[0], address)
    candidate.foundation = candidate_foundation("relay", server.way, address[0])
    preference = LOCAL_PREFERENCES[server.way]
    candidate.priority = candidate_priority(COMPONENT, "relay", preference)
    return candidate
