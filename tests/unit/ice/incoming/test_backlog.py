"""Datagrams that wait in a socket are read in one turn of the event loop."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from restartice.ice.incoming.backlog import FEW, MOST, Backlog

MANY = 1000
DEADLINE = 30
DESCRIPTORS = Path("/proc/self/fd")


class Receiver(asyncio.DatagramProtocol):
    """Takes datagrams, and counts how many asyncio itself has read."""

    transport: Any

    def __init__(self, count: int) -> None:
        self.taken: list[bytes] = []
        self.turns = 0
        self.backlog = Backlog()
        self.all_taken = asyncio.Event()
        self.closed = asyncio.Event()
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        self.backlog.close()
        self.closed.set()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.turns += 1
        self.take_datagram(data, addr)
        self.backlog.drain(self)

    def take_datagram(self, data: bytes, addr: tuple[Any, ...]) -> None:
        assert addr[0] == "127.0.0.1"
        self.taken.append(data)
        if len(self.taken) == self._count:
            self.all_taken.set()


def descriptors() -> int:
    return len([*DESCRIPTORS.iterdir()])


async def receiver(count: int) -> tuple[Receiver, Any]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Receiver(count), local_addr=("127.0.0.1", 0)
    )
    return protocol, transport.get_extra_info("sockname")


@pytest.mark.skipif(os.name != "posix", reason="other systems read one by one")
async def test_many_that_wait_are_read_in_few_turns_and_in_order() -> None:
    protocol, address = await receiver(MANY)
    sent = [b"%d" % number for number in range(MANY)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        async with asyncio.timeout(DEADLINE):
            for start in range(0, MANY, 50):
                for datagram in sent[start : start + 50]:
                    sender.sendto(datagram, address)
                while len(protocol.taken) < start + 50:  # noqa: ASYNC110  no event tells
                    await asyncio.sleep(0)
            await protocol.all_taken.wait()
    assert protocol.taken == sent
    assert protocol.turns < FEW + MANY / 4
    assert protocol.turns > MANY / (MOST + 1)
    protocol.transport.close()
    await protocol.closed.wait()


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="there is no /proc")
async def test_a_second_descriptor_is_there_only_where_much_comes_in() -> None:
    before = descriptors()
    protocol, address = await receiver(4 * FEW)
    opened = descriptors()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        async with asyncio.timeout(DEADLINE):
            for number in range(4 * FEW):
                sender.sendto(b"%d" % number, address)
                while len(protocol.taken) <= number:  # noqa: ASYNC110  no event tells
                    await asyncio.sleep(0)
                expected = opened + 1 + (number >= FEW)
                assert descriptors() == expected
    protocol.transport.close()
    await protocol.closed.wait()
    await asyncio.sleep(0)
    assert descriptors() == before


async def test_a_closed_socket_is_read_no_more() -> None:
    protocol, address = await receiver(4 * FEW)
    take = protocol.take_datagram

    def close_in_the_middle(data: bytes, addr: tuple[Any, ...]) -> None:
        take(data, addr)
        if len(protocol.taken) == FEW + 2:
            protocol.transport.close()

    protocol.take_datagram = close_in_the_middle  # type: ignore[method-assign]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(4 * FEW):
            sender.sendto(b"%d" % number, address)
    async with asyncio.timeout(DEADLINE):
        await protocol.closed.wait()
    assert len(protocol.taken) == FEW + 2
