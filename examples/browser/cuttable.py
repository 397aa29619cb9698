"""An event loop whose UDP sockets can lose all packets, as on a network that is gone.

aiortc and aioice know nothing of it: they ask the loop for sockets, as any asyncio program does.
"""

import asyncio
from typing import Any

Address = tuple[str, int]


class CuttableLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, which can cut off its UDP sockets one by one.

    Run a program on it with `asyncio.Runner(loop_factory=CuttableLoop)`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gates: dict[Address, Gate] = {}

    def cut(self, address: Address) -> None:
        """Drop all packets to and from the socket with this local address, until it is closed.

        Raises:
            KeyError: There is no such socket.
        """
        self._gates[address].is_cut = True

    async def create_datagram_endpoint(
        self, protocol_factory: Any, *args: Any, **options: Any
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a UDP socket, with a gate between it and the protocol."""
        transport, gate = await super().create_datagram_endpoint(
            lambda: Gate(protocol_factory()), *args, **options
        )
        address: Address = transport.get_extra_info("sockname")[:2]
        self._gates[address] = gate
        gate.on_close = lambda: self._gates.pop(address, None)
        return gate, gate.protocol


class Gate(asyncio.DatagramTransport, asyncio.DatagramProtocol):
    """Stands between a socket and a protocol. To each of them it looks like the other one."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.is_cut = False
        self.on_close: Any = None
        self._transport: Any = None

    # What the protocol calls.

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a packet, or drop it."""
        if not self.is_cut:
            self._transport.sendto(data, addr)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    def abort(self) -> None:
        """Close the socket at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Say if the socket is closed, or about to be."""
        return bool(self._transport.is_closing())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket's transport says."""
        return self._transport.get_extra_info(name, default)

    # What the socket calls.

    def connection_made(self, transport: Any) -> None:
        """Introduce the gate to the protocol as its transport."""
        self._transport = transport
        self.protocol.connection_made(self)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Hand a packet on, or drop it."""
        if not self.is_cut:
            self.protocol.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Hand an error on."""
        self.protocol.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the socket is closed."""
        if self.on_close is not None:
            self.on_close()
        self.protocol.connection_lost(exc)
