"""Servers that name another one, told by real ones on loopback."""

import asyncio
import itertools
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
from aioice import stun

from restartice.ice.connection import IceConnection
from restartice.ice.gathering.queries import ask_for_address, explain
from restartice.ice.gathering.redirection import LIMIT, Trail
from restartice.logs import ObjectLogger
from restartice.seam import Redirected, hear_redirections

LOG = ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(1/0)")
LOOPBACK = "127.0.0.1"
ERROR_CODE, ALTERNATE_DOMAIN, ALTERNATE_SERVER = 0x0009, 0x8003, 0x8023

Address = tuple[str, int]


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def try_alternate(request: bytes, *attributes: bytes, code: int = 300) -> bytes:
    phrase = struct.pack("!HBB", 0, code // 100, code % 100) + b"Try Alternate\0\0\0"
    body = b"".join([attribute(ERROR_CODE, phrase), *attributes])
    return struct.pack("!HH", 0x0111, len(body)) + request[4:20] + body


def alternate(address: Address) -> bytes:
    return attribute(ALTERNATE_SERVER, stun.pack_address(address))


class Server(asyncio.DatagramProtocol):
    """Answers with what it is told to make of the request, or else as a STUN server does."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes] | None = None
        self.asked = 0
        self.address: Address = (LOOPBACK, 0)
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.asked += 1
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, data[8:20])
        response.attributes["XOR-MAPPED-ADDRESS"] = addr
        assert self.transport is not None
        self.transport.sendto(bytes(response) if self.answer is None else self.answer(data), addr)

    def send_to(self, other: Address) -> None:
        self.answer = lambda request: try_alternate(request, alternate(other))


@asynccontextmanager
async def serving(count: int) -> AsyncIterator[list[Server]]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(count):
            transport, server = await loop.create_datagram_endpoint(
                Server, local_addr=(LOOPBACK, 0)
            )
            stack.callback(transport.close)
            servers.append(server)
        yield servers


@pytest.fixture
async def connection() -> AsyncIterator[IceConnection]:
    made = IceConnection(ice_controlling=True)
    await made.begin_gathering([])
    yield made
    await made.close()


async def test_the_server_that_is_named_is_asked(connection: IceConnection) -> None:
    (protocol,) = connection.protocols
    async with serving(3) as (first, second, third):
        first.send_to(second.address)
        second.send_to(third.address)
        answer = await ask_for_address(protocol, first.address, LOG)
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == protocol.transport.get_extra_info("sockname")
    assert (first.asked, second.asked, third.asked) == (1, 1, 1)
    # Nothing looks at datagrams twice from now on.
    assert "datagram_received" not in vars(protocol)


async def test_several_are_asked_at_once(connection: IceConnection) -> None:
    (protocol,) = connection.protocols
    async with serving(8) as servers:
        pairs = list(zip(servers[::2], servers[1::2], strict=True))
        for near, far in pairs:
            near.send_to(far.address)
        await asyncio.gather(*(ask_for_address(protocol, near.address, LOG) for near, _ in pairs))
    assert [server.asked for server in servers] == [1] * 8
    assert "datagram_received" not in vars(protocol)


async def test_a_chain_has_an_end(connection: IceConnection) -> None:
    (protocol,) = connection.protocols
    async with serving(LIMIT + 2) as servers:
        for server, following in itertools.pairwise(servers):
            server.send_to(following.address)
        with pytest.raises(Redirected) as caught:
            await ask_for_address(protocol, servers[0].address, LOG)
        assert [server.asked for server in servers] == [1] * LIMIT + [0, 0]
        # As has one that leads back.
        servers[1].send_to(servers[0].address)
        with pytest.raises(Redirected):
            await ask_for_address(protocol, servers[0].address, LOG)
    assert explain(caught.value) == (300, "Try Alternate")
    assert "datagram_received" not in vars(protocol)


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([], 300),
        ([attribute(ALTERNATE_SERVER, b"\0")], 300),
        ([attribute(ALTERNATE_SERVER, b"\0\x09\0\0\0\0\0\0")], 300),
        ([alternate((LOOPBACK, 1)), attribute(ALTERNATE_DOMAIN, b"\xff")], 300),
        ([alternate((LOOPBACK, 1))], 500),
    ],
)
async def test_what_names_no_other_server_is_an_error(
    connection: IceConnection, attributes: list[bytes], code: int
) -> None:
    (protocol,) = connection.protocols
    async with serving(1) as (server,):
        server.answer = lambda request: try_alternate(request, *attributes, code=code)
        with pytest.raises(stun.TransactionFailed) as caught:
            await ask_for_address(protocol, server.address, LOG)
    assert not isinstance(caught.value, Redirected)
    assert explain(caught.value) == (code, "Try Alternate")


async def test_the_name_in_the_certificate(connection: IceConnection) -> None:
    (protocol,) = connection.protocols
    other = (LOOPBACK, 5349)
    async with serving(1) as (server,):
        domain = attribute(ALTERNATE_DOMAIN, b"turn.example.org")
        server.answer = lambda request: try_alternate(request, alternate(other), domain)
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        with pytest.raises(Redirected) as caught, hear_redirections(protocol):
            await protocol.request(request, server.address)
    trail = Trail(server.address, LOG)
    trail.follow(caught.value)
    assert (trail.address, trail.domain) == (other, "turn.example.org")


def test_a_server_of_another_family_is_not_asked() -> None:
    trail = Trail((LOOPBACK, 3478), LOG)
    response = stun.Message(stun.Method.BINDING, stun.Class.ERROR)
    with pytest.raises(Redirected):
        trail.follow(Redirected(response, ("::1", 3478), None))


@pytest.mark.parametrize("address", ["0.0.0.123", "224.0.0.1", "ff02::1"])
async def test_addresses_that_no_host_has_are_not_asked(address: str) -> None:
    with pytest.raises(OSError, match="isn't the address of a host"):
        Trail((address, 3478), LOG)


async def test_the_unspecified_address_is_this_host() -> None:
    assert Trail(("0.0.0.0", 3478), LOG).address == ("0.0.0.0", 3478)  # noqa: S104  not bound
