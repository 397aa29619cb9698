"""STUN servers on loopback that answer, never or when they are told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiortc
from aioice import stun

LOOPBACK = "127.0.0.1"
# From a range that is for documentation. (RFC 5737)
MAPPED = ("203.0.113.5", 40000)
# From such a range, too. (RFC 3849)
MAPPED6 = ("2001:db8::5", 40000)


class StunServer(asyncio.DatagramProtocol):
    """Answers binding requests when `answering` is set; behind a NAT, all come from MAPPED."""

    transport: asyncio.DatagramTransport

    def __init__(self, *, nat: bool = True) -> None:
        self._nat = nat
        self.answering = asyncio.Event()
        self.asked = asyncio.Event()
        self._waiting: list[tuple[bytes, tuple[str, int]]] = []

    @property
    def configuration(self) -> aiortc.RTCIceServer:
        """The server as it is given to a connection."""
        return aiortc.RTCIceServer(urls=[self.url])

    @property
    def url(self) -> str:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return f"stun:[{host}]:{port}" if ":" in host else f"stun:{host}:{port}"

    def answer(self) -> None:
        """Answer what was asked so far, and what will be."""
        self.answering.set()
        waiting, self._waiting = self._waiting, []
        for data, address in waiting:
            self.datagram_received(data, address)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.set()
        if not self.answering.is_set():
            self._waiting.append((data, addr))
            return
        request = stun.parse_message(data)
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        mapped = MAPPED6 if ":" in addr[0] else MAPPED
        response.attributes["XOR-MAPPED-ADDRESS"] = mapped if self._nat else addr[:2]
        self.transport.sendto(bytes(response), addr)


@asynccontextmanager
async def stun_server(
    host: str = LOOPBACK, *, silent: bool = False, nat: bool = True
) -> AsyncIterator[StunServer]:
    """Run a server; a silent one answers only once it is told to."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunServer(nat=nat), local_addr=(host, 0)
    )
    if not silent:
        server.answer()
    try:
        yield server
    finally:
        transport.close()
        await asyncio.sleep(0)
