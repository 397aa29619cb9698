"""A UDP forwarder, for one client, that loses what it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

LOOPBACK = "127.0.0.1"


class Side(asyncio.DatagramProtocol):
    """A socket of a forwarder."""

    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.take = take
        self.transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(LOOPBACK, 0)
        )

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.take(data, addr)

    def send(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(data, addr)

    @property
    def port(self) -> int:
        assert self.transport is not None
        port: int = self.transport.get_extra_info("sockname")[1]
        return port


class UdpForwarder:
    """Forwards datagrams to a port on this machine, and the answers to whoever sent last.

    Attributes:
        lose: Says whether an answer is lost.
        has_lost: Set when one was.
    """

    def __init__(self, target: int) -> None:
        self.target = (LOOPBACK, target)
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.has_lost = asyncio.Event()
        self._client = (LOOPBACK, 0)
        self._near, self._far = Side(self._forward), Side(self._answer)

    @property
    def port(self) -> int:
        return self._near.port

    async def start(self) -> None:
        for side in (self._near, self._far):
            await side.open()

    def close(self) -> None:
        for side in (self._near, self._far):
            side.close()

    def _forward(self, data: bytes, addr: tuple[str, int]) -> None:
        self._client = addr
        self._far.send(data, self.target)

    def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        assert addr == self.target
        if self.lose(data):
            self.has_lost.set()
        else:
            self._near.send(data, self._client)


@asynccontextmanager
async def udp_forwarder(target: int) -> AsyncIterator[UdpForwarder]:
    made = UdpForwarder(target)
    await made.start()
    try:
        yield made
    finally:
        made.close()
