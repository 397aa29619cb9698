"""Copies of a signed check, which anyone can send who has seen it: they make little of anything."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from aioice import stun

import strangers
from conftest import Factory, other_tasks
from connecting import DEADLINE, negotiate, transports, wait_connected
from cutting import connect_measured, ice_connection, is_measured
from restartice import IceSettings, RTCPeerConnection
from restartice.ice.connection import IceConnection

COPIES = 500
# Repeats checks at once, and again and again.
INSISTENT = IceSettings(check_repetition=0.1)
LOOPBACK = "127.0.0.1"


def signed_check(near: RTCPeerConnection, far: RTCPeerConnection) -> bytes:
    """Return a check as the far side might send to the near one."""
    pair = ice_connection(far).selected_pair
    assert pair is not None
    request = ice_connection(far).build_request(pair, nominate=False)
    request.add_message_integrity(ice_connection(near).local_password.encode())
    return bytes(request)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        made = []
        for _ in range(COPIES):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((LOOPBACK, 0))
            sock.setblocking(False)
            made.append(sock)
        yield made


def received(sock: socket.socket) -> Iterator[bytes]:
    """Yield what has come in on a socket."""
    while True:
        try:
            yield sock.recv(65536)
        except BlockingIOError:
            return


async def handle(connection: IceConnection, port: int) -> None:
    """Return when a check from a port has been handled, so that a candidate was made of it."""
    async with asyncio.timeout(DEADLINE):
        while port not in {c.port for c in connection.all_remote_candidates}:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_copies_from_many_ports_make_few_candidates_and_little_traffic(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    check, tasks = signed_check(near, far), len(other_tasks())
    pair = connection.selected_pair
    for sock in sockets:
        sock.sendto(check, target)
        await handle(connection, sock.getsockname()[1])
    # Longer than it takes to repeat a check twice, at least.
    await asyncio.sleep(3)
    sent_back = sum(len(datagram) for sock in sockets for datagram in received(sock))
    assert len(check) * COPIES / 2 < sent_back < 2 * len(check) * COPIES
    assert len(connection.all_remote_candidates) <= 1 + 16
    assert len(connection.check_list) <= 1 + 16
    assert len(other_tasks()) <= tasks + 16
    assert connection.selected_pair is pair
    await echo.check("still here")


async def test_copies_from_many_hosts_make_few_candidates(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect_measured(near, far)
    connection = ice_connection(near)
    (protocol,) = connection.protocols
    check = signed_check(near, far)
    for number in range(COPIES):
        protocol.datagram_received(check, (f"127.1.{number // 250}.{number % 250 + 1}", 9))
    learned = [c.host for c in connection.all_remote_candidates if c.type == "prflx"]
    assert len(learned) == 64
    # The latest, as the other end's own is answered at once.
    assert learned[-1] == "127.1.1.250"
    assert len(connection.check_list) <= 1 + 64
    await echo.check("still here")


async def test_an_address_that_answers_is_found_among_copies(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(), make_pc()
    await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    check = signed_check(near, far)
    moved = sockets.pop()
    moved.sendto(signed_check(near, far), target)
    await handle(connection, moved.getsockname()[1])
    answer(moved, connection, ice_connection(far).local_password, await ask(moved))
    async with asyncio.timeout(DEADLINE):
        while not connection.protocols[0].has_answered(moved.getsockname()):  # noqa: ASYNC110
            await asyncio.sleep(0)
    for sock in sockets[:50]:
        sock.sendto(check, target)
        await handle(connection, sock.getsockname()[1])
    known = {c.port for c in connection.all_remote_candidates}
    assert moved.getsockname()[1] in known
    assert sockets[0].getsockname()[1] not in known


async def ask(sock: socket.socket) -> stun.Message:
    """Return the request that comes in on a socket."""
    async with asyncio.timeout(DEADLINE):
        while True:
            for datagram in received(sock):
                message = stun.parse_message(datagram)
                if message.message_class is stun.Class.REQUEST:
                    return message
            await asyncio.sleep(0)


def answer(
    sock: socket.socket, connection: IceConnection, password: str, request: stun.Message
) -> None:
    """Answer a request as its receiver does."""
    (protocol,) = connection.protocols
    address = protocol.local_candidate.host, protocol.local_candidate.port
    response = stun.Message(
        stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id
    )
    response.attributes["XOR-MAPPED-ADDRESS"] = address
    response.add_message_integrity(password.encode())
    sock.sendto(bytes(response), address)


async def test_a_copy_proves_nothing(make_pc: Factory, sockets: list[socket.socket]) -> None:
    near, far = make_pc(), make_pc()
    await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    check = signed_check(near, far)
    first, second = sockets[:2]
    for sock in (first, second):
        sock.sendto(check, target)
        await handle(connection, sock.getsockname()[1])
    before = await strangers.discarded(near)
    second.sendto(bytes([0x80]) + bytes(20), target)
    await strangers.discard(near, before + 1)


async def test_copies_before_the_answer_displace_no_other_check(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    connection = transports(near)[0]._core.gatherer.generation.connection
    async with asyncio.timeout(DEADLINE):
        await connection.asked.wait()
    check, source, protocol = connection.early_checks[0]
    for number in range(COPIES):
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes.update(check.attributes)
        request.attributes["PRIORITY"] = 1 + number
        request.add_message_integrity(connection.local_password.encode())
        protocol.datagram_received(bytes(request), (LOOPBACK, 9))
    places = Counter(address for _, address, _ in connection.early_checks)
    assert places[source] <= 2
    assert places[LOOPBACK, 9] <= 2
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)


async def test_refusals_are_limited(make_pc: Factory, sockets: list[socket.socket]) -> None:
    near, far = make_pc(), make_pc()
    await connect_measured(near, far)
    (target,) = strangers.ports(near)
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    loop = asyncio.get_running_loop()
    began = loop.time()
    for sock in sockets:
        sock.sendto(request, target)
        await asyncio.sleep(0)
    async with strangers.stranger() as last:
        await last.send([bytes([255])], [target], 1)
        await strangers.discard(near, 1)
    seconds = int(loop.time() - began) + 1
    refusals = sum(1 for sock in sockets for _ in received(sock))
    assert 0 < refusals <= 20 * (seconds + 1)
    assert seconds > 20 or refusals < COPIES


async def test_a_copy_allows_one_request(make_pc: Factory, sockets: list[socket.socket]) -> None:
    near, far = make_pc(iceSettings=INSISTENT), make_pc(iceSettings=INSISTENT)
    await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    check, sock = signed_check(near, far), sockets[0]
    # What any of a generation's may be used for that get lost.
    while connection.gate.allowance.take_request():
        pass
    for _ in range(3):
        sock.sendto(check, target)
        await ask(sock)
        # Without a limit there would be one after half a second, and one a second later.
        await asyncio.sleep(2)
        further = [stun.parse_message(datagram).message_class for datagram in received(sock)]
        assert stun.Class.REQUEST not in further


async def test_a_generation_has_some_requests_for_those_that_get_lost(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(), make_pc()
    await connect_measured(near, far)
    sockets[0].sendto(signed_check(near, far), strangers.ports(near)[0])
    for _ in range(3):
        await ask(sockets[0])


async def connect_by_learned_candidates(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Connect two peers, of which the near one isn't told the candidates of the far one."""
    near.createDataChannel("data")

    @far.on("icecandidate")
    def keep(_: object) -> None:
        """Trickle, and tell none."""

    await negotiate(near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        while not is_measured(near):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert {c.type for c in ice_connection(near).all_remote_candidates} == {"prflx"}


async def test_the_candidate_in_use_is_kept_whoever_answers(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(), make_pc()
    await connect_by_learned_candidates(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    pair = connection.selected_pair
    assert pair is not None
    protocol: Any = pair.protocol
    password = ice_connection(far).local_password
    for sock in sockets[:20]:
        sock.sendto(signed_check(near, far), target)
        answer(sock, connection, password, await ask(sock))
        async with asyncio.timeout(DEADLINE):
            while not protocol.has_answered(sock.getsockname()):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert len(connection.all_remote_candidates) == 16
    assert pair.remote_candidate in connection.all_remote_candidates
    assert pair in connection.check_list
    assert protocol.has_answered(pair.remote_addr)
