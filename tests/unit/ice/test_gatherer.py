"""The gatherer by itself: its states, its generations, its configuration."""

import aioice
import pytest
from aiortc import RTCIceServer, RTCIceTransportPolicy

from restartice import RTCIceGatherer
from restartice.ice.credentials import IceCredentials
from servers import MAPPED, stun_server


async def test_states_from_new_to_completed() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    told: list[str] = []
    gatherer.on("statechange", lambda: told.append(gatherer.state))
    assert gatherer.state == "new"
    await gatherer.gather()
    assert told == ["gathering", "completed"]
    (candidate,) = gatherer.getLocalCandidates()
    assert (candidate.type, candidate.ip) == ("host", "127.0.0.1")
    # Again, it has nothing more to do.
    await gatherer.gather()
    assert told == ["gathering", "completed"]
    assert gatherer.getLocalCandidates() == [candidate]
    await gatherer._core.generation.close()


async def test_given_credentials_are_used_and_others_made() -> None:
    given = RTCIceGatherer(iceServers=[], local_username="user", local_password="p" * 22)
    parameters = given.getLocalParameters()
    assert (parameters.usernameFragment, parameters.password) == ("user", "p" * 22)
    made = [RTCIceGatherer(iceServers=[]).getLocalParameters() for _ in range(2)]
    assert made[0].usernameFragment != made[1].usernameFragment
    assert all(len(each.password or "") >= 22 for each in made)


async def test_each_generation_is_gathered_anew() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    first = gatherer._core.generation
    await gatherer.gather()
    second = gatherer._core.make_generation(IceCredentials.generate())
    assert gatherer.state == "new"
    assert gatherer.getLocalCandidates() == []
    await gatherer.gather()
    ports = [generation.local_candidates()[0].port for generation in (first, second)]
    assert ports[0] != ports[1]
    # A restart that is forgotten leaves all as it was.
    gatherer._core.use(first)
    assert gatherer.state == "completed"
    assert [candidate.port for candidate in gatherer.getLocalCandidates()] == ports[:1]
    for generation in (first, second):
        await generation.close()


async def test_a_configuration_is_for_the_next_gathering() -> None:
    async with stun_server() as server:
        gatherer = RTCIceGatherer(iceServers=[])
        await gatherer.gather()
        gatherer._core.configure([server.configuration], RTCIceTransportPolicy.ALL)
        assert {c.type for c in gatherer.getLocalCandidates()} == {"host"}
        first = gatherer._core.generation
        second = gatherer._core.make_generation(IceCredentials.generate())
        await gatherer.gather()
        found = [(c.type, c.ip) for c in gatherer.getLocalCandidates()]
        assert found == [("host", "127.0.0.1"), ("srflx", MAPPED[0])]
        gatherer._core.configure([], RTCIceTransportPolicy.RELAY)
        third = gatherer._core.make_generation(IceCredentials.generate())
        await gatherer.gather()
        assert gatherer.getLocalCandidates() == []
        assert third.connection.transport_policy is aioice.TransportPolicy.RELAY
        for generation in (first, second, third):
            await generation.close()


async def test_servers_that_are_left_out_are_aiortcs_own() -> None:
    assert RTCIceGatherer()._core._ice_servers == RTCIceGatherer.getDefaultIceServers()


@pytest.mark.parametrize("url", ["http://example.org", "stun:"])
async def test_malformed_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  aiortc's words
        RTCIceGatherer(iceServers=[RTCIceServer(urls=[url])])
