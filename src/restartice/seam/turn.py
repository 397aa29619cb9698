"""The private names of aioice's TURN client, and the parts of answers that it ignores."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import aioice.turn
from aioice import stun

from ..logs import ObjectLogger
from .extended import attributes_of
from .mobility import MobileClient
from .names import on_top_of, require
from .sockets import StunProtocol

__all__ = [
    "Redirected",
    "abandon_allocation",
    "hear_redirections",
    "hear_refusals",
    "mobile_client",
    "open_allocation",
    "turn_client",
]

Address = tuple[str, int]

ERROR_CLASS: Final = 0x0110
TRY_ALTERNATE: Final = 300
FORBIDDEN: Final = 403
# A permission lasts for 300 seconds, half as long as the binding of a channel, which renews it.
# (RFC 8656 section 9 and 12)
PERMISSION_REFRESH: Final = 240
# Attributes that aioice skips. (RFC 8489 section 18.3)
ALTERNATE_DOMAIN: Final = 0x8003
ALTERNATE_SERVER: Final = 0x8023

require(aioice.turn.TurnTransport, "_connect")
for _name in ("DEFAULT_ALLOCATION_LIFETIME", "DEFAULT_CHANNEL_REFRESH_TIME"):
    require(aioice.turn, _name)
for _name in ("TurnClientTcpProtocol", "TurnClientUdpProtocol"):
    require(aioice.turn, _name)


class PatientClient:
    """A client of a TURN server that drops what it can't read. asyncio would end a TCP connection.

    It stands in front of one of aioice's classes.
    """

    def __init__(self, *args: Any, log: ObjectLogger, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log = log

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Handle what comes from the server, or in its name."""
        try:
            super().datagram_received(data, addr)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  whatever is in there
            self.log.debug("dropped a message of a TURN server: %s", type(error).__name__)


def turn_client(
    transport: str,
    server: Address,
    username: str | None,
    password: str | None,
    log: ObjectLogger,
    *,
    mobile: bool = False,
) -> Callable[[], Any]:
    """Return what makes the client of a TURN server, by the transport that leads there.

    By UDP its allocation can follow it to another local address, if it is to be mobile.
    """
    tcp = transport == "tcp"
    made = aioice.turn.TurnClientTcpProtocol if tcp else aioice.turn.TurnClientUdpProtocol
    client = on_top_of(PatientClient, made)
    if mobile and not tcp:
        client = on_top_of(MobileClient, client)
    return partial(
        client,
        server,
        log=log,
        username=username,
        password=password,
        lifetime=aioice.turn.DEFAULT_ALLOCATION_LIFETIME,
        channel_refresh_time=min(aioice.turn.DEFAULT_CHANNEL_REFRESH_TIME, PERMISSION_REFRESH),
    )


async def open_allocation(client: Any, receiver: StunProtocol) -> tuple[Address, Address]:
    """Let a connected client ask for a relayed address, which the receiver then has as its own.

    Returns:
        The relayed address, and that of the client as the server sees it.

    Raises:
        Redirected: The server wants another one to be asked.
        aioice.stun.TransactionError: It refuses, or doesn't answer.
    """
    transport = aioice.turn.TurnTransport(client)
    try:
        with hear_redirections(client):
            await transport._connect(receiver)
    except BaseException as error:
        # Also when it was cancelled, as nobody else knows of the socket.
        if not isinstance(error, stun.TransactionFailed):
            _give_back_unseen(client)
        client.transport.close()
        raise
    return transport.get_extra_info("sockname"), transport.get_extra_info("related_address")


_TURN_AUTHENTICATE = require(aioice.turn.TurnClientMixin, "__add_authentication")


def _give_back_unseen(client: Any) -> None:
    """Release an allocation that the server may have made without an answer.

    There is nothing to give back before it has asked for credentials. (RFC 8656 section 8)
    """
    if client.integrity_key is not None and not client.transport.is_closing():
        request = stun.Message(stun.Method.REFRESH, stun.Class.REQUEST)
        request.attributes["LIFETIME"] = 0
        getattr(client, _TURN_AUTHENTICATE)(request)
        client.send_stun(request, client.server)


_TURN_CLOSE_TASK = require(aioice.turn.TurnTransport, "__close_task")
_TURN_CLIENT = require(aioice.turn.TurnTransport, "__inner_protocol")
_TURN_SENDING = require(aioice.turn.TurnTransport, "__send_tasks")


def abandon_allocation(transport: Any) -> None:
    """Stop telling a TURN server, which doesn't answer, that its allocation isn't needed.

    Without effect if it has answered.
    """
    getattr(transport, _TURN_CLOSE_TASK).cancel()
    # They wait for the server to bind a channel, and aioice cancels them only when it has answered.
    for task in getattr(transport, _TURN_SENDING):
        task.cancel()
    # What is still to be sent, over TCP, isn't waited for.
    getattr(transport, _TURN_CLIENT).transport.abort()


def mobile_client(transport: Any) -> MobileClient | None:
    """Return the client of an allocation that can follow it to another local address, or None."""
    client = getattr(transport, _TURN_CLIENT)
    return client if isinstance(client, MobileClient) and client.ticket else None


require(aioice.turn.TurnClientMixin, "channel_bind")


def hear_refusals(
    transport: Any, on_refusal: Callable[[Address, stun.TransactionFailed], None]
) -> None:
    """Call something when a TURN server forbids to send to an address, and ask for that once only.

    Args:
        transport: That of a relayed address.
        on_refusal: Called with the forbidden address and with what the server says.
    """
    client = getattr(transport, _TURN_CLIENT)
    bind = client.channel_bind
    refused: dict[Address, stun.Message] = {}

    async def channel_bind(number: int, addr: Address) -> None:
        if addr in refused:
            raise stun.TransactionFailed(refused[addr])
        try:
            await bind(number, addr)
        except stun.TransactionFailed as error:
            if error.response.attributes.get("ERROR-CODE", (0,))[0] == FORBIDDEN:
                refused[addr] = error.response
                on_refusal(addr, error)
            raise

    # aioice calls it when it has to, not for each datagram.
    vars(client)["channel_bind"] = channel_bind


class Redirected(stun.TransactionFailed):
    """A server wants another one to be asked. (RFC 8489 section 10).

    Attributes:
        address: The other server's address.
        domain: The name that its certificate has, if it isn't that of the first one.
    """

    def __init__(self, response: stun.Message, address: Address, domain: str | None) -> None:
        super().__init__(response)
        self.address = address
        self.domain = domain


@contextmanager
def hear_redirections(protocol: Any) -> Iterator[None]:
    """Raise Redirected if the answer to a request says that another server is to be asked.

    Args:
        protocol: What the request is sent by.
    """
    ear = vars(protocol).get("datagram_received")
    if not isinstance(ear, _Ear):
        ear = _Ear(protocol)
        vars(protocol)["datagram_received"] = ear
    ear.users += 1
    try:
        yield
    except stun.TransactionFailed as error:
        found = ear.found.pop(error.response.transaction_id, None)
        if found is None or error.response.attributes.get("ERROR-CODE", (0,))[0] != TRY_ALTERNATE:
            raise
        raise Redirected(error.response, *found) from error
    finally:
        ear.users -= 1
        if not ear.users and vars(protocol).get("datagram_received") is ear:
            # From now on datagrams aren't looked at twice any more.
            del vars(protocol)["datagram_received"]


class _Ear:
    """Looks at what comes in before aioice does, for as long as somebody wants to know."""

    def __init__(self, protocol: Any) -> None:
        self.users = 0
        self.found: dict[bytes, tuple[Address, str | None]] = {}
        self.protocol = protocol
        self.hand_over = protocol.datagram_received

    def __call__(self, data: bytes, addr: Address) -> None:
        transaction_id = data[8:20]
        if transaction_id in self.protocol.transactions:
            found = _alternate_server(data)
            if found is not None:
                self.found[transaction_id] = found
        self.hand_over(data, addr)


def _alternate_server(message: bytes) -> tuple[Address, str | None] | None:
    """Return the address of the other server that an error response names, and its domain."""
    if int.from_bytes(message[:2]) & ERROR_CLASS != ERROR_CLASS:
        return None
    attributes = dict(attributes_of(message))
    try:
        address = stun.unpack_address(attributes[ALTERNATE_SERVER])
        domain = attributes.get(ALTERNATE_DOMAIN)
        return address, None if domain is None else domain.rstrip(b"\0").decode()
    except (LookupError, ValueError):
        return None
