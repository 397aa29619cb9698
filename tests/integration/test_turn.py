"""Calls by way of a TURN server: coturn, which is a real one."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aioice.ice
import aioice.stun
import aiortc
import pytest
from aioice import stun
from aioice.ice import CandidatePair
from aioice.turn import create_turn_endpoint

import closing
from conftest import Factory, other_tasks
from connecting import (
    DEADLINE,
    Echo,
    connect,
    negotiate,
    transports,
    wait_for_state,
    wait_sending_on_new_pair,
)
from cutting import ice_connection
from owntime import own_time
from ports import free_port, free_ports
from restartice import (
    IceSettings,
    InvalidStateError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCPeerConnectionIceErrorEvent,
    RTCSessionDescription,
)
from restartice.ice.paths.keeper import PathKeeper
from restartice.seam import mobile_client
from selfsigned import make_certificate
from turnserver import LOOPBACK, PASSWORDS, TurnServer, turn_server
from udpforwarder import udp_forwarder

QUOTA_REACHED = 486
# The type of a success response to an Allocate request.
ALLOCATED = b"\x01\x03"
# That of an error response to a ChannelBind request.
BINDING_REFUSED = b"\x01\x19"


@pytest.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[TurnServer]:
    async with turn_server(tmp_path) as server:
        yield server


def relayed(*servers: aiortc.RTCIceServer) -> RTCConfiguration:
    return RTCConfiguration(
        iceServers=list(servers), iceTransportPolicy=RTCIceTransportPolicy.RELAY
    )


def direct() -> RTCConfiguration:
    return RTCConfiguration(iceServers=[])


def selected_types(pc: RTCPeerConnection) -> list[str]:
    pairs = [transport.getSelectedCandidatePair() for transport in transports(pc)]
    return [pair.local.type for pair in pairs if pair is not None]


def candidate_types(pc: RTCPeerConnection) -> set[str]:
    return {c.type for transport in transports(pc) for c in transport.getLocalCandidates()}


def listen_for_errors(pc: RTCPeerConnection) -> list[RTCPeerConnectionIceErrorEvent]:
    errors: list[RTCPeerConnectionIceErrorEvent] = []
    pc.on("icecandidateerror", errors.append)
    return errors


async def restart(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_only_call(coturn: TurnServer, make_pc: Factory, transport: str) -> None:
    configuration = relayed(coturn.turn(transport=transport))
    near, far = make_pc(configuration), make_pc(configuration)
    echo = await connect(near, far)
    for pc in (near, far):
        assert candidate_types(pc) == {"relay"}
        assert selected_types(pc) == ["relay"]
        # The address behind the relay isn't given away.
        (line,) = {x for x in pc.localDescription.sdp.splitlines() if "typ relay" in x}
        assert "raddr 0.0.0.0 rport 9" in line
    await restart(near, far)
    await echo.check("after")
    assert selected_types(near) == selected_types(far) == ["relay"]


async def test_from_direct_to_relayed_and_back(coturn: TurnServer, make_pc: Factory) -> None:
    near, far = make_pc(direct()), make_pc(direct())
    echo = await connect(near, far)
    assert selected_types(near) == ["host"]

    near.setConfiguration(relayed(coturn.turn()))
    # It is the next gathering that this is for.
    assert selected_types(near) == ["host"]
    await restart(near, far)
    assert candidate_types(near) == {"relay"}
    assert selected_types(near) == ["relay"]
    await echo.check("relayed")

    near.setConfiguration(direct())
    await restart(near, far)
    assert candidate_types(near) == {"host"}
    assert selected_types(near) == ["host"]
    await echo.check("direct")


async def test_changed_credentials_are_for_the_next_restart(
    coturn: TurnServer, make_pc: Factory
) -> None:
    near, far = make_pc(relayed(coturn.turn("alice"))), make_pc(direct())
    echo = await connect(near, far)
    near.setConfiguration(relayed(coturn.turn("bob")))
    await restart(near, far)
    await echo.check("bob")
    errors = listen_for_errors(near)
    near.setConfiguration(relayed(coturn.turn("bob", credential="no longer valid")))
    near.restartIce()
    await negotiate(near, far)
    # The previous pair stays in use, although nothing could be gathered.
    await echo.check("with the old pair")
    assert [error.errorCode for error in errors] == [401]
    near.setConfiguration(relayed(coturn.turn("alice")))
    await restart(near, far)
    await echo.check("alice")


async def test_the_way_to_the_server_keeps_to_the_range_of_ports(
    coturn: TurnServer, make_pc: Factory
) -> None:
    ports = free_ports(2)
    pc = make_pc(
        RTCConfiguration(iceServers=[coturn.turn()]), iceSettings=IceSettings(port_range=ports)
    )
    pc.createDataChannel("x")
    errors = listen_for_errors(pc)
    await pc.setLocalDescription()
    host, relay = transports(pc)[0].getLocalCandidates()
    assert (host.type, relay.type) == ("host", "relay")
    # The address behind the relay is that of our socket, which nothing translates here.
    assert {host.port, relay.relatedPort} == {*ports}
    assert errors == []
    with_none = make_pc(
        relayed(coturn.turn()), iceSettings=IceSettings(port_range=(ports[0], ports[0]))
    )
    with_none.createDataChannel("x")
    errors = listen_for_errors(with_none)
    await with_none.setLocalDescription()
    assert [error.errorCode for error in errors] == [701]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_way_to_the_server_keeps_to_the_interfaces(
    coturn: TurnServer, make_pc: Factory, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    other = "127.0.0.2"
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [LOOPBACK, other])
    cases: list[tuple[Any, list[str]]] = [
        (None, [LOOPBACK]),
        (lambda _, address: address == other, [other]),
        ([], []),
    ]
    for interfaces, expected in cases:
        pc = make_pc(
            RTCConfiguration(iceServers=[coturn.turn(transport=transport)]),
            iceSettings=IceSettings(interfaces=interfaces),
        )
        pc.createDataChannel("x")
        errors = listen_for_errors(pc)
        await pc.setLocalDescription()
        candidates = transports(pc)[0].getLocalCandidates()
        assert [c.relatedAddress for c in candidates if c.type == "relay"] == expected
        assert [error.errorCode for error in errors] == ([] if expected else [701])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_wrong_credentials_are_told_at_once(
    coturn: TurnServer, make_pc: Factory, transport: str
) -> None:
    server = coturn.turn(credential="wrong", transport=transport)
    pc = make_pc(relayed(server), iceSettings=IceSettings(gathering_timeout=2 * DEADLINE))
    pc.createDataChannel("x")
    errors = listen_for_errors(pc)
    async with asyncio.timeout(DEADLINE):
        await pc.setLocalDescription()
    (error,) = errors
    assert error.errorCode == 401
    assert error.errorText
    assert [error.url] == server.urls
    assert pc.iceGatheringState == "complete"


async def test_failed_by_wrong_credentials_and_recovered_with_the_right_ones(
    coturn: TurnServer, make_pc: Factory
) -> None:
    # The headline program: on "failed", setConfiguration() and restartIce().
    settings = IceSettings(check_timeout=2)
    near = make_pc(relayed(coturn.turn(credential="wrong")), iceSettings=settings)
    far = make_pc(relayed(coturn.turn()), iceSettings=settings)
    echo = Echo(near, far)
    await negotiate(near, far)
    await wait_for_state(near, "iceConnectionState", "failed")
    near.setConfiguration(relayed(coturn.turn()))
    near.restartIce()
    await negotiate(near, far)
    await echo.check()
    assert selected_types(near) == ["relay"]


async def test_host_reflexive_and_relayed_in_the_order_they_are_found(
    coturn: TurnServer, make_pc: Factory
) -> None:
    pc = make_pc(RTCConfiguration(iceServers=[coturn.stun, coturn.turn()]))
    pc.createDataChannel("x")
    types: list[str] = []
    pc.on("icecandidate", lambda c: types.append("null" if c is None else c.type))
    await pc.setLocalDescription()
    await wait_for_state(pc, "iceGatheringState", "complete")
    assert types[0] == "host"
    assert set(types[1:3]) == {"srflx", "relay"}
    assert types[3:] == ["", "null"]


async def test_a_relayed_candidate_that_is_late_joins_the_checks(
    coturn: TurnServer, make_pc: Factory
) -> None:
    # Trickling, checks begin with no local candidate at all.
    near, far = make_pc(relayed(coturn.turn())), make_pc(direct())
    echo = Echo(near, far)
    found: list[object] = []
    near.on("icecandidate", found.append)
    await near.setLocalDescription()
    assert found == []
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
    assert selected_types(near) == ["relay"]


async def test_a_check_that_the_relay_dropped_is_repeated_when_the_other_side_checks(
    coturn: TurnServer, make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # I11: the far side's first check comes to the server before the near side has let it pass.
    # Nothing but the near side's own check lets it be sent again here.
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 2 * DEADLINE)
    settings = IceSettings(check_repetition=2 * DEADLINE, check_timeout=2 * DEADLINE)
    near = make_pc(relayed(coturn.turn()), iceSettings=settings)
    far = make_pc(direct(), iceSettings=settings)
    echo = await connect(near, far)
    assert selected_types(near) == ["relay"]
    # Likewise where another relay takes over.
    near.setConfiguration(relayed(coturn.turn("bob")))
    await restart(near, far)
    await echo.check("over the second relay")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_closing_waits_for_dead_servers_only_as_long_as_the_settings_say(
    coturn: TurnServer, make_pc: Factory, transport: str
) -> None:
    configuration = relayed(coturn.turn(transport=transport))
    configuration.bundlePolicy = RTCBundlePolicy.MAX_COMPAT
    pc = make_pc(configuration, iceSettings=IceSettings(release_timeout=1))
    for kind in ("audio", "video", "video"):
        pc.addTransceiver(kind)
    await pc.setLocalDescription()
    assert len(transports(pc)) == 3
    assert candidate_types(pc) == {"relay"}
    # It isn't gone, which would be noticed over TCP, but says nothing.
    await coturn.pause()
    begun, begun_ours = time.monotonic(), own_time()
    async with asyncio.timeout(DEADLINE):
        closing = asyncio.ensure_future(pc.close())
        await wait_for_state(pc, "connectionState", "closed")
        assert not closing.done()
        await closing
    # All are waited for at the same time.
    assert time.monotonic() - begun >= 1
    assert own_time() - begun_ours < 3
    assert other_tasks() == set()


async def test_a_server_that_is_not_there_delays_nothing(
    coturn: TurnServer, make_pc: Factory
) -> None:
    await coturn.stop()
    pc = make_pc(RTCConfiguration(iceServers=[coturn.turn(transport="tcp")]))
    pc.createDataChannel("x")
    errors = listen_for_errors(pc)
    async with asyncio.timeout(DEADLINE):
        await pc.setLocalDescription()
    assert [error.errorCode for error in errors] == [701]
    assert candidate_types(pc) == {"host"}


async def may_allocate(server: TurnServer, user: str = "alice") -> bool:
    """Say if a user gets a relayed address, which is given back, or has too many."""
    closed = asyncio.get_running_loop().create_future()

    class Client(asyncio.DatagramProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            closed.set_result(exc)

    try:
        transport, _ = await create_turn_endpoint(
            Client, (LOOPBACK, server.port), user, PASSWORDS[user]
        )
    except stun.TransactionFailed as refusal:
        if refusal.response.attributes["ERROR-CODE"][0] == QUOTA_REACHED:
            return False
        raise
    transport.close()
    await closed
    return True


async def wait_given_back(server: TurnServer) -> None:
    """Return when the only address that a user may have is free; by itself that takes minutes.

    coturn confirms that it has got one back a moment before it counts it as free.
    """
    async with asyncio.timeout(DEADLINE):
        while not await may_allocate(server):  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("nonce", ["fresh", "stale"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_program_that_ends_after_close_leaves_no_allocation_behind(
    tmp_path: Path, transport: str, nonce: str
) -> None:
    # A user may have one allocation at a time here, so that there can't be another one while the
    # program's is still there.
    async with turn_server(tmp_path, options=["user-quota=1"]) as server:
        arguments = (str(server.port), transport, nonce)
        program = await asyncio.create_subprocess_exec(
            sys.executable, closing.__file__, *arguments, stderr=asyncio.subprocess.PIPE
        )
        _, said = await program.communicate()
        assert (program.returncode, said.decode()) == (0, "")
        await wait_given_back(server)


async def test_what_is_allocated_while_the_connection_closes_is_given_back(
    tmp_path: Path, make_pc: Factory
) -> None:
    async with (
        turn_server(tmp_path, options=["user-quota=1"]) as server,
        udp_forwarder(server.port) as forwarder,
    ):
        forwarder.lose = lambda answer: answer.startswith(ALLOCATED)
        pc = make_pc(relayed(replace(server, port=forwarder.port).turn()))
        pc.createDataChannel("x")
        setting = asyncio.ensure_future(pc.setLocalDescription())
        async with asyncio.timeout(DEADLINE):
            await forwarder.has_lost.wait()
            await pc.close()
        with pytest.raises(InvalidStateError):
            await setting
        await wait_given_back(server)


# With these a lost path is noticed late, and only by what is certain in time.
PATIENT = IceSettings(silence_timeout=3 * DEADLINE, probe_timeout=3 * DEADLINE)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_lost_connection_to_the_server_is_a_lost_path(
    tmp_path: Path, make_pc: Factory, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = [f"cert={certificate}", f"pkey={key}"]
    async with (
        turn_server(tmp_path, options=options) as server,
        turn_server(tmp_path / "other") as other,
    ):
        near = make_pc(relayed(server.turn(transport=transport)), iceSettings=PATIENT)
        far = make_pc(direct(), iceSettings=PATIENT)
        echo = await connect(near, far)
        (ice,) = transports(near)
        assert candidate_types(near) == {"relay"}
        await server.stop()
        await wait_for_state(near, "iceConnectionState", "disconnected")
        # What still comes in, from the other side by another way, doesn't prove the contrary.
        assert ice.state == "disconnected"
        near.setConfiguration(relayed(other.turn()))
        await restart(near, far)
        assert near.iceConnectionState == "completed"
        await echo.check("by way of the other server")


async def test_a_spare_by_way_of_a_relay(
    tmp_path: Path, make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a pair like any other; when its server is gone it is forgotten, and costs nothing."""
    looks = 0
    look = PathKeeper._look

    def count(keeper: PathKeeper) -> None:
        nonlocal looks
        looks += 1
        look(keeper)

    monkeypatch.setattr(PathKeeper, "_look", count)
    async with turn_server(tmp_path, address="127.0.0.9") as server:
        near = make_pc(RTCConfiguration(iceServers=[server.turn(transport="tcp")]))
        await connect(near, make_pc(direct()))
        (transport,) = transports(near)
        assert selected_types(near) == ["host"]
        async with asyncio.timeout(DEADLINE):
            while transport._core.spare_addresses != {server.address}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await server.stop()
            while transport._core.spare_addresses:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        looks = 0
        await asyncio.sleep(0.5)
        assert looks < 50


@pytest.mark.parametrize("options", [[], ["mobility"]], ids=["forbidden", "granted"])
async def test_a_ticket_is_asked_for(tmp_path: Path, make_pc: Factory, options: list[str]) -> None:
    """Where the server forbids that, it grants an address nevertheless."""
    async with turn_server(tmp_path, options=options) as server:
        settings = IceSettings(turn_mobility=True)
        near = make_pc(relayed(server.turn()), iceSettings=settings)
        echo = await connect(near, make_pc(direct()))
        assert selected_types(near) == ["relay"]
        await echo.check()
        (relay,) = ice_connection(near).protocols
        assert (mobile_client(relay.transport) is not None) == bool(options)


async def test_a_connection_to_the_server_that_is_lost_meanwhile_fails_its_pairs_only(
    tmp_path: Path, make_pc: Factory
) -> None:
    async with turn_server(tmp_path) as server:
        near = make_pc(RTCConfiguration(iceServers=[server.turn(transport="tcp")]))
        far = make_pc(direct())
        echo = Echo(near, far)
        await near.setLocalDescription()
        assert candidate_types(near) == {"host", "relay"}
        await server.stop()
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription()
        await near.setRemoteDescription(far.localDescription)
        await echo.check()
        assert selected_types(near) == ["host"]
        assert near.iceConnectionState == "completed"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_server_that_names_another_one(
    tmp_path: Path, make_pc: Factory, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = [f"cert={certificate}", f"pkey={key}"]
    async with turn_server(tmp_path / "busy", options=options) as busy:
        hint = f"{LOOPBACK}:{busy.port}"
        options += [f"alternate-server={hint}", f"tls-alternate-server={hint}"]
        async with turn_server(tmp_path / "first", options=options) as first:
            near = make_pc(relayed(first.turn(transport=transport)))
            errors = listen_for_errors(near)
            echo = await connect(near, make_pc(direct()))
            assert selected_types(near) == ["relay"]
            assert errors == []
            # It is the other one that relays.
            await first.stop()
            await echo.check()


async def test_servers_that_name_each_other(tmp_path: Path, make_pc: Factory) -> None:
    ports = [free_port(), free_port()]
    options = [[f"alternate-server={LOOPBACK}:{port}"] for port in ports]
    async with (
        turn_server(tmp_path / "one", port=ports[0], options=options[1]) as one,
        turn_server(tmp_path / "other", port=ports[1], options=options[0]),
    ):
        pc = make_pc(relayed(one.turn()))
        errors = listen_for_errors(pc)
        pc.createDataChannel("x")
        async with asyncio.timeout(DEADLINE):
            await pc.setLocalDescription()
        (error,) = errors
        assert (error.url, error.errorCode) == (one.turn().urls[0], 300)
        assert error.errorText == "Try Alternate"
        assert candidate_types(pc) == set()


async def test_a_peer_that_the_server_forbids(tmp_path: Path, make_pc: Factory) -> None:
    async with (
        turn_server(tmp_path, options=["denied-peer-ip=127.0.0.0-127.255.255.255"]) as server,
        udp_forwarder(server.port) as forwarder,
    ):
        refusals: list[bytes] = []

        def count(answer: bytes) -> bool:
            if answer.startswith(BINDING_REFUSED):
                refusals.append(answer)
            return False

        forwarder.lose = count
        settings = IceSettings(check_timeout=3, check_repetition=0.1)
        turn = replace(server, port=forwarder.port).turn()
        near, far = make_pc(relayed(turn), iceSettings=settings), make_pc(direct())
        errors = listen_for_errors(near)
        near.createDataChannel("x")
        await negotiate(near, far)
        await wait_for_state(near, "iceConnectionState", "failed")
        (pair,) = transports(near)[0]._core.generations[-1].connection.check_list
        assert pair.state is CandidatePair.State.FAILED
        # It isn't asked again and again, although the check is to be repeated.
        (error,) = errors
        assert len(refusals) == 1
        assert [error.url] == turn.urls
        assert error.errorCode == 403
        host, port = pair.remote_addr
        assert error.errorText.endswith(f" ({host}:{port})")


async def test_a_peer_of_which_the_server_forbids_an_address(
    tmp_path: Path, make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with turn_server(tmp_path, options=["denied-peer-ip=127.0.0.2"]) as server:
        near = make_pc(relayed(server.turn()))
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.2", LOOPBACK])
        far = make_pc(direct())
        errors = listen_for_errors(near)
        echo = await connect(near, far)
        await restart(near, far)
        await echo.check()
        for pc in (near, far):
            (ice,) = transports(pc)
            pair = ice.getSelectedCandidatePair()
            assert pair is not None
            assert "127.0.0.2" not in {pair.remote.ip, pair.local.ip}
        assert {error.errorCode for error in errors} <= {403}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_restarts_where_a_user_may_have_one_address(
    tmp_path: Path, make_pc: Factory, transport: str
) -> None:
    async with turn_server(tmp_path, options=["user-quota=1"]) as server:
        near = make_pc(relayed(server.turn(transport=transport)), iceSettings=PATIENT)
        far = make_pc(direct(), iceSettings=PATIENT)
        echo = await connect(near, far)
        errors = listen_for_errors(near)
        # The first one has to give up the address in use, and the next one has those that drain.
        for _ in range(3):
            await restart(near, far)
            await echo.check()
            assert selected_types(near) == ["relay"]
            assert near.iceConnectionState == "completed"
        assert errors == []


async def test_a_restart_after_one_that_was_taken_back(tmp_path: Path, make_pc: Factory) -> None:
    async with turn_server(tmp_path, options=["user-quota=1"]) as server:
        near, far = make_pc(relayed(server.turn())), make_pc(direct())
        echo = await connect(near, far)
        errors = listen_for_errors(near)
        near.restartIce()
        await near.setLocalDescription()
        await near.setLocalDescription(RTCSessionDescription("", "rollback"))
        await restart(near, far)
        await echo.check()
        assert errors == []


async def test_an_address_that_is_not_in_use_is_given_up_first(
    tmp_path: Path, make_pc: Factory
) -> None:
    async with turn_server(tmp_path, options=["user-quota=1"]) as server:
        near, far = make_pc(RTCConfiguration(iceServers=[server.turn()])), make_pc(direct())
        echo = await connect(near, far)
        assert selected_types(near) == ["host"]
        assert candidate_types(near) == {"host", "relay"}
        states: list[str] = []
        near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
        await restart(near, far)
        await echo.check()
        assert candidate_types(near) == {"host", "relay"}
        assert "disconnected" not in states


async def test_an_address_in_use_is_kept_where_another_one_may_be_had(
    tmp_path: Path, make_pc: Factory
) -> None:
    async with turn_server(tmp_path, options=["user-quota=2"]) as server:
        near, far = make_pc(relayed(server.turn())), make_pc(direct())
        echo = await connect(near, far)
        states: list[str] = []
        near.on("iceconnectionstatechange", lambda: states.append(near.iceConnectionState))
        for _ in range(3):
            # From the second time on there is one that drains, which goes instead.
            await restart(near, far)
            await echo.check()
        assert "disconnected" not in states
        assert "checking" not in states


async def test_what_is_not_granted_to_anybody_is_told(tmp_path: Path, make_pc: Factory) -> None:
    async with turn_server(tmp_path, options=["user-quota=1"]) as server:
        near, far = make_pc(relayed(server.turn())), make_pc(relayed(server.turn()))
        near.createDataChannel("x")
        far.createDataChannel("x")
        errors = listen_for_errors(far)
        async with asyncio.timeout(DEADLINE):
            await near.setLocalDescription()
            await far.setLocalDescription()
        # That of another connection isn't ours to give up.
        assert [error.errorCode for error in errors] == [QUOTA_REACHED]
        assert candidate_types(near) == {"relay"}


def turn_client_of(protocol: Any) -> object:
    return protocol.transport._TurnTransport__inner_protocol


async def test_a_server_by_different_ways(
    tmp_path: Path, make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    options = [f"cert={certificate}", f"pkey={key}"]
    async with turn_server(tmp_path, options=options) as server:
        ways = [server.turn(transport=transport) for transport in ("tls", "tcp", "udp")]
        # By a URL that means the same as another one it isn't asked again.
        same = replace(ways[2], urls=[f"TURN:{LOOPBACK}:{server.port}"])
        near, far = make_pc(relayed(*ways, same)), make_pc(direct())
        echo = await connect(near, far)
        await echo.check()
        (ice,) = transports(near)
        candidates = sorted(ice.getLocalCandidates(), key=lambda c: -c.priority)
        assert len(candidates) == 3
        assert len({c.priority for c in candidates}) == len({c.foundation for c in candidates}) == 3
        # Where UDP gets through it is the best way.
        sockets = ice._core.generations[0].connection.protocols
        by_udp = [p for p in sockets if repr(turn_client_of(p)) == "turn/udp"]
        assert [p.local_candidate.port for p in by_udp] == [candidates[0].port]


async def test_dead_servers_hold_up_a_description_only_as_long_as_the_settings_say(
    coturn: TurnServer, make_pc: Factory
) -> None:
    # What is dead is a server of the one kind, and another one of the other kind.
    silent = replace(coturn, port=free_port())
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, silent.port))
        settings = IceSettings(gathering_timeout=1, server_grace=2 * DEADLINE)
        servers = [silent.stun, silent.turn(), coturn.turn()]
        pc = make_pc(RTCConfiguration(iceServers=servers), iceSettings=settings)
        pc.createDataChannel("x")
        async with asyncio.timeout(DEADLINE):
            await pc.setLocalDescription()
        assert candidate_types(pc) == {"host", "relay"}
