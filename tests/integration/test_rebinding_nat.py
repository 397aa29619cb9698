"""Media goes on when the other end's NAT gives it another port; no stranger's gets in by that."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import aioice.ice
import aiortc
import pytest
from aioice import stun

import strangers
from conftest import Factory
from connecting import DEADLINE, wait_connected
from cutting import connect_measured, ice_connection, is_measured
from nat import Nat, at_port, nat, port_of
from restartice import IceSettings, RTCPeerConnection, RTCSessionDescription
from restartice.ice.connection import IceConnection
from restartice.ice.incoming.guard import Shape, shape_of
from restartice.ice.incoming.new_ports import TRIES, NewPorts

# Whose peers ask for nothing, whatever they miss.
PATIENT = IceSettings(consent_interval=600, consent_lifetime=3000, silence_timeout=600)
PACKETS = 40
RTP = bytes([0x80, 96]) + bytes(30)


@pytest.fixture(params=["aiortc", "restartice"])
async def far(
    request: pytest.FixtureRequest, make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[aiortc.RTCPeerConnection]:
    """Return a peer that never checks again once it is connected."""
    if request.param == "restartice":
        yield make_pc(iceSettings=PATIENT)
        return
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 600)
    pc = aiortc.RTCPeerConnection()
    yield pc
    await pc.close()


async def connect_through(
    made: Nat, near: RTCPeerConnection, far: aiortc.RTCPeerConnection
) -> None:
    """Connect two peers, the far one behind a NAT."""
    await near.setLocalDescription()
    offer, described = near.localDescription, RTCSessionDescription
    assert offer is not None
    made.front = ("127.0.0.1", port_of(offer.sdp))
    await far.setRemoteDescription(described(at_port(offer.sdp, made.inner_port), "offer"))
    await far.setLocalDescription(await far.createAnswer())
    answer = far.localDescription
    await near.setRemoteDescription(described(at_port(answer.sdp, made.outer_port), "answer"))


@contextmanager
def events(connection: IceConnection) -> Iterator[list[str | bytes]]:
    """Note what is delivered, and which checks come in, in their order."""
    noted: list[str | bytes] = []
    deliver, take_check = connection.deliver, connection.check_incoming

    def note_packet(packet: bytes) -> None:
        noted.append(packet)
        deliver(packet)

    def note_check(message: Any, addr: Any, protocol: Any) -> None:
        noted.append("check")
        take_check(message, addr, protocol)

    vars(connection)["check_incoming"] = note_check
    connection.deliver = note_packet
    yield noted
    connection.deliver = deliver
    del vars(connection)["check_incoming"]


async def wait_for_packets(noted: list[Any], count: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(noted) < count:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


async def wait_until_measured(*connections: aiortc.RTCPeerConnection) -> None:
    """Return when those that ask for consent at first have an answer."""
    async with asyncio.timeout(DEADLINE):
        for pc in connections:
            while isinstance(pc, RTCPeerConnection) and not is_measured(pc):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def is_traffic(datagram: bytes) -> bool:
    return shape_of(datagram) is Shape.TRAFFIC


async def test_media_goes_on_before_any_check(
    make_pc: Factory, far: aiortc.RTCPeerConnection
) -> None:
    near = make_pc(iceSettings=PATIENT)
    near.addTransceiver("audio", direction="recvonly")
    far.addTrack(aiortc.AudioStreamTrack())
    async with strangers.no_error(), nat() as made:
        await connect_through(made, near, far)
        await wait_connected(near)
        connection = ice_connection(near)
        with events(connection) as noted:
            await wait_for_packets(noted, PACKETS)
            await wait_until_measured(near, far)
            pair = connection.selected_pair
            assert pair is not None
            asked = connection.checks_of(pair).consent_requests_sent
            await made.rebind()
            before = len(noted)
            await wait_for_packets(noted, before + 2 * PACKETS)
            after, sent = noted[before:], [d for d in made.forwarded if is_traffic(d)]
        assert "check" not in after
        # Nothing is missing, not even the first one, and nothing has changed places.
        delivered = after[after.index(sent[0]) :]
        assert len(delivered) > PACKETS
        assert delivered == sent[: len(delivered)]
        # The old port is asked at once, too, whether the other end is still there.
        assert connection.checks_of(pair).consent_requests_sent > asked
        assert await strangers.discarded(near) == 0


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        made = []
        for _ in range(10):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            made.append(sock)
        yield made


def questions(sock: socket.socket) -> Iterator[stun.Message]:
    """Yield the requests that have come in on a socket."""
    while True:
        try:
            message = stun.parse_message(sock.recv(65536))
        except BlockingIOError:
            return
        if message.message_class is stun.Class.REQUEST:
            yield message


async def question(sock: socket.socket) -> stun.Message:
    """Return the request that comes in on a socket."""
    async with asyncio.timeout(DEADLINE):
        while True:
            for message in questions(sock):
                return message
            await asyncio.sleep(0)


def answer(request: stun.Message, password: str | None, kind: stun.Class) -> bytes:
    """Return a response, signed if there is a password."""
    response = stun.Message(stun.Method.BINDING, kind, transaction_id=request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = ("127.0.0.1", 9)
    if password is not None:
        response.add_message_integrity(password.encode())
    return bytes(response)


async def test_a_stranger_at_the_same_host_gets_nothing_in(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(iceSettings=PATIENT), make_pc(iceSettings=PATIENT)
    echo = await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    password = ice_connection(far).local_password
    asker, other = sockets[:2]
    with events(connection) as noted:
        asker.sendto(RTP, target)
        request = await question(asker)
        asker.sendto(bytes(request), target)
        asker.sendto(answer(request, None, stun.Class.RESPONSE), target)
        asker.sendto(answer(request, "no" * 11, stun.Class.RESPONSE), target)
        asker.sendto(answer(request, connection.local_password, stun.Class.RESPONSE), target)
        asker.sendto(answer(request, None, stun.Class.ERROR), target)
        # The right one counts only where the question has gone.
        other.sendto(answer(request, password, stun.Class.RESPONSE), target)
        for sock in (asker, other):
            sock.sendto(RTP, target)
        # Three packets and five answers.
        await strangers.discard(near, 3 + 5)
        for sock in (asker, other):
            assert not connection.protocols[0].has_answered(sock.getsockname())
        assert RTP not in noted
    await echo.check("still here")


async def test_the_right_answer_lets_in_what_was_kept(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(iceSettings=PATIENT), make_pc(iceSettings=PATIENT)
    await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    packets = [RTP + bytes([number]) for number in range(5)]
    with events(connection) as noted:
        for packet in packets[:3]:
            sockets[0].sendto(packet, target)
        request = await question(sockets[0])
        password = ice_connection(far).local_password
        sockets[0].sendto(answer(request, password, stun.Class.RESPONSE), target)
        for packet in packets[3:]:
            sockets[0].sendto(packet, target)
        await wait_for_packets(noted, len(packets))
        assert noted == packets
    assert await strangers.discarded(near) == 0


async def test_few_ports_are_asked_and_little_is_kept(
    make_pc: Factory, sockets: list[socket.socket]
) -> None:
    near, far = make_pc(iceSettings=PATIENT), make_pc(iceSettings=PATIENT)
    echo = await connect_measured(near, far)
    connection, (target,) = ice_connection(near), strangers.ports(near)
    count, kept = 0, NewPorts.PORTS * NewPorts.EACH
    with events(connection) as noted:
        for _ in range(2 * NewPorts.EACH):
            for sock in sockets:
                sock.sendto(RTP, target)
                count += 1
            # No faster than they are taken, or else the system drops them.
            await strangers.discard(near, count - kept)
        await strangers.discard(near, count)
        assert RTP not in noted
    asked = [len(list(questions(sock))) for sock in sockets]
    assert sum(1 for requests in asked if requests) == NewPorts.PORTS
    assert sum(asked) == NewPorts.PORTS * TRIES
    await echo.check("still here")


async def test_ports_of_other_hosts_are_not_asked(make_pc: Factory) -> None:
    near, far = make_pc(iceSettings=PATIENT), make_pc(iceSettings=PATIENT)
    await connect_measured(near, far)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.2", 0))
        sock.setblocking(False)
        sock.sendto(RTP, strangers.ports(near)[0])
        await strangers.discard(near, 1)
        assert list(questions(sock)) == []
