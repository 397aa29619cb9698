"""What IceSettings and patched functions of aiortc and aioice have to say about gathering."""

import socket
from typing import TYPE_CHECKING, Any

import aioice
import aioice.ice
import aiortc.rtcicetransport
import pytest
from aiortc.exceptions import OperationError

from conftest import Factory
from connecting import connect, negotiate, transports, wait_for_state, wait_sending_on_new_pair
from ports import free_ports
from restartice import IceSettings, RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection
from restartice.ice.gathering.interfaces import interface_names
from servers import MAPPED, stun_server

if TYPE_CHECKING:
    from restartice.settings import InterfaceFilter

LOOPBACK = "127.0.0.1"


def host_ports(pc: RTCPeerConnection) -> list[int]:
    return [c.port for transport in transports(pc) for c in transport.getLocalCandidates()]


def addresses(pc: RTCPeerConnection) -> list[str]:
    return [c.ip for transport in transports(pc) for c in transport.getLocalCandidates()]


async def test_ports_of_a_range_also_for_restarts(make_pc: Factory) -> None:
    ports = free_ports(4)
    settings = IceSettings(port_range=ports)
    near, far = make_pc(iceSettings=settings), make_pc()
    echo = await connect(near, far)
    (first,) = host_ports(near)
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    (second,) = host_ports(near)
    assert first != second
    assert {first, second} <= {*range(ports[0], ports[1] + 1)}
    await echo.check("after")


@pytest.mark.parametrize("listen", [False, True], ids=["waiting", "trickling"])
async def test_no_port_is_free_and_then_one_is(make_pc: Factory, *, listen: bool) -> None:
    port, _ = free_ports(1)
    pc = make_pc(iceSettings=IceSettings(port_range=(port, port)))
    pc.createDataChannel("x")
    if listen:
        pc.on("icecandidate", lambda _: None)
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, port))
        with pytest.raises(OperationError, match=rf"{port}.* is free on {LOOPBACK}"):
            await pc.setLocalDescription()
    # It has left no trace.
    assert pc.signalingState == "stable"
    assert pc.localDescription is None
    assert pc.iceGatheringState == "new"
    await pc.setLocalDescription()
    await wait_for_state(pc, "iceGatheringState", "complete")
    assert host_ports(pc) == [port]


async def test_interfaces_by_name_and_by_function(make_pc: Factory) -> None:
    seen: list[tuple[str, str]] = []

    def none(name: str, address: str) -> bool:
        seen.append((name, address))
        return False

    loopback = interface_names()[LOOPBACK]
    cases: list[tuple[InterfaceFilter, list[str]]] = [
        ([loopback], [LOOPBACK]),
        ({"no such interface"}, []),
        (none, []),
    ]
    for interfaces, expected in cases:
        pc = make_pc(iceSettings=IceSettings(interfaces=interfaces))
        pc.createDataChannel("x")
        await pc.setLocalDescription()
        assert addresses(pc) == expected
        assert pc.iceGatheringState == "complete"
    assert seen == [(loopback, LOOPBACK)]


async def test_loopback_is_a_candidate_if_that_is_wanted(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [])
    for wanted in (False, True):
        pc = make_pc(iceSettings=IceSettings(loopback_candidates=wanted))
        pc.createDataChannel("x")
        await pc.setLocalDescription()
        assert addresses(pc) == ([LOOPBACK] if wanted else [])


async def test_loopback_is_none_where_only_relayed_ones_are_wanted(make_pc: Factory) -> None:
    pc = make_pc(
        RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY),
        iceSettings=IceSettings(loopback_candidates=True),
    )
    pc.createDataChannel("x")
    await pc.setLocalDescription()
    assert addresses(pc) == []


# What programs patch today.


async def test_patched_get_host_addresses_is_asked_at_each_gathering(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    asked: list[dict[str, bool]] = []

    def instead(**kwargs: bool) -> list[str]:
        asked.append(kwargs)
        return ["127.0.0.1", "127.0.0.2"]

    monkeypatch.setattr(aioice.ice, "get_host_addresses", instead)
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    assert asked == [{"use_ipv4": True, "use_ipv6": True}] * 2
    assert addresses(near) == ["127.0.0.1", "127.0.0.2"]
    await echo.check("after")


async def test_patched_connection_kwargs_are_used(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stun_server() as server:
        port = server.transport.get_extra_info("sockname")[1]
        kwargs: dict[str, Any] = {"stun_server": (LOOPBACK, port), "use_ipv6": False}
        monkeypatch.setattr(aiortc.rtcicetransport, "connection_kwargs", lambda _: kwargs)
        asked: list[dict[str, bool]] = []

        def addresses_of_host(**kwargs: bool) -> list[str]:
            asked.append(kwargs)
            return [LOOPBACK]

        monkeypatch.setattr(aioice.ice, "get_host_addresses", addresses_of_host)
        pc = make_pc(RTCConfiguration(iceServers=[]))
        pc.createDataChannel("x")
        await pc.setLocalDescription()
    assert asked == [{"use_ipv4": True, "use_ipv6": False}]
    assert addresses(pc) == [LOOPBACK, MAPPED[0]]


async def test_patched_connection_class_is_used(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered: list[list[str]] = []

    class Patched(aioice.Connection):
        async def get_component_candidates(
            self, component: int, addresses: list[str], timeout: int = 5
        ) -> list[aioice.Candidate]:
            gathered.append(addresses)
            return await super().get_component_candidates(component, addresses, timeout)

    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Patched)
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    await echo.check("after")
    assert all(isinstance(t._connection, Patched) for t in transports(near))
    assert gathered == [[LOOPBACK]] * 4
