"""The sockets of an ICE generation, which let in only what comes from the other end."""

import asyncio
import errno
from typing import TYPE_CHECKING, Any, Final, Protocol

from aioice import stun

from ...seam import StunProtocol, is_role_conflict, make_socket, on_top_of
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

# How many addresses of the other end are remembered by a socket: more than can have answered, which
# are those that it has told and those that were learned.
PROVEN: Final = 512
# How many requests may go to an address that has sent more than these itself.
MOST_ALLOWED: Final = 4

# What the system says where a socket's address or link is gone, or nothing leads to the other end.
UNSENDABLE: Final = frozenset(
    {errno.EADDRNOTAVAIL, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN, errno.ENETUNREACH}
)

UNREADABLE: Final = "it has the shape of a STUN message, and can't be read"
NO_USE: Final = "it is neither a check nor an answer that is waited for"
NO_SHAPE: Final = "it is neither STUN nor DTLS, RTP or RTCP"


class Gate:
    """What the sockets of a generation have in common."""

    def __init__(self) -> None:
        self.discards = Discards()
        self.allowance = Allowance()
        self._transactions = SeenTransactions()
        self._held: HeldDatagrams | None = HeldDatagrams()
        # The STUN message that is read now, of which aioice keeps what it knows.
        self.reading = b""
        # Once a pair is selected and watched.
        self.new_ports: NewPorts | None = None

    def is_copy(self, transaction_id: bytes, source: Address) -> bool:
        """Return whether a signed request is a copy of one that came from elsewhere."""
        return self._transactions.is_copy(transaction_id, source)

    def hold(self, protocol: "GuardedProtocol", source: Address, datagram: bytes) -> None:
        """Keep traffic from an address that has proved nothing, for a while, or drop it."""
        if self.new_ports is not None and self.new_ports.hold(protocol, source, datagram):
            return
        dropped = 1
        if self._held is not None:
            dropped = self._held.hold((protocol, source), datagram)
        self.discards.add(NO_PROOF, source, dropped)

    def release(self, protocol: "GuardedProtocol", source: Address) -> list[bytes]:
        """Return what was kept from an address that has now proved itself."""
        early = [] if self._held is None else self._held.release((protocol, source))
        late = [] if self.new_ports is None else self.new_ports.release(protocol, source)
        return early + late

    def take_proof(self, source: Address, datagram: bytes) -> bool:
        """Take a response; return whether it is the proof that a new port was asked for."""
        return self.new_ports is not None and self.new_ports.take_response(source, datagram)

    def end_holding(self) -> None:
        """Keep nothing any more: the other end sends from where it has been heard of."""
        if self._held is not None:
            self.discards.add(NO_PROOF, datagrams=self._held.drop())
            self._held = None


class Apart(Protocol):
    """A path beside the one in use."""

    heard: bool


class Receiver(Protocol):
    """The connection whose sockets are guarded."""

    gate: Gate

    @property
    def local_username(self) -> str:
        """Our username fragment, which a check names."""

    def take(self, datagram: bytes, *, heard: bool) -> None:
        """Take traffic from the other end.

        Args:
            datagram: What came in.
            heard: Whether it came from an address at which the other end has answered us, and not
                only from where it has asked, which somebody may have repeated.
        """

    def traffic_apart(self) -> None:
        """Take note that traffic has come in on a path beside the one in use."""

    def sending_failed(self, protocol: "GuardedProtocol") -> None:
        """Take note that the system doesn't send what it is given to a socket."""

    def is_told(self, address: Address) -> bool:
        """Return whether the other end has told that it has an address, by its signaling."""


class GuardedProtocol(StunProtocol):
    """aioice's socket, which hands STUN messages to aioice and traffic to the connection.

    It takes traffic from addresses from which the other end has sent a signed request, or a signed
    response to one of ours, for which those are asked that have another port than the selected
    pair's. A request is enough because the other end may send as soon as it has
    our response, when ours is still under way. (RFC 8445 section 7.3.1.4 and 12.1) Whatever goes
    wrong with a datagram concerns only that.
    """

    receiver: Any  # a Receiver, in place of aioice's connection

    def prepare(self) -> None:
        """Add what a socket of aioice lacks."""
        # Each with whether it has answered us.
        self._proven: dict[Address, bool] = {}
        # How many requests may go to those that have asked, haven't answered, and weren't told.
        self._allowed: dict[Address, int] = {}
        # The paths beside the one in use, by the other end's address. What comes in there is no
        # sign of life of that one.
        self.apart: dict[Address, Apart] = {}

    def datagram_received(self, data: Any, addr: tuple[Any, ...]) -> None:
        """Take a datagram, from anyone."""
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
        """Take note that the system can't send from here, or not at all."""
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
            # The other end may repeat an answer, and keep a NAT awake.
            elif addr not in self._proven:
                self.receiver.gate.discards.add(NO_USE, addr)
        except Exception:  # noqa: BLE001  whatever is in there
            self.receiver.gate.discards.add(UNREADABLE, addr)

    def _is_of_use(self, data: bytes) -> bool:
        """Return whether a STUN message may be a check, or an answer that is waited for.

        To look for that takes a hundredth of the time of reading it.
        """
        if is_response(data):
            return transaction_of(data) in self.transactions
        if not is_request(data):
            return False
        gate, ufrag = self.receiver.gate, self.receiver.local_username.encode()
        return ufrag in data or gate.allowance.may_refuse(asyncio.get_running_loop().time())

    def send_stun(self, message: stun.Message, addr: Address) -> None:
        """Send a STUN message, unless it is too much for what is known of the address.

        A response tells that the request was signed with our password.
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
            # Only a signed request can be in conflict with our role.
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
        """Let a request go to an address from where one has come, whoever has sent it there."""
        if not self.has_answered(addr):
            self._allowed[addr] = min(MOST_ALLOWED, self._allowed.get(addr, 0) + 1)

    def has_answered(self, addr: Address) -> bool:
        """Return whether a signed response has come from an address."""
        return self._proven.get(addr, False)

    def prove(self, addr: Address) -> None:
        """Take note that a signed response to one of our requests has come from an address."""
        self._prove(addr, answered=True)

    def forget(self, addr: Address) -> None:
        """Know nothing of an address any more."""
        self._proven.pop(addr, None)
        self._allowed.pop(addr, None)

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        """Send a request until there is a response, and return that and where it came from."""
        response, source = await super().request(request, addr, integrity_key, retransmissions)
        if integrity_key is not None and source == addr:
            self.prove(addr)
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
    """Return a new socket of aioice's under guard.

    Args:
        receiver: A Receiver, which is a connection of aioice's, too.
    """
    made = make_socket(receiver)
    put_on_guard(made)
    return made


def put_on_guard(protocol: Any) -> None:
    """Put a socket of aioice's under guard. Without effect if it is already."""
    if not isinstance(protocol, GuardedProtocol):
        protocol.__class__ = on_top_of(GuardedProtocol, type(protocol))  # type: ignore[arg-type]
        protocol.prepare()
