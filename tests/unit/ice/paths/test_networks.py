"""Whether the system can send on a pair."""

import aioice
import pytest

from restartice.ice.connection import IceConnection
from restartice.ice.paths.networks import can_send, networks_of
from restartice.seam import CandidatePair


@pytest.fixture
async def pair() -> CandidatePair:
    """Return a pair of a socket on loopback and a candidate that nobody has."""
    connection = IceConnection(ice_controlling=True)
    await connection.begin_gathering([])
    remote = aioice.Candidate("1", 1, "udp", 1, "127.0.0.9", 9, "host")
    await connection.add_remote_candidate(remote)
    (protocol,) = connection.protocols
    (candidate,) = connection.all_remote_candidates
    made = CandidatePair(protocol, candidate)
    await connection.close()
    return made


async def test_the_networks_are_the_addresses(pair: CandidatePair) -> None:
    assert networks_of(pair) == ("127.0.0.1", "127.0.0.9")


async def test_it_can(pair: CandidatePair) -> None:
    assert can_send(pair)


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
async def test_an_address_that_is_gone(pair: CandidatePair, host: str) -> None:
    pair.local_candidate.host = host
    assert not can_send(pair)


async def test_relays_are_the_servers_business(pair: CandidatePair) -> None:
    pair.local_candidate.host, pair.local_candidate.type = "192.0.2.7", "relay"
    assert can_send(pair)
