"""The sockets of an ICE generation, which accept only datagrams from the peer."""

import asyncio
import errno
from typing import TYPE_CHECKING, Any, Final, Protocol

from aioice import stun

from ...seam import StunProtocol, is_role_conflict, make_socket, on_top_of
from .backlog import Backlog
from .guard import (
    NO_PROOF,
    Allowance,
    Discards,
    HeldDatagrams,
    SeenTransactions,
    Shape,
    is_request,
    is_response,
    shape_of,
    transaction_of,
)

if TYPE_CHECKING:
    from .new_ports import NewPorts

__all__ = ["UNREADABLE", "Address", "Gate", "GuardedProtocol", "guarded_protocol", "put_on_guard"]

Address = tuple[str, int]

# How many addresses of the peer a socket remembers: more than it can have announced and we can have
# learned.
PROVEN: Final = 512
# How many requests an address may have allowed us at a time.
MOST_ALLOWED: Final = 4

# The errors of the system when a socket's address or link is gone, or there is no route to the
# peer.
UNSENDABLE: Final = frozenset(
    {errno.EADDRNOTAVAIL, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN, errno.ENETUNREACH}
)

UNREADABLE: Final = "malformed STUN message"
NO_USE: Final = "neither a check nor an expected answer"
NO_SHAPE: Final = "neither STUN nor DTLS, RTP or RTCP"


class Gate:
    """The filter that the sockets of a generation share."""

    def __init__(self, discards: Discards) -> None:
        self.discards = discards
        self.allowance = Allowance()
        self._transactions = SeenTransactions()
        self._held: HeldDatagrams | None = HeldDatagrams()
        # The STUN message being read, in full: aioice drops attributes that it doesn't know.
        self.reading = b""
        # Set once a pair is selected and watched.
        self.new_ports: NewPorts | None = None

    def ask(self, new_ports: "NewPorts | None") -> None:
        """Probe new ports that send traffic; None ends that."""
        self.new_ports = new_ports

    def is_copy(self, transaction_id: bytes, source: Address) -> bool:
        """Return whether a signed request is a copy of one from another address."""
        return self._transactions.is_copy(transaction_id, source)

    def hold(self, protocol: "GuardedProtocol", source: Address, datagram: bytes) -> None:
        """Hold a datagram from an unproven address for a while, or drop it."""
        if self.new_ports is not None and self.new_ports.hold(protocol, source, datagram):
            return
        dropped = 1
        if self._held is not None:
            dropped = self._held.hold((protocol, source), datagram)
        self.discards.add(NO_PROOF, source, dropped)

    def release(self, protocol: "GuardedProtocol", source: Address) -> list[bytes]:
        """Return the datagrams held from an address that has proved to be the peer's."""
        early = [] if self._held is None else self._held.release((protocol, source))
        late = [] if self.new_ports is None else self.new_ports.release(protocol, source)
        return early + late

    def take_proof(self, source: Address, datagram: bytes) -> bool:
        """Handle a response; return whether it answers the probe of a new port."""
        return self.new_ports is not None and self.new_ports.take_response(source, datagram)

    def end_holding(self) -> None:
        """Stop holding datagrams: the peer sends from a proven address."""
        if self._held is not None:
            self.discards.add(NO_PROOF, datagrams=self._held.drop())
            self._held = None


class Apart(Protocol):
    """A spare path."""

    heard: bool


class GuardedProtocol(StunProtocol):
    """aioice's socket, which hands STUN messages to aioice and traffic to the connection.

    It accepts traffic from addresses from which the peer has sent a signed request, or a signed
    response to one of ours. A request is enough because the peer may send traffic as soon as it has
    our response, while its own response is still on the way. A new port of the selected pair's host
    gets a request first. (RFC 8445 sections 7.3.1.4 and 12.1) A datagram that causes an error is
    dropped.
    """

    receiver: Any  # an IceConnection, in place of aioice's

    def prepare(self) -> None:
        """Add the attributes that aioice's socket lacks."""
        # The local address that we reach the TURN server from, on a relayed socket.
        self.base: str | None = None
        # The peer's addresses, each with whether it has answered us.
        self._proven: dict[Address, bool] = {}
        # How many requests we may send to each address that was learned and hasn't answered.
        self._allowed: dict[Address, int] = {}
        # The spare paths, by the peer's address. Their traffic doesn't prove that the pair in use
        # works.
        self.apart: dict[Address, Apart] = {}
        self._backlog = Backlog()

    def datagram_received(self, data: Any, addr: tuple[Any, ...]) -> None:
        """Handle a datagram from any sender, and those that wait behind it."""
        self.take_datagram(data, addr)
        self._backlog.drain(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is closed."""
        self._backlog.close()
        super().connection_lost(exc)

    def take_datagram(self, data: Any, addr: tuple[Any, ...]) -> None:
        """Handle a datagram from any sender."""
        if len(addr) != 2:
            addr = addr[:2]  # of IPv6
        shape = shape_of(data)
        if shape is Shape.TRAFFIC:
            answered = self._proven.get(addr)
            if answered is None:
                self.receiver.gate.hold(self, addr, data)
            elif self.apart and addr in self.apart:
                self.receiver.take(data, heard=False)
                self._note_apart(addr)
            else:
                self.receiver.take(data, heard=answered)
        elif shape is Shape.STUN:
            self._read(data, addr)
        else:
            self.receiver.gate.discards.add(NO_SHAPE, addr)

    def _note_apart(self, addr: Address) -> None:
        path = self.apart[addr]
        if not path.heard:
            path.heard = True
            self.receiver.traffic_apart()

    def error_received(self, exc: Exception) -> None:
        """Note an error of the system when sending."""
        super().error_received(exc)
        if isinstance(exc, OSError) and exc.errno in UNSENDABLE:
            self.receiver.sending_failed(self)

    def _read(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            if is_response(data) and self.receiver.gate.take_proof(addr, data):
                return
            if self._is_of_use(data):
                self.receiver.gate.reading = data
                super().datagram_received(data, addr)
            # From the peer these are repeated answers, or indications that keep a NAT open.
            elif addr not in self._proven:
                self.receiver.gate.discards.add(NO_USE, addr)
        except Exception:  # noqa: BLE001  a datagram may contain anything
            self.receiver.gate.discards.add(UNREADABLE, addr)

    def _is_of_use(self, data: bytes) -> bool:
        """Return whether a STUN message may be a check or an expected answer.

        This takes a hundredth of the time of parsing it.
        """
        if is_response(data):
            return transaction_of(data) in self.transactions
        if not is_request(data):
            return False
        gate, ufrag = self.receiver.gate, self.receiver.local_username.encode()
        return ufrag in data or gate.allowance.may_refuse(asyncio.get_running_loop().time())

    def send_stun(self, message: stun.Message, addr: Address) -> None:
        """Send a STUN message, unless an unproven address has had too many.

        Sending a response means that the request was signed with our password.
        """
        if not self._may_send(message, addr):
            return
        super().send_stun(message, addr)
        if message.message_class is stun.Class.RESPONSE and not self.receiver.gate.is_copy(
            message.transaction_id, addr
        ):
            self._prove(addr, answered=False)

    def _may_send(self, message: stun.Message, addr: Address) -> bool:
        if message.message_class is stun.Class.ERROR:
            # Only a signed request causes a role conflict.
            now = asyncio.get_running_loop().time()
            allowance = self.receiver.gate.allowance
            return is_role_conflict(message) or bool(allowance.take_refusal(now))
        if message.message_class is not stun.Class.REQUEST or addr not in self._allowed:
            return True
        if self._allowed[addr]:
            self._allowed[addr] -= 1
            return True
        return self.receiver.gate.allowance.take_request() or self._is_told(addr)

    def _is_told(self, addr: Address) -> bool:
        told: bool = self.receiver.is_told(addr)
        if told:
            del self._allowed[addr]
        return told

    def grant(self, addr: Address) -> None:
        """Allow one request to an address from which a signed request came."""
        if not self.has_answered(addr):
            self._allowed[addr] = min(MOST_ALLOWED, self._allowed.get(addr, 0) + 1)

    def has_answered(self, addr: Address) -> bool:
        """Return whether an address has sent a signed response."""
        return self._proven.get(addr, False)

    def prove(self, addr: Address) -> None:
        """Note a signed response to one of our requests from an address."""
        self._prove(addr, answered=True)

    def forget(self, addr: Address) -> None:
        """Forget an address."""
        self._proven.pop(addr, None)
        self._allowed.pop(addr, None)

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        """Repeat a request until there is a response; return the response and its source."""
        response, source = await super().request(request, addr, integrity_key, retransmissions)
        if integrity_key is not None and source == addr:
            self.prove(addr)
            self.receiver.address_answered(self, addr)
        return response, source

    def _prove(self, addr: Address, *, answered: bool) -> None:
        if len(self._proven) >= PROVEN and addr not in self._proven:
            oldest = (known for known, has_answered in self._proven.items() if not has_answered)
            del self._proven[next(oldest, next(iter(self._proven)))]
        self._proven[addr] = answered or self._proven.get(addr, False)
        if answered:
            self._allowed.pop(addr, None)
        for datagram in self.receiver.gate.release(self, addr):
            self.receiver.take(datagram, heard=answered)


def guarded_protocol(receiver: Any) -> StunProtocol:
    """Return a new guarded socket.

    Args:
        receiver: An IceConnection.
    """
    made = make_socket(receiver)
    put_on_guard(made)
    return made


def put_on_guard(protocol: Any) -> None:
    """Turn a socket of aioice's into a guarded one. Has no effect if it is one."""
    if not isinstance(protocol, GuardedProtocol):
        protocol.__class__ = on_top_of(GuardedProtocol, type(protocol))  # type: ignore[arg-type]
        protocol.prepare()
