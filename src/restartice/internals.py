"""The seam: every private name of aiortc and aioice that restartice uses.

aiortc offers no hooks for what restartice does, so it overrides methods that Python mangled and
reads attributes that are private. All of them stand here, under names of ours, and are looked up
when this module is imported: with a version of aiortc or aioice that lacks one, the import fails
with one sentence that says which, instead of a connection that fails in mid-call.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import aioice
import aioice.ice
import aioice.turn
import aiortc
import aiortc.rtcicetransport
from aioice import stun
from aioice.ice import CandidatePair, StunProtocol
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import RTCDtlsParameters
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket
from aiortc.sdp import SessionDescription

__all__ = [
    "NEGOTIATED_STATE",
    "AioiceConnection",
    "AiortcJitterBuffer",
    "AiortcPeerConnection",
    "AiortcRtpReceiver",
    "AiortcRtpSender",
    "AiortcRtpTransceiver",
    "CandidatePair",
    "RemoteStreamTrack",
    "abandon_allocation",
    "acknowledge_data",
    "candidate_from_aioice",
    "candidate_to_aioice",
    "error_code",
    "forget_transaction",
    "host_addresses",
    "ice_connection_base",
    "ice_connection_kwargs",
    "is_established",
    "is_signed",
    "kept_codecs",
    "mark_bundled",
    "mline_index",
    "oldest_unacknowledged",
    "open_allocation",
    "pair",
    "repeat_data",
    "repeat_requests",
    "round_trip_of",
    "send_request",
    "set_controlling",
    "set_mid",
    "set_mline_index",
    "set_track_id",
    "transport_policy",
    "transport_stats",
    "turn_client",
]

SUPPORTED: Final = "aiortc >= 1.16, < 1.17 and aioice >= 0.12, < 0.14"

T = TypeVar("T")

_required: list[tuple[type | ModuleType, str]] = []


def require(owner: type | ModuleType, name: str) -> str:
    """Note that a private name is used; return it as Python mangles it."""
    private = name.startswith("__") and isinstance(owner, type)
    mangled = f"_{owner.__name__}{name}" if private else name
    _required.append((owner, mangled))
    return mangled


def missing_names(required: Iterable[tuple[type | ModuleType, str]]) -> list[str]:
    """Return those of the names that the installed aiortc and aioice don't have.

    Methods are attributes of the class, others are assigned in its `__init__`.
    """
    return [
        f"{owner.__name__}.{name}"
        for owner, name in required
        if not hasattr(owner, name)
        and not (isinstance(owner, type) and name in _names_in_init(owner))
    ]


def _names_in_init(owner: type) -> tuple[str, ...]:
    code = getattr(owner.__init__, "__code__", None)  # type: ignore[misc]  # of a class at hand
    return () if code is None else tuple(code.co_names)


def check(required: Iterable[tuple[type | ModuleType, str]]) -> None:
    """Raise ImportError if a name is missing."""
    if missing := missing_names(required):
        found = f"aiortc {version('aiortc')} and aioice {version('aioice')}"
        raise ImportError(
            f"restartice supports {SUPPORTED}; {found} lack {', '.join(sorted(missing))}."
        )


class Private(property, Generic[T]):
    """A private attribute of a base class, under a name of ours."""

    def __init__(self, owner: type, name: str) -> None:
        private = require(owner, name)
        # Not by __get__() in Python: hundreds are read in each negotiation.
        super().__init__(attrgetter(private), lambda self, value: setattr(self, private, value))

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> T: ...  # type: ignore[override]
        def __set__(self, instance: object, value: T) -> None: ...


_PC = aiortc.RTCPeerConnection

for _method in (
    "__connect",
    "__createDtlsTransport",
    "__createTransceiver",
    "__gather",
    "__localRtp",
    "__remoteRtp",
    "__setSignalingState",
    "__updateConnectionState",
    "__updateIceConnectionState",
    "__updateIceGatheringState",
):
    require(_PC, _method)


class AiortcPeerConnection(aiortc.RTCPeerConnection):
    """aiortc's connection with its private methods and attributes under names without mangling.

    The methods whose names begin with `_RTCPeerConnection__` override those of aiortc. Each hands
    over to one that a subclass can override by a usual name.
    """

    certificates = Private[list[aiortc.RTCCertificate]](_PC, "__certificates")
    configuration = Private[aiortc.RTCConfiguration](_PC, "__configuration")
    dtls_transports = Private[set[aiortc.RTCDtlsTransport]](_PC, "__dtlsTransports")
    ice_transports = Private[set[aiortc.RTCIceTransport]](_PC, "__iceTransports")
    remote_dtls = Private[dict[object, RTCDtlsParameters]](_PC, "__remoteDtls")
    remote_ice = Private[dict[object, aiortc.RTCIceParameters]](_PC, "__remoteIce")
    seen_mids = Private[set[str]](_PC, "__seenMids")
    stream_id = Private[str](_PC, "__stream_id")
    sctp_transport = Private[aiortc.RTCSctpTransport | None](_PC, "__sctp")
    sctp_mline_index = Private[int | None](_PC, "__sctp_mline_index")
    sctp_remote_caps = Private[aiortc.RTCSctpCapabilities](_PC, "__sctpRemoteCaps")
    sctp_remote_port = Private[int](_PC, "__sctpRemotePort")
    # Ours, whose class stands above this module.
    transceivers = Private[list[Any]](_PC, "__transceivers")
    close_task = Private[asyncio.Future[None] | None](_PC, "__closeTask")
    closed_future = Private[asyncio.Future[bool] | None](_PC, "__isClosed")
    signaling_state = Private[str](_PC, "__signalingState")
    connection_state = Private[str](_PC, "__connectionState")
    ice_connection_state = Private[str](_PC, "__iceConnectionState")
    ice_gathering_state = Private[str](_PC, "__iceGatheringState")
    current_local = Private[SessionDescription | None](_PC, "__currentLocalDescription")
    current_remote = Private[SessionDescription | None](_PC, "__currentRemoteDescription")
    pending_local = Private[SessionDescription | None](_PC, "__pendingLocalDescription")
    pending_remote = Private[SessionDescription | None](_PC, "__pendingRemoteDescription")

    # What a subclass overrides.

    async def connect_transports(self) -> None:
        """Connect what the descriptions call for."""

    def create_dtls_transport(self) -> aiortc.RTCDtlsTransport:
        """Return a transport for a new transceiver or the SCTP transport."""
        raise NotImplementedError

    def create_transceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        """Make a transceiver and add it to the set."""
        raise NotImplementedError

    async def gather_candidates(self) -> None:
        """Gather the candidates of all transports."""
        raise NotImplementedError

    def enter_signaling_state(self, state: str) -> None:
        """Act on aiortc's wish to change the signaling state."""
        raise NotImplementedError

    def update_connection_state(self) -> None:
        """Compute connectionState anew."""
        raise NotImplementedError

    def update_ice_connection_state(self) -> None:
        """Compute iceConnectionState anew."""
        raise NotImplementedError

    def update_ice_gathering_state(self) -> None:
        """Compute iceGatheringState anew."""
        raise NotImplementedError

    # What a subclass calls.

    def local_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpSendParameters:
        """Return the parameters of what is negotiated to be sent."""
        parameters: RTCRtpSendParameters = self._RTCPeerConnection__localRtp(transceiver)  # type: ignore[attr-defined]
        return parameters

    def remote_rtp(self, transceiver: aiortc.RTCRtpTransceiver) -> RTCRtpReceiveParameters:
        """Return the parameters of what is negotiated to be received."""
        parameters: RTCRtpReceiveParameters = self._RTCPeerConnection__remoteRtp(transceiver)  # type: ignore[attr-defined]
        return parameters

    # What aiortc calls.

    async def _RTCPeerConnection__connect(self) -> None:
        await self.connect_transports()

    def _RTCPeerConnection__createDtlsTransport(self) -> aiortc.RTCDtlsTransport:
        return self.create_dtls_transport()

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: aiortc.MediaStreamTrack | None = None
    ) -> aiortc.RTCRtpTransceiver:
        return self.create_transceiver(direction, kind, sender_track)

    async def _RTCPeerConnection__gather(self) -> None:
        await self.gather_candidates()

    def _RTCPeerConnection__setSignalingState(self, state: str) -> None:
        self.enter_signaling_state(state)

    def _RTCPeerConnection__updateConnectionState(self) -> None:
        self.update_connection_state()

    def _RTCPeerConnection__updateIceConnectionState(self) -> None:
        self.update_ice_connection_state()

    def _RTCPeerConnection__updateIceGatheringState(self) -> None:
        self.update_ice_gathering_state()


_CONNECTION = aioice.Connection

for _method in ("check_complete", "check_incoming", "data_received", "protocol_lost"):
    require(_CONNECTION, _method)
for _method in (
    "build_request",
    "check_state",
    "query_consent",
    "connect",
    "get_component_candidates",
):
    require(_CONNECTION, _method)
for _method in (
    "_pair_remote_candidate",
    "_remote_candidates_expected",
    "sort_check_list",
):
    require(_CONNECTION, _method)
for _name in ("remote_addr", "local_candidate"):
    require(CandidatePair, _name)


# aioice 0.12 and 0.13 call it differently.
_CHECK_PERIODIC: Final = require(
    _CONNECTION,
    "check_periodic" if hasattr(_CONNECTION, "check_periodic") else "_check_periodic",
)


class AioiceConnection(aioice.Connection):
    """aioice's connection with its private attributes under names of ours."""

    check_list = Private[list[CandidatePair]](_CONNECTION, "_check_list")
    nominated = Private[dict[int, CandidatePair]](_CONNECTION, "_nominated")
    protocols = Private[list[Any]](_CONNECTION, "_protocols")
    consent_task = Private[asyncio.Task[None] | None](_CONNECTION, "_query_consent_task")
    tie_breaker = Private[int](_CONNECTION, "_tie_breaker")
    local_candidates_start = Private[bool](_CONNECTION, "_local_candidates_start")
    checks_begun = Private[bool](_CONNECTION, "_early_checks_done")
    all_local_candidates = Private[list[aioice.Candidate]](_CONNECTION, "_local_candidates")
    transport_policy = Private[aioice.TransportPolicy](_CONNECTION, "_transport_policy")

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

    def start_next_check(self) -> None:
        """Check the pair that is next, if the checks are under way."""
        if self.checks_begun:
            getattr(self, _CHECK_PERIODIC)()

    # What aioice calls.

    def _remote_candidates_expected(self) -> bool:
        # Peer-reflexive ones may come up even where each side has told all of its candidates, and
        # all pairs of them have failed, until the time for checks is over. (RFC 8863 section 4)
        return True


require(aiortc.RTCDtlsTransport, "_get_stats")


def transport_stats(transport: aiortc.RTCDtlsTransport) -> aiortc.RTCTransportStats:
    """Return aiortc's statistics of a transport."""
    (stats,) = transport._get_stats().values()
    assert isinstance(stats, aiortc.RTCTransportStats)
    return stats


require(aioice.turn.TurnTransport, "_connect")
for _name in ("DEFAULT_ALLOCATION_LIFETIME", "DEFAULT_CHANNEL_REFRESH_TIME"):
    require(aioice.turn, _name)
for _name in ("TurnClientTcpProtocol", "TurnClientUdpProtocol"):
    require(aioice.turn, _name)


def turn_client(
    transport: str, server: tuple[str, int], username: str | None, password: str | None
) -> Callable[[], Any]:
    """Return what makes the client of a TURN server, by the transport that leads there."""
    tcp = transport == "tcp"
    return partial(
        aioice.turn.TurnClientTcpProtocol if tcp else aioice.turn.TurnClientUdpProtocol,
        server,
        username=username,
        password=password,
        lifetime=aioice.turn.DEFAULT_ALLOCATION_LIFETIME,
        channel_refresh_time=aioice.turn.DEFAULT_CHANNEL_REFRESH_TIME,
    )


async def open_allocation(
    client: Any, receiver: StunProtocol
) -> tuple[tuple[str, int], tuple[str, int]]:
    """Let a connected client ask for a relayed address, which the receiver then has as its own.

    Returns:
        The relayed address, and that of the client as the server sees it.
    """
    transport = aioice.turn.TurnTransport(client)
    try:
        await transport._connect(receiver)
    except BaseException:
        # Also when it was cancelled, as nobody else knows of the socket.
        client.transport.close()
        raise
    return transport.get_extra_info("sockname"), transport.get_extra_info("related_address")


_TURN_CLOSE_TASK = require(aioice.turn.TurnTransport, "__close_task")
_TURN_CLIENT = require(aioice.turn.TurnTransport, "__inner_protocol")


def abandon_allocation(transport: Any) -> None:
    """Stop telling a TURN server, which doesn't answer, that its allocation isn't needed."""
    task: asyncio.Task[None] = getattr(transport, _TURN_CLOSE_TASK)
    task.cancel()
    # aioice 0.12 doesn't do that by itself then.
    getattr(transport, _TURN_CLIENT).transport.close()


for _name in ("send_stun", "transactions"):
    require(StunProtocol, _name)


class Transaction(Protocol):
    """What aioice hands the response to a request to."""

    def response_received(self, message: stun.Message, address: tuple[str, int], /) -> None:
        """Take a response that nobody has verified yet."""


def send_request(
    pair: CandidatePair, request: stun.Message, key: bytes, transaction: Transaction
) -> None:
    """Sign a request and send it, once; the transaction is handed the responses."""
    request.add_message_integrity(key)
    transactions: dict[bytes, Any] = pair.protocol.transactions
    transactions[request.transaction_id] = transaction
    pair.protocol.send_stun(request, pair.remote_addr)


_TRANSACTION_REQUEST = require(stun.Transaction, "__request")
_TRANSACTION_ADDRESS = require(stun.Transaction, "__addr")
_TRANSACTION_TRIES = require(stun.Transaction, "__tries")


def repeat_requests(pair: CandidatePair) -> None:
    """Send the requests on a pair again that aioice has sent twice in vain."""
    for transaction in list(pair.protocol.transactions.values()):
        if not isinstance(transaction, stun.Transaction):
            continue
        address = getattr(transaction, _TRANSACTION_ADDRESS)
        if address == pair.remote_addr and getattr(transaction, _TRANSACTION_TRIES) >= 2:
            pair.protocol.send_stun(getattr(transaction, _TRANSACTION_REQUEST), address)


def is_signed(response: stun.Message, key: bytes) -> bool:
    """Say if a response was signed with a key.

    aioice 0.12 keeps nothing of a message that this could be told from, and doesn't check it
    itself. There a response is known by its transaction id and its sender's address alone.
    """
    check = getattr(response, "check_message_integrity", None)
    return True if check is None else bool(check(key))


def error_code(response: stun.Message) -> int | None:
    """Return the code of an error response, or None."""
    found: tuple[int, str] | None = response.attributes.get("ERROR-CODE")
    return None if found is None else found[0]


def forget_transaction(pair: CandidatePair, transaction_id: bytes) -> None:
    """Take no more responses to a request."""
    pair.protocol.transactions.pop(transaction_id, None)


require(aiortc.rtcicetransport, "Connection")
require(aiortc.rtcicetransport, "connection_kwargs")
require(aiortc.rtcicetransport, "ICE_TRANSPORT_POLICIES")
candidate_from_aioice = aiortc.rtcicetransport.candidate_from_aioice
candidate_to_aioice = aiortc.rtcicetransport.candidate_to_aioice


require(aioice.ice, "get_host_addresses")


def host_addresses() -> list[str]:
    """Return the addresses that aioice gathers, by its function, which may be patched."""
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


def ice_connection_base() -> type[aioice.Connection]:
    """Return the class that aiortc makes ICE connections from, which programs may have patched.

    Raises:
        TypeError: It was replaced by something that isn't a subclass of aioice.Connection.
    """
    base: object = vars(aiortc.rtcicetransport)["Connection"]
    if not (isinstance(base, type) and issubclass(base, aioice.Connection)):
        raise TypeError("aiortc.rtcicetransport.Connection must subclass aioice.Connection")
    return base


def ice_connection_kwargs(servers: list[aiortc.RTCIceServer]) -> dict[str, Any]:
    """Return the servers as arguments of aioice, by aiortc's function, which may be patched."""
    return aiortc.rtcicetransport.connection_kwargs(servers)


def transport_policy(policy: aiortc.RTCIceTransportPolicy) -> aioice.TransportPolicy:
    """Return aioice's word for aiortc's."""
    return aiortc.rtcicetransport.ICE_TRANSPORT_POLICIES[policy]


_TRANSCEIVER = aiortc.RTCRtpTransceiver
_CURRENT_DIRECTION = require(_TRANSCEIVER, "__currentDirection")

# What negotiation changes in aiortc's objects, so what a rollback restores.
NEGOTIATED_STATE: Final[dict[type, tuple[str, ...]]] = {
    owner: tuple(require(owner, name) for name in names)
    for owner, names in {
        _PC: (
            "__transceivers",
            "__sctp",
            "__sctp_mline_index",
            "__sctpRemoteCaps",
            "__sctpRemotePort",
            "_sctpLegacySdp",
            "__remoteDtls",
            "__remoteIce",
            "__dtlsTransports",
            "__iceTransports",
            "__currentLocalDescription",
            "__currentRemoteDescription",
            "__pendingLocalDescription",
            "__pendingRemoteDescription",
        ),
        _TRANSCEIVER: (
            "__currentDirection",
            "__mid",
            "__mline_index",
            "_bundled",
            "_codecs",
            "_headerExtensions",
            "_offerDirection",
        ),
        aiortc.RTCRtpSender: ("__transport", "_enabled"),
        aiortc.RTCRtpReceiver: ("__transport", "_enabled"),
        aiortc.RTCSctpTransport: ("__transport", "_bundled", "mid"),
        aiortc.RTCDtlsTransport: ("_role",),
        aiortc.RTCIceTransport: ("_role_set",),
    }.items()
}

for _method in ("_get_mline_index", "_set_mline_index", "_set_mid"):
    require(_TRANSCEIVER, _method)


def mline_index(transceiver: aiortc.RTCRtpTransceiver) -> int | None:
    """Return the place of a transceiver's media section."""
    return transceiver._get_mline_index()


def set_mline_index(transceiver: aiortc.RTCRtpTransceiver, index: int | None) -> None:
    """Set the place of a transceiver's media section, or None for none."""
    transceiver._set_mline_index(index)  # type: ignore[arg-type]


def set_mid(transceiver: aiortc.RTCRtpTransceiver, mid: str | None) -> None:
    """Associate a transceiver with a media section, or with none."""
    transceiver._set_mid(mid)  # type: ignore[arg-type]


def mark_bundled(
    user: aiortc.RTCRtpTransceiver | aiortc.RTCSctpTransport, *, bundled: bool
) -> None:
    """Tell aiortc if a transceiver or SCTP rides on the BUNDLE group's transport already."""
    user._bundled = bundled


@contextmanager
def kept_codecs(transceivers: list[aiortc.RTCRtpTransceiver]) -> Iterator[None]:
    """Undo what createOffer() does to live transceivers: it writes all that aiortc can do there."""
    before = [(t, t._codecs, t._headerExtensions) for t in transceivers]
    try:
        yield
    finally:
        for transceiver, codecs, extensions in before:
            transceiver._codecs, transceiver._headerExtensions = codecs, extensions


# Media and data, and how they get over an outage.

for _name in ("_capacity", "_origin", "_packets"):
    require(JitterBuffer, _name)


class AiortcJitterBuffer(JitterBuffer):
    """aiortc's jitter buffer with what it holds under names of ours."""

    def numbers_until(self, last: int) -> Iterator[int]:
        """Yield the sequence numbers from the first that it waits for to a given one."""
        assert self._origin is not None
        for count in range((last - self._origin) % (1 << 16) + 1):
            yield (self._origin + count) % (1 << 16)

    def packet(self, number: int) -> RtpPacket | None:
        """Return the packet with a sequence number, if it is there."""
        number %= 1 << 16
        packet = self._packets[number % self._capacity]
        return packet if packet is not None and packet.sequence_number == number else None

    def skip_to(self, number: int) -> None:
        """Forget all packets before a sequence number."""
        assert self._origin is not None
        self.remove(min(self._capacity, (number - self._origin) % (1 << 16)))


_SENDER, _RECEIVER, _SCTP = aiortc.RTCRtpSender, aiortc.RTCRtpReceiver, aiortc.RTCSctpTransport

for _name in ("_next_encoded_frame", "_send_keyframe", "_ssrc"):
    require(_SENDER, _name)


class AiortcRtpSender(aiortc.RTCRtpSender):
    """aiortc's sender with what its loop calls under a name of ours."""

    async def next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        """Return the next frame to send, or None."""
        return await super()._next_encoded_frame(codec)

    def force_keyframe(self) -> None:
        """Let the next picture be a keyframe."""
        self._send_keyframe()

    async def _next_encoded_frame(
        self, codec: aiortc.RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        return await self.next_encoded_frame(codec)


class AiortcRtpReceiver(aiortc.RTCRtpReceiver):
    """aiortc's receiver, whose jitter buffer can be replaced, and which tells what comes."""

    jitter_buffer = Private[JitterBuffer](_RECEIVER, "__jitter_buffer")

    def call_at_next_packet(self, callback: Callable[[], object]) -> None:
        """Call something, once, when an RTP packet comes; the packets after it cost nothing."""

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            vars(self).pop("_handle_rtp_packet", None)
            callback()
            await self._handle_rtp_packet(packet, arrival_time_ms)

        vars(self)["_handle_rtp_packet"] = handle

    def source_left(self) -> None:
        """Take note of an RTCP BYE, by which the other side says that a source sends no more."""

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        # It isn't handed on, because the track would end, and never come back.
        if isinstance(packet, RtcpByePacket):
            self.source_left()
        else:
            await super()._handle_rtcp_packet(packet)


for _name in ("_handle_rtcp_packet", "_handle_rtp_packet", "_set_rtcp_ssrc", "_track"):
    require(_RECEIVER, _name)


def pair(transceiver: aiortc.RTCRtpTransceiver, track: RemoteStreamTrack, *, shared: bool) -> None:
    """Connect sender and receiver of a new transceiver, and give the latter its track."""
    transceiver.receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver.receiver._track = track
    transceiver._bundled = shared


def set_track_id(track: aiortc.MediaStreamTrack, track_id: str) -> None:
    """Give a track the id that the remote side gave it."""
    track._id = track_id


class AiortcRtpTransceiver(aiortc.RTCRtpTransceiver):
    """aiortc's transceiver with its private attributes under names of ours."""

    wanted_direction = Private[str](_TRANSCEIVER, "__direction")
    negotiated_direction = Private[str | None](_TRANSCEIVER, "__currentDirection")


for _name in ("_last_received_tsn", "_sent_queue", "_srtt", "_t3_handle"):
    require(_SCTP, _name)
for _method in ("_send_sack", "_t3_cancel", "_t3_expired"):
    require(_SCTP, _method)


def is_established(sctp: aiortc.RTCSctpTransport) -> bool:
    """Say if data can be sent, and data was received."""
    connected = sctp.state == "connected" and sctp.transport.state == "connected"
    return connected and sctp._last_received_tsn is not None


def acknowledge_data(sctp: aiortc.RTCSctpTransport) -> None:
    """Say again what data was received."""
    task = asyncio.ensure_future(sctp._send_sack())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


def oldest_unacknowledged(sctp: aiortc.RTCSctpTransport) -> object | None:
    """Return the first chunk of data that wasn't acknowledged, or None."""
    return sctp._sent_queue[0] if sctp._sent_queue else None


def repeat_data(sctp: aiortc.RTCSctpTransport) -> None:
    """Repeat what wasn't acknowledged, as if the timer for that had expired."""
    if sctp._t3_handle is not None:
        sctp._t3_cancel()
        sctp._t3_expired()


def round_trip_of(sctp: aiortc.RTCSctpTransport) -> float:
    """Return the round trip time that SCTP has measured, in seconds, or 0 if it hasn't."""
    return sctp._srtt or 0.0


def set_controlling(transport: aiortc.RTCIceTransport, *, controlling: bool) -> None:
    """Set the ICE role."""
    transport._connection.ice_controlling = controlling


check(_required)
