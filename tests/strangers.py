"""Somebody who knows where a connection receives, and no more than that; also as a process.

    python tests/strangers.py COUNT RATE ADDRESS:PORT...

sends so many datagrams to each of the addresses, at a rate per second.

The datagrams have all shapes that there are, and nothing in them that could hurt: random bytes, and
messages that are well-formed but not signed. Our guard drops them; to others they are noise.
"""

import asyncio
import itertools
import os
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun

from connecting import DEADLINE, transports
from restartice import RTCPeerConnection

__all__ = ["Stranger", "discarded", "ports", "shapes", "stranger"]

Address = tuple[str, int]


def shapes(seed: int = 1) -> list[bytes]:
    """Return datagrams of all shapes."""
    chance = random.Random(seed)
    noise = chance.randbytes
    indication, response = (
        bytes(stun.Message(stun.Method.BINDING, kind))
        for kind in (stun.Class.INDICATION, stun.Class.RESPONSE)
    )
    wrong_sum = b"\0\x01\0\x08" + response[4:] + b"\x80\x28\0\x04" + noise(4)
    return [
        bytes([chance.randrange(4, 20)]) + noise(1),
        bytes([chance.randrange(64, 128)]) + noise(100),
        bytes([chance.randrange(192, 256)]) + noise(1400),
        bytes([chance.randrange(192, 256)]) + noise(60_000),
        # STUN: with another cookie, what asks for nothing, an answer to nothing, a wrong checksum.
        bytes(4) + noise(16),
        indication,
        response,
        wrong_sum,
        # DTLS, whole and cut off; RTP and RTCP; all of keys that nobody has.
        struct.pack(">BHHHIH", 23, 0xFEFD, 1, 0, 7, 200) + noise(200),
        struct.pack(">BHHHIH", 23, 0xFEFD, 1, 0, 7, 200) + noise(100),
        struct.pack(">BBHII", 0x80, 96, 1, 2, 3) + noise(500),
        struct.pack(">BBHI", 0x80, 200, 6, 1) + noise(40),
    ]


def ports(pc: RTCPeerConnection) -> list[Address]:
    """Return the addresses at which a connection receives."""
    return [
        (protocol.local_candidate.host, protocol.local_candidate.port)
        for transport in transports(pc)
        for generation in transport._core.generations
        for protocol in generation.connection.protocols
    ]


def dropped(pc: RTCPeerConnection) -> int:
    """Return how many datagrams a connection has dropped."""
    return sum(transport._core.discards.count for transport in transports(pc))


async def discarded(pc: RTCPeerConnection) -> int:
    """Return how many datagrams a connection says that it has dropped."""
    report = await pc.getStats()
    return sum(int(s.packetsDiscarded) for s in report.values() if s.type == "transport")


class Stranger:
    """A socket of nobody's."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self.sent = 0

    async def send(self, datagrams: Iterable[bytes], to: Iterable[Address], count: int) -> None:
        """Send so many datagrams, in turn to each address, no faster than they are taken."""
        targets = itertools.cycle(to)
        for datagram in itertools.islice(itertools.cycle(datagrams), count):
            self._transport.sendto(datagram, next(targets))
            self.sent += 1
            # In each turn of the loop a socket is read once.
            await asyncio.sleep(0)

    async def flood(self, victims: Iterable[RTCPeerConnection], count: int) -> None:
        """Send so many datagrams of all shapes to each connection, as fast as they are dropped."""
        noise = shapes()
        for _ in range(count // len(noise) + 1):
            counts = [(pc, dropped(pc)) for pc in victims]
            for pc, before in counts:
                for address in ports(pc):
                    for datagram in noise:
                        self._transport.sendto(datagram, address)
                        self.sent += 1
                await discard(pc, before + len(noise) * len(ports(pc)))

    @property
    def address(self) -> Address:
        """Where it sends from."""
        address: Address = self._transport.get_extra_info("sockname")
        return address


@asynccontextmanager
async def stranger() -> AsyncIterator[Stranger]:
    """Open the socket of a stranger."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    try:
        yield Stranger(transport)
    finally:
        transport.close()


@asynccontextmanager
async def no_error() -> AsyncIterator[None]:
    """Check that nothing reaches asyncio's exception handler."""
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    try:
        yield
    finally:
        loop.set_exception_handler(None)
    assert errors == []


async def discard(pc: RTCPeerConnection, count: int) -> None:
    """Return when a connection has dropped so many datagrams."""
    async with asyncio.timeout(DEADLINE):
        while dropped(pc) < count:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0)


def datagram_count(usual: int) -> int:
    """Return how many datagrams a test sends: more, on request, as for a soak."""
    return int(os.environ.get("RESTARTICE_DATAGRAMS", usual))


def send_steadily(count: int, rate: float, to: list[Address]) -> int:
    """Send so many datagrams to each address, at a rate per second; return how many that were."""
    noise = itertools.cycle(shapes())
    began, sent = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number, datagram in enumerate(itertools.islice(noise, count)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            for address in to:
                sock.sendto(datagram, address)
                sent += 1
    return sent


if __name__ == "__main__":
    targets = [(host, int(port)) for host, _, port in (a.rpartition(":") for a in sys.argv[3:])]
    print(send_steadily(int(sys.argv[1]), float(sys.argv[2]), targets))
