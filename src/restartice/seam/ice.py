"""The private names of aioice, and of aiortc's ICE transport above it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import aioice
import aioice.ice
import aiortc
from aioice import stun
from aioice.ice import CandidatePair
from aiortc import rtcicetransport

from ..logs import ObjectLogger
from .checklist import Connection, IndexedConnection
from .host_addresses import host_addresses, lists_as_aioice
from .names import OfViewed, Private, require
from .sockets import is_aioices, without_errors

__all__ = [
    "AioiceConnection",
    "CandidatePair",
    "IceGathererView",
    "IceTransportView",
    "address_of",
    "candidate_from_aioice",
    "candidate_to_aioice",
    "forget_transaction",
    "hear_answers",
    "ice_connection_kwargs",
    "is_role_conflict",
    "is_signed",
    "is_signed_success",
    "keep_latest",
    "new_ice_connection",
    "pair_priority",
    "repeat_requests",
    "send_indication",
    "send_request",
    "set_controlling",
    "transport_policy",
]

ROLE_CONFLICT: Final = 487
# aiortc uses no other.
COMPONENT: Final = 1

_CONNECTION = Connection
# The first bytes of a message, which are its method and its class. (RFC 8489 section 5)
BINDING_SUCCESS: Final = b"\x01\x01"

for _method in ("check_complete", "check_incoming", "data_received", "protocol_lost"):
    require(_CONNECTION, _method)
for _method in (
    "build_request",
    "check_state",
    "query_consent",
    "connect",
    "get_component_candidates",
    "request_received",
):
    require(_CONNECTION, _method)
for _name in (
    "_local_candidates_end",
    "_remote_candidates_expected",
    "_use_ipv4",
    "_use_ipv6",
    "gather_candidates",
):
    require(_CONNECTION, _name)
for _name in ("remote_addr", "local_candidate"):
    require(CandidatePair, _name)


require(_CONNECTION, "_check_periodic")
require(aioice.Candidate, "_network_host")


def address_of(candidate: aioice.Candidate) -> tuple[str, int]:
    """Return the address of a remote candidate, which may have a name in its place."""
    return candidate._network_host, candidate.port


def keep_latest(early_checks: deque[tuple[Any, ...]]) -> None:
    """Drop those of the same pair as the last that say no more, so that they displace no others.

    aioice keeps 100 until the remote credentials are known: the message, where it came from and by
    which socket.
    """
    if not early_checks:
        return
    last, *place = early_checks[-1]
    nominates = "USE-CANDIDATE" in last.attributes
    for check in list(early_checks):
        earlier, *other = check
        same = earlier is not last and other == place
        if same and (nominates or "USE-CANDIDATE" not in earlier.attributes):
            early_checks.remove(check)


class AioiceConnection(IndexedConnection):
    """aioice's connection with its private attributes under names of ours."""

    nominated = Private[dict[int, CandidatePair]](_CONNECTION, "_nominated")
    nominating = Private[set[int]](_CONNECTION, "_nominating")
    protocols = Private[list[Any]](_CONNECTION, "_protocols")
    consent_task = Private[asyncio.Task[None] | None](_CONNECTION, "_query_consent_task")
    tie_breaker = Private[int](_CONNECTION, "_tie_breaker")
    local_candidates_start = Private[bool](_CONNECTION, "_local_candidates_start")
    checks_done = Private[bool](_CONNECTION, "_check_list_done")
    all_local_candidates = Private[list[aioice.Candidate]](_CONNECTION, "_local_candidates")
    all_remote_candidates = Private[list[aioice.Candidate]](_CONNECTION, "_remote_candidates")
    early_checks = Private[deque[tuple[Any, ...]]](_CONNECTION, "_early_checks")
    transport_policy = Private[aioice.TransportPolicy](_CONNECTION, "_transport_policy")
    # aioice's can't be set, and those of programs' subclasses may be the same for all instances.
    local_username = Private[str](_CONNECTION, "_local_username")
    local_password = Private[str](_CONNECTION, "_local_password")

    # What a subclass calls.

    @property
    def relay_only(self) -> bool:
        """Whether only relayed candidates may be used."""
        return self.transport_policy is aioice.TransportPolicy.RELAY

    def add_local_candidate(self, candidate: aioice.Candidate) -> None:
        """Add a local candidate that was found after the others."""
        self.all_local_candidates.append(candidate)

    def pair_remote_candidates(self) -> None:
        """Pair the remote candidates with sockets that have come up after them."""
        for candidate in self.remote_candidates:
            self._pair_remote_candidate(candidate)
        self.sort_check_list()

    def start_checks(self) -> None:
        """Begin to start the checks of the pairs, which aioice waits for."""

    def running_tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that check pairs, or watch the one in use."""
        tasks = [self.consent_task, *(pair.task for pair in self.check_list)]
        return [task for task in tasks if task is not None and not task.done()]

    async def gather_candidates(self) -> None:
        """Gather host candidates, as aioice does, but on addresses listed at less cost."""
        replaced = not (is_aioices(super().gather_candidates) and lists_as_aioice())
        if replaced or self.relay_only or self.local_candidates_start:
            await super().gather_candidates()
            return
        self.local_candidates_start = True
        addresses = host_addresses(ipv4=self._use_ipv4, ipv6=self._use_ipv6)
        self.all_local_candidates += await self.get_component_candidates(COMPONENT, addresses)
        self._local_candidates_end = True

    # What aioice calls.

    def _check_periodic(self) -> bool:
        # aioice asks for a check every 20 ms while this is true, and otherwise waits for the
        # outcome, unless there is no pair at all yet.
        if self.checks_done:
            return False
        self.start_checks()
        return not self.check_list

    def _remote_candidates_expected(self) -> bool:
        # Peer-reflexive ones may come up even where each side has told all of its candidates, and
        # all pairs of them have failed, until the time for checks is over. (RFC 8863 section 4)
        return True


require(aioice.ice, "candidate_pair_priority")


def pair_priority(pair: CandidatePair, *, controlling: bool) -> int:
    """Return the priority of a pair."""
    return aioice.ice.candidate_pair_priority(
        pair.local_candidate, pair.remote_candidate, controlling
    )


class Transaction(Protocol):
    """A request of aioice's that waits for its response."""

    def response_received(self, message: stun.Message, address: tuple[str, int], /) -> None:
        """Handle a response that nobody has verified yet."""


def send_request(
    pair: CandidatePair, request: stun.Message, key: bytes, transaction: Transaction
) -> None:
    """Sign a request and send it, once; the transaction is handed the responses."""
    request.add_message_integrity(key)
    transactions: dict[bytes, Any] = pair.protocol.transactions
    transactions[request.transaction_id] = transaction
    pair.protocol.send_stun(request, pair.remote_addr)


def send_indication(pair: CandidatePair) -> None:
    """Send what nobody answers, unsigned as RFC 8489 section 9.1.3 allows for indications."""
    indication = stun.Message(stun.Method.BINDING, stun.Class.INDICATION)
    pair.protocol.send_stun(indication, pair.remote_addr)


_TRANSACTION_REQUEST = require(stun.Transaction, "__request")
_TRANSACTION_ADDRESS = require(stun.Transaction, "__addr")
_TRANSACTION_TRIES = require(stun.Transaction, "__tries")


def repeat_requests(pair: CandidatePair) -> None:
    """Send the requests on a pair again that aioice has sent in vain."""
    for transaction in list(pair.protocol.transactions.values()):
        if not isinstance(transaction, stun.Transaction):
            continue
        address = getattr(transaction, _TRANSACTION_ADDRESS)
        if address == pair.remote_addr and getattr(transaction, _TRANSACTION_TRIES):
            pair.protocol.send_stun(getattr(transaction, _TRANSACTION_REQUEST), address)


def is_signed(response: stun.Message, key: bytes) -> bool:
    """Return whether a response was signed with a key.

    aioice 0.12 keeps nothing of a message that this could be told from, and doesn't check it
    itself. There a response is known by its transaction id and its sender's address alone.
    """
    check = getattr(response, "check_message_integrity", None)
    return True if check is None else bool(check(key))


def is_signed_success(datagram: bytes, key: bytes) -> bool:
    """Return whether a datagram is a success response to a binding request, signed with a key.

    Unlike is_signed(), this checks the signature with aioice 0.12, too.
    """
    if datagram[:2] != BINDING_SUCCESS:
        return False
    parse: Callable[..., stun.Message] = stun.parse_message
    try:
        if hasattr(stun.Message, "check_message_integrity"):
            return bool(parse(datagram).check_message_integrity(key))
        return "MESSAGE-INTEGRITY" in parse(datagram, integrity_key=key).attributes
    except ValueError:
        return False


def is_role_conflict(response: stun.Message) -> bool:
    """Return whether a response reports a role conflict. (RFC 8445 section 7.2.5.1)."""
    found: tuple[int, str] | None = response.attributes.get("ERROR-CODE")
    return found is not None and found[0] == ROLE_CONFLICT


def forget_transaction(pair: CandidatePair, transaction_id: bytes) -> None:
    """Ignore further responses to a request."""
    pair.protocol.transactions.pop(transaction_id, None)


require(rtcicetransport, "Connection")
require(rtcicetransport, "connection_kwargs")
require(rtcicetransport, "ICE_TRANSPORT_POLICIES")
candidate_from_aioice = rtcicetransport.candidate_from_aioice
candidate_to_aioice = rtcicetransport.candidate_to_aioice


def new_ice_connection(arguments: dict[str, Any]) -> Connection:
    """Return a new ICE connection, made as aiortc makes it.

    In place of the class some programs put a subclass, or a function that calls it.

    Raises:
        TypeError: What they have put there makes something else.
    """
    made: object = vars(rtcicetransport)["Connection"](**arguments)
    if not isinstance(made, _CONNECTION):
        raise TypeError(
            "aiortc.rtcicetransport.Connection, which this program has replaced, must make a "
            f"connection of aioice, not a {type(made).__name__}"
        )
    return made


def ice_connection_kwargs(servers: list[aiortc.RTCIceServer]) -> dict[str, Any]:
    """Return the servers as arguments of aioice, by aiortc's function, which may be patched."""
    return rtcicetransport.connection_kwargs(servers)


def transport_policy(policy: aiortc.RTCIceTransportPolicy) -> aioice.TransportPolicy:
    """Return aioice's word for aiortc's."""
    return rtcicetransport.ICE_TRANSPORT_POLICIES[policy]


# Our transport has these under the same names, for aiortc and programs use them.
for _name in ("_recv", "_send"):
    require(rtcicetransport.RTCIceTransport, _name)


class IceGathererView:
    """A gatherer of aiortc's with its connection, which programs read, under a name of ours."""

    connection = OfViewed[AioiceConnection](rtcicetransport.RTCIceGatherer, "_connection")

    def __init__(self, gatherer: rtcicetransport.RTCIceGatherer) -> None:
        self.viewed = gatherer


class IceTransportView:
    """A transport of aiortc's with its connection, which programs read, under a name of ours."""

    connection = OfViewed[AioiceConnection](rtcicetransport.RTCIceTransport, "_connection")

    def __init__(self, transport: aiortc.RTCIceTransport) -> None:
        self.viewed = transport


def set_controlling(transport: aiortc.RTCIceTransport, *, controlling: bool) -> None:
    """Set the ICE role."""
    transport._connection.ice_controlling = controlling


# The resolver is shared by all connections.
_MDNS_LOG: Final = ObjectLogger(logging.getLogger(__name__), "the resolver of multicast DNS")
_MDNS: Final = require(aioice.ice, "get_or_create_mdns_protocol")


async def hear_answers(connection: AioiceConnection, prepare: Callable[[bytes], bytes]) -> None:
    """Let what multicast DNS answers be prepared for aioice's resolver, which is shared by all."""
    opening = asyncio.ensure_future(getattr(aioice.ice, _MDNS)(connection))
    try:
        # aioice would lose its socket if it was cancelled while it opens that, on uvloop. So the
        # connection has it for now, and lets go of it when it is closed.
        await asyncio.wait([opening])
    except asyncio.CancelledError:
        opening.add_done_callback(_note_failure)
        raise
    resolver = opening.result()
    if "datagram_received" not in vars(resolver):
        take = resolver.datagram_received
        resolver.datagram_received = without_errors(
            lambda data, addr: take(prepare(data), addr), _MDNS_LOG
        )


def _note_failure(opening: asyncio.Future[Any]) -> None:
    """Note an error that nobody waits for any more."""
    if not opening.cancelled():
        opening.exception()
