"""A client of a TURN server whose allocation follows it to another local address.

The server gives a ticket with the allocation, which is shown to it from the new address. (RFC 8016)
"""

import asyncio
from typing import Any, Final

from aioice import stun
from aioice.utils import random_transaction_id

from .extended import attributes_of, extended

__all__ = ["MobileClient"]

MOBILITY_TICKET: Final = 0x8030
# "Mobility Forbidden" is 405, for which coturn says 400, as servers do that know nothing of it.
FORBIDDEN: Final = frozenset({400, 405})
# The first bytes of what brings a ticket: success responses to Allocate and Refresh requests.
TICKETED: Final = frozenset({b"\x01\x03", b"\x01\x04"})


class MobileClient:
    """Stands in front of aioice's client by UDP, which asks for a ticket with its allocation."""

    server: tuple[str, int]
    lifetime: int
    transactions: dict[bytes, Any]
    transport: Any = None
    ticket = b""

    async def request(self, request: stun.Message) -> Any:
        """Send a request; with one for an allocation, ask for a ticket, unless that is refused."""
        if request.message_method is not stun.Method.ALLOCATE:
            return await super().request(request)  # type: ignore[misc]
        try:
            return await super().request(extended(request, MOBILITY_TICKET, b""))  # type: ignore[misc]
        except stun.TransactionFailed as error:
            if error.response.attributes.get("ERROR-CODE", (0,))[0] not in FORBIDDEN:
                raise
            request.transaction_id = random_transaction_id()
            return await super().request(request)  # type: ignore[misc]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep the ticket that comes with an answer."""
        if data[:2] in TICKETED and data[8:20] in self.transactions:
            self.ticket = dict(attributes_of(data)).get(MOBILITY_TICKET, self.ticket)
        super().datagram_received(data, addr)  # type: ignore[misc]

    def connection_made(self, transport: Any) -> None:
        """Send by another socket from now on, and let the one before say nothing more."""
        if self.transport is not None:
            self.transport.set_protocol(asyncio.DatagramProtocol())
            self.transport.close()
        super().connection_made(transport)  # type: ignore[misc]

    async def show_ticket(self) -> None:
        """Have the allocation follow, after another socket has been opened.

        Where the server refuses, the allocation is lost, and this is closed.
        """
        request = stun.Message(stun.Method.REFRESH, stun.Class.REQUEST)
        request.attributes["LIFETIME"] = self.lifetime
        request = extended(request, MOBILITY_TICKET, self.ticket)
        try:
            await self.request_with_retry(request)  # type: ignore[attr-defined]
        except (stun.TransactionError, ConnectionError):
            self.transport.close()
            raise
