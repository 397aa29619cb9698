"""The event loop whose UDP sockets can be cut off."""

import asyncio

import pytest

from cuttable import CuttableLoop

DEADLINE = 60.0


class Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        self.received.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.closed.set()

    @property
    def address(self) -> tuple[str, int]:
        assert self.transport is not None
        address: tuple[str, int] = self.transport.get_extra_info("sockname")
        return address

    def send(self, data: bytes, to: "Inbox") -> None:
        assert self.transport is not None
        self.transport.sendto(data, to.address)


async def open_socket() -> Inbox:
    loop = asyncio.get_running_loop()
    transport, inbox = await loop.create_datagram_endpoint(Inbox, local_addr=("127.0.0.1", 0))
    assert transport is inbox.transport
    return inbox


async def take(inbox: Inbox) -> bytes:
    async with asyncio.timeout(DEADLINE):
        return await inbox.received.get()


async def lose_all_on_one_socket() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CuttableLoop)
    one, other, third = [await open_socket() for _ in range(3)]
    one.send(b"before", other)
    assert await take(other) == b"before"
    loop.cut(one.address)
    one.send(b"lost", other)
    other.send(b"lost, too", one)
    # What is sent later comes later, on loopback.
    third.send(b"after", other)
    assert await take(other) == b"after"
    other.send(b"back", third)
    assert await take(third) == b"back"
    assert one.received.empty()
    address = one.address
    for inbox in (one, other, third):
        assert inbox.transport is not None
        inbox.transport.close()
        async with asyncio.timeout(DEADLINE):
            await inbox.closed.wait()
    with pytest.raises(KeyError):
        loop.cut(address)


def test_a_socket_that_is_cut_loses_everything_both_ways() -> None:
    with asyncio.Runner(loop_factory=CuttableLoop) as runner:
        runner.run(lose_all_on_one_socket())
