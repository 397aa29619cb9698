"""The private names of aiortc's SCTP transport, as far as it is subclassed."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import aiortc
from aiortc import rtcdatachannel, rtcdtlstransport, rtcsctptransport
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    ErrorChunk,
    InitAckChunk,
    InitChunk,
    serialize_packet,
)

from .first_packet import FirstPacket
from .lifetimes import ExpiringSctpTransport, Lifetimes
from .names import OfViewed, require
from .receiving import BLOCKS, Receiving, ReceivingSctpTransport, receive_data
from .sctp_packets import usual_chunks
from .sending import next_stream, number_channels, register_channel
from .snap import establish, make_init

__all__ = ["AiortcSctpTransport", "SctpView"]

_logger = logging.getLogger(rtcsctptransport.__name__)
_CLOSED = rtcsctptransport.RTCSctpTransport.State.CLOSED
_ESTABLISHED = rtcsctptransport.RTCSctpTransport.State.ESTABLISHED
_COOKIE_WAIT = rtcsctptransport.RTCSctpTransport.State.COOKIE_WAIT
_UNRECOGNIZED: Final = 8  # a parameter of an INIT ACK (RFC 9260 section 3.3.3.1)
# How many streams may wait to be reset that have no data channel.
MOST_RESETS: Final = 1024

_SCTP = rtcsctptransport.RTCSctpTransport

for _name in (
    "_advertised_rwnd",
    "_association_state",
    "_data_channel_inbound_reset",
    "_data_channel_outbound_reset",
    "_data_channel_queue",
    "_data_channels",
    "_forward_tsn_chunk",
    "_flight_size",
    "_last_sacked_tsn",
    "_forward_tsn_streams",
    "_inbound_streams",
    "_inbound_streams_count",
    "_last_received_tsn",
    "_local_port",
    "_local_tsn",
    "_local_verification_tag",
    "_reconfig_in_progress",
    "_reconfig_queue",
    "_reconfig_request",
    "_remote_port",
    "_remote_verification_tag",
    "_rto",
    "_sack_needed",
    "_sent_queue",
    "_t1_chunk",
    "_t1_failures",
    "_t1_handle",
):
    require(_SCTP, _name)
for _method in (
    "_data_channel_add_negotiated",
    "_data_channel_closed",
    "_data_channel_open",
    "_data_channel_receive",
    "_data_channel_reset",
    "_handle_data",
    "_init",
    "_mark_received",
    "_receive",
    "_receive_chunk",
    "_reconfig_timer_expired",
    "_send",
    "_send_chunk",
    "_send_sack",
    "_set_extensions",
    "_set_state",
    "_t1_cancel",
    "_t1_expired",
    "_t1_start",
    "_transmit",
    "_transmit_reconfig",
    "_update_advanced_peer_ack_point",
):
    require(_SCTP, _method)
for _name in ("_in_flight", "_retransmit"):
    require(DataChunk, _name)
require(rtcdtlstransport.RTCDtlsTransport, "_send_data")
require(rtcdatachannel.RTCDataChannel, "_setReadyState")
for _name in ("DATA_CHANNEL_OPEN", "SCTP_MAX_INIT_RETRANS", "WEBRTC_BINARY", "WEBRTC_DCEP"):
    require(rtcsctptransport, _name)


class SctpView(Lifetimes, Receiving):
    """An SCTP transport of aiortc's with its private names under names of ours, and what it asks.

    Attributes:
        remote_init: The INIT of the other side if it needn't be sent, as it knows ours.
        unknown_parameters: The parameters of its INIT to report as unknown.
        unconfirmed: The streams of channels that the other side hasn't said yet that it has opened.
        receive_chunk: Lets aiortc handle a chunk; under another name only, as each call takes time.
        deliver: Lets aiortc handle a message, in the same way.
    """

    local_tag = OfViewed[int](_SCTP, "_local_verification_tag")
    inbound_streams = OfViewed[int](_SCTP, "_inbound_streams_count")
    # How many bytes can still come in, and which TSN came in last, and was given out last.
    window = OfViewed[int](_SCTP, "_advertised_rwnd")
    last_received_tsn = OfViewed[int](_SCTP, "_last_received_tsn")
    acknowledgement_due = OfViewed[bool](_SCTP, "_sack_needed")
    # How long an answer may take, in seconds.
    timeout = OfViewed[float](_SCTP, "_rto")
    # The state that the transport tells, and the largest message that the other side takes, in
    # bytes, or 0 if there is no limit.
    phase = OfViewed[str](_SCTP, "__state")
    largest_message = OfViewed[int](_SCTP, "_remote_max_message_size")
    # What the timers run in.
    loop = OfViewed[asyncio.AbstractEventLoop](_SCTP, "_loop")

    viewed: "AiortcSctpTransport"

    def __init__(self, sctp: "AiortcSctpTransport") -> None:
        self.viewed = sctp
        self.remote_init: bytes | None = None
        self.unknown_parameters: tuple[bytes, ...] = ()
        self.unconfirmed: frozenset[int] = frozenset()
        self.receive_chunk: Any = sctp._receive_chunk
        self.deliver: Any = sctp._data_channel_receive
        self.setup_task: asyncio.Task[None] | None = None
        self.first_packet = FirstPacket(sctp, super(AiortcSctpTransport, sctp)._send_chunk)

    # What a subclass overrides.

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        Args:
            failures: How many times an answer has failed to come.
        """
        raise NotImplementedError

    def has_failed(self, failures: int) -> bool:
        """Return whether what sets the association up went unanswered too often."""
        raise NotImplementedError

    def is_set_up(self) -> bool:
        """Return whether an answer to what sets the association up isn't needed any more."""
        raise NotImplementedError

    def setup_failed(self) -> None:
        """Note that the other side answers nothing, before the association is closed."""

    def closed(self) -> None:
        """Note that the association is closed, or won't be set up."""

    def transport_failed(self) -> None:
        """End the association and its channels, as DTLS has failed."""
        raise NotImplementedError

    def opened_at_once(self, channel: aiortc.RTCDataChannel) -> None:
        """Note a new channel that was open before anything could listen to it."""
        raise NotImplementedError

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Note a new channel that can't open, because the association is closed."""

    async def handle_packet(self, packet: bytes) -> None:
        """Handle what has come in."""
        raise NotImplementedError

    async def handling_failed(self, error: Exception) -> None:
        """Act on the failure of that."""
        raise NotImplementedError

    async def receive_message(self, stream: int, protocol: int, message: bytes) -> None:
        """Handle a message that is complete."""
        raise NotImplementedError

    def prepare_parameters(self, chunk: InitAckChunk) -> None:
        """Leave the parameters to go by in an INIT."""
        raise NotImplementedError

    def opening_message(self, message: bytes, channel: aiortc.RTCDataChannel) -> bytes:
        """Return the message to open a channel with, given aiortc's."""
        raise NotImplementedError

    # What a subclass calls.

    @property
    def is_open(self) -> bool:
        """Whether data can come in."""
        state = self.viewed._association_state
        return state is not _CLOSED and state is not _COOKIE_WAIT

    @property
    def progress(self) -> str:
        """The state of the association, named as in RFC 9260, with underscores."""
        return str(self.viewed._association_state.name)

    @property
    def last_sent_tsn(self) -> int:
        """The TSN that was given out last."""
        return (self.viewed._local_tsn - 1) % (1 << 32)

    @property
    def has_arrived(self) -> bool:
        """Whether the other side has acknowledged data."""
        first = self.first_packet.first_tsn
        return first is not None and self.viewed._last_sacked_tsn != (first - 1) % (1 << 32)

    @property
    def is_asking(self) -> bool:
        """Whether an established association awaits the answer to an INIT."""
        established = self.viewed._association_state is _ESTABLISHED
        return established and self.viewed._t1_handle is not None

    def ask(self, init: bytes | None) -> None:
        """Send an INIT with the numbers of ours, although the association is established."""
        assert init is not None
        self.viewed._t1_start(InitChunk(body=init[4:]))
        self.setup_task = asyncio.ensure_future(_send_setup(self.viewed))

    def await_cookie(self) -> None:
        """Accept the answer to an INIT next, although the association is established."""
        self.viewed._set_state(_COOKIE_WAIT)

    def channel_on(self, stream: int) -> aiortc.RTCDataChannel | None:
        """Return the data channel of a stream, or None."""
        return self.viewed._data_channels.get(stream)

    def counts_of(self, channel: aiortc.RTCDataChannel) -> tuple[int, ...]:
        """Return the messages and bytes that were sent on a channel, and those received."""
        return tuple(self.counts.get(-1 if channel.id is None else channel.id, (0, 0, 0, 0)))

    def confirm(self, stream: int) -> None:
        """Note that the other side has opened the channel of a stream."""
        self.unconfirmed -= {stream}

    def discard(self, tsn: int) -> None:
        """Acknowledge data without taking it."""
        self.viewed._mark_received(tsn)
        self.viewed._sack_needed = True

    async def acknowledge(self) -> None:
        """Send an acknowledgement."""
        await self.viewed._send_sack()

    def queue_control(self, stream: int, message: bytes) -> int:
        """Queue a message of DCEP."""
        opens = message[:1] == bytes([rtcsctptransport.DATA_CHANNEL_OPEN])
        if opens:
            self.unconfirmed |= {stream}
        size = self.queue_message(stream, rtcsctptransport.WEBRTC_DCEP, message, {})
        if opens:
            self.viewed._outbound_queue[-1].opens = True
        return size

    def open_channel(self, stream: int) -> None:
        """Let a channel be open of which the other side is told. (RFC 8832 section 6)."""
        channel = self.channel_on(stream)
        if channel is not None and channel.readyState == "connecting":
            channel._setReadyState("open")

    async def send_error(self, cause: int, value: bytes) -> None:
        """Report an error to the other side that doesn't end the association."""
        chunk = ErrorChunk()
        chunk.params.append((cause, value))
        await self.viewed._send_chunk(chunk)

    async def send_abort(self, cause: int, value: bytes) -> None:
        """Abort the association, and notify the other side."""
        chunk = AbortChunk()
        chunk.params.append((cause, value))
        await self.viewed._send_chunk(chunk)

    def enter_closed(self) -> None:
        """End the association and its channels."""
        self.viewed._set_state(self.viewed.State.CLOSED)

    def set_up_again(self) -> None:
        """Begin again with the INIT, as the other side says that our cookie is too old."""
        self.viewed._t1_cancel()
        self.viewed._remote_verification_tag = 0
        self.setup_task = asyncio.ensure_future(self.viewed._init())

    def reset_stream(self, stream: int) -> None:
        """Close a stream that has no data channel, as far as it can be. (RFC 8831 section 6.7)."""
        request, waiting = self.viewed._reconfig_request, self.viewed._reconfig_queue
        requested = request is not None and stream in request.streams
        if requested or len(waiting) >= MOST_RESETS or stream in waiting:
            return
        waiting.append(stream)
        self.setup_task = asyncio.ensure_future(self.viewed._transmit_reconfig())

    def number_channels(self) -> None:
        """Give the channels without an id one each, as the DTLS role is known by now."""
        number_channels(self.viewed)

    def number_channel(self, channel: aiortc.RTCDataChannel) -> None:
        """Give a new channel an id, if it has none and opens."""
        if channel.id is None and channel.readyState == "connecting":
            register_channel(self.viewed, channel)

    @property
    def numbers_channels(self) -> bool:
        """Whether the DTLS role is known, so that a new channel has its id at once."""
        return self.viewed._data_channel_id is not None

    def check_stream_left(self) -> None:
        """Raise OperationError if there is no id left for a new channel."""
        next_stream(self.viewed)

    def make_init(self) -> bytes:
        """Return the INIT that is sent when the transport starts."""
        return make_init(self.viewed)

    @property
    def channels(self) -> list[aiortc.RTCDataChannel]:
        """All data channels, those without an id included, which are only to be announced."""
        queued = (channel for channel, _, _ in self.viewed._data_channel_queue)
        return list(dict.fromkeys([*self.viewed._data_channels.values(), *queued]))

    def repeat_setup(self) -> None:
        """Repeat the unanswered chunk that sets the association up, and restart its count."""
        if self.viewed._t1_handle is not None:
            self.viewed._t1_handle.cancel()
            self.viewed._t1_failures = 0
            self.send_setup_again()

    def send_setup_again(self) -> None:
        """Send what sets the association up again, and wait for the answer."""
        self.setup_task = asyncio.ensure_future(_send_setup(self.viewed))
        self.await_answer()

    def await_answer(self) -> None:
        """Wait for the answer to what sets the association up."""
        sctp = self.viewed
        delay = self.retry_delay(sctp._t1_failures)
        sctp._t1_handle = asyncio.get_running_loop().call_later(delay, sctp._t1_expired)

    def refuse(self, channel: aiortc.RTCDataChannel) -> None:
        """Close a new data channel in a later turn, when who makes it may have begun to listen."""

        def close() -> None:
            self.channel_refused(channel)
            channel._setReadyState("closed")

        asyncio.get_running_loop().call_soon(close)


class AiortcSctpTransport(ExpiringSctpTransport, ReceivingSctpTransport):
    """aiortc's SCTP transport, whose core looks at what comes in, and misses what doesn't."""

    _core: SctpView

    async def _handle_data(self, data: bytes) -> None:
        try:
            found = usual_chunks(self, data)
            if found is None or _logger.isEnabledFor(logging.DEBUG):
                # aiortc logs each chunk.
                await self._core.handle_packet(data)
            elif isinstance(found, list):
                await receive_data(self, found)
            else:
                self._core.take_window(found)
                await self._receive_sack_chunk(found)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  told by who acts on it
            await self._core.handling_failed(error)

    def _receive(self, stream_id: int, pp_id: int, data: bytes) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, and nothing can be wrong with bytes.
        if pp_id == rtcsctptransport.WEBRTC_BINARY:
            return super()._receive(stream_id, pp_id, data)
        return self._core.receive_message(stream_id, pp_id, data)

    async def _init(self) -> None:
        if self._core.remote_init is None:
            await super()._init()
        else:
            await establish(self, self._core.remote_init)

    def _send_chunk(self, chunk: Chunk) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, as it is called for each packet.
        if self._association_state is _ESTABLISHED and type(chunk) is not InitAckChunk:
            return super()._send_chunk(chunk)
        return self._core.first_packet.send(chunk)

    def _set_extensions(self, params: list[tuple[int, bytes]]) -> None:
        super()._set_extensions(params)
        params.extend((_UNRECOGNIZED, told) for told in self._core.unknown_parameters)

    def _update_advanced_peer_ack_point(self) -> None:
        super()._update_advanced_peer_ack_point()
        chunk = self._forward_tsn_chunk
        if chunk is not None and len(chunk.streams) > BLOCKS:
            # "If the chunk doesn't fit, the TSN is lowered." (RFC 3758 section 3.5, C4)
            base = chunk.cumulative_tsn
            by_age = sorted(
                self._forward_tsn_streams.items(),
                key=lambda item: -((base - item[1][1]) % (1 << 32)),
            )[:BLOCKS]
            chunk.streams = [(stream, number) for stream, (number, _) in by_age]
            chunk.cumulative_tsn = by_age[-1][1][1]

    def _data_channel_closed(self, stream_id: int) -> None:
        self._core.confirm(stream_id)
        self._core.counts.pop(stream_id, None)
        if stream_id in self._data_channels:
            super()._data_channel_closed(stream_id)

    def _data_channel_reset(self, stream_id: int) -> None:
        super()._data_channel_reset(stream_id)
        if stream_id not in self._data_channels:
            self._data_channel_inbound_reset.discard(stream_id)
            self._data_channel_outbound_reset.discard(stream_id)

    def _t1_start(self, chunk: Chunk) -> None:
        super()._t1_start(chunk)
        assert self._t1_handle is not None
        self._t1_handle.cancel()
        self._core.await_answer()

    def _t1_expired(self) -> None:
        if self._core.is_set_up():
            self._t1_handle = self._t1_chunk = None
            return
        if self._core.can_be_answered():
            self._t1_failures += 1
        if self._core.has_failed(self._t1_failures):
            self._t1_handle = None
            self._core.setup_failed()
            self._set_state(self.State.CLOSED)
        else:
            self._core.send_setup_again()

    def _reconfig_timer_expired(self) -> None:
        # What is sent again for another reason isn't counted. (RFC 6525 section 5.2.7 H2)
        self._reconfig_in_progress |= not self._core.can_be_answered()
        super()._reconfig_timer_expired()

    def _set_state(self, state: rtcsctptransport.RTCSctpTransport.State) -> None:
        before = self._core.phase
        # aiortc removes them when the association is closed.
        listeners = self.listeners("statechange")
        if state == self.State.CLOSED:
            self._core.closed()
            # aiortc forgets those which have no id yet.
            queued = {channel for channel, _, _ in self._data_channel_queue}
            self._data_channel_queue.clear()
            super()._set_state(state)
            for channel in queued:
                channel._setReadyState("closed")
            for listener in listeners if self._core.phase != before else ():
                self.once("statechange", listener)
        else:
            super()._set_state(state)
        if self._core.phase != before:
            self.emit("statechange")

    def _data_channel_open(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            self._core.refuse(channel)
        else:
            # aiortc counts the characters of the names, not the bytes.
            self._core.opening_message(bytes(12), channel)
            super()._data_channel_open(channel)
            ((_, protocol, message),) = self._data_channel_queue.of(channel)
            self._data_channel_queue.replace_last(
                channel, (channel, protocol, self._core.opening_message(message, channel))
            )

    def _data_channel_add_negotiated(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            self._core.refuse(channel)
        else:
            self._core.opening_message(bytes(12), channel)
            super()._data_channel_add_negotiated(channel)
            if channel.readyState == "open":
                self._core.opened_at_once(channel)


async def _send_setup(sctp: AiortcSctpTransport) -> None:
    """Send a chunk of the handshake.

    aiortc repeats an INIT with the tag of the other side, if that has sent its own meanwhile. The
    tag has to be 0, and each other one is ignored. (RFC 9260 section 8.5.1)
    """
    chunk = sctp._t1_chunk
    if isinstance(chunk, InitChunk):
        assert sctp._remote_port is not None
        packet = serialize_packet(sctp._local_port, sctp._remote_port, 0, chunk)
        with suppress(ConnectionError):  # DTLS has ended, and what runs on it is about to
            await sctp.transport._send_data(packet)
    elif chunk is not None:
        await sctp._send_chunk(chunk)
