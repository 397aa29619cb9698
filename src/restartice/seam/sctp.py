"""The private names of aiortc's SCTP transport, as far as it is subclassed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import aiortc
from aiortc import rtcdatachannel, rtcdtlstransport, rtcsctptransport
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    ErrorChunk,
    InitChunk,
    SackChunk,
    serialize_packet,
)

from .names import Private, require
from .sctp_packets import usual_chunk

__all__ = ["AiortcSctpTransport"]

_CLOSED = rtcsctptransport.RTCSctpTransport.State.CLOSED
_COOKIE_WAIT = rtcsctptransport.RTCSctpTransport.State.COOKIE_WAIT
_UNRECOGNIZED: Final = 8  # a parameter of an INIT ACK (RFC 9260 section 3.3.3.1)
# How many blocks an acknowledgement, and how many streams a FORWARD TSN, can have in a packet.
BLOCKS: Final = (rtcsctptransport.SCTP_MAX_PACKET_LENGTH - 28) // 4
# How many small packets may be in flight, and below how many bytes one is small. The congestion
# window counts the bytes of messages, but the buffer of a socket, of 208 KiB unless told otherwise,
# counts 768 for the smallest packet on Linux. What doesn't fit is lost.
MOST_IN_FLIGHT: Final = 256
SMALL: Final = 512
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
    "_forward_tsn_streams",
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
    "_sack_duplicates",
    "_sack_misordered",
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


class AiortcSctpTransport(rtcsctptransport.RTCSctpTransport):
    """aiortc's SCTP transport, which lets a subclass look at what comes in, and miss what doesn't.

    Attributes:
        unknown_parameters: What the other side is told that we don't know of its INIT.
    """

    local_tag = Private[int](_SCTP, "_local_verification_tag")
    inbound_streams = Private[int](_SCTP, "_inbound_streams_count")
    # How many bytes can still come in, and which TSN came in last, and was given out last.
    window = Private[int](_SCTP, "_advertised_rwnd")
    last_received_tsn = Private[int](_SCTP, "_last_received_tsn")
    acknowledgement_due = Private[bool](_SCTP, "_sack_needed")
    # How long an answer may take, in seconds.
    timeout = Private[float](_SCTP, "_rto")
    # What the timers run in.
    loop = Private[asyncio.AbstractEventLoop](_SCTP, "_loop")
    setup_task: asyncio.Task[None] | None = None
    unknown_parameters: tuple[bytes, ...] = ()
    # The streams of channels that the other side hasn't said yet that it has opened.
    unconfirmed: frozenset[int] = frozenset()

    # What a subclass overrides.

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        Args:
            failures: How many times an answer has failed to come.
        """
        raise NotImplementedError

    def can_be_answered(self) -> bool:
        """Say if there is a path, so that what isn't answered has failed."""
        raise NotImplementedError

    def setup_failed(self) -> None:
        """Take note that the other side answers nothing, before the association is closed."""

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Take note of a new channel that can't open, because the association is closed."""

    async def handle_packet(self, packet: bytes) -> None:
        """Handle what has come in."""
        raise NotImplementedError

    async def handling_failed(self, error: Exception) -> None:
        """Act on the failure of that."""
        raise NotImplementedError

    async def receive_message(self, stream: int, protocol: int, message: bytes) -> None:
        """Take a message that is complete."""
        raise NotImplementedError

    def opening_message(self, message: bytes, channel: aiortc.RTCDataChannel) -> bytes:
        """Return the message to open a channel with, given aiortc's."""
        raise NotImplementedError

    # What a subclass calls.

    # Under another name only, because each call takes its time. Lets aiortc handle a chunk.
    receive_chunk: Any = getattr(_SCTP, "_receive_chunk", None)
    # Lets aiortc handle a message.
    deliver: Any = getattr(_SCTP, "_data_channel_receive", None)

    @property
    def is_open(self) -> bool:
        """Whether data can come in."""
        state = self._association_state
        return state is not _CLOSED and state is not _COOKIE_WAIT

    @property
    def progress(self) -> str:
        """How far the association has come, as RFC 9260 calls it, with underscores."""
        return str(self._association_state.name)

    @property
    def last_sent_tsn(self) -> int:
        """The TSN that was given out last."""
        return (self._local_tsn - 1) % (1 << 32)

    def channel_on(self, stream: int) -> aiortc.RTCDataChannel | None:
        """Return the data channel of a stream, or None."""
        return self._data_channels.get(stream)

    def confirm(self, stream: int) -> None:
        """Take note that the other side has opened the channel of a stream."""
        self.unconfirmed -= {stream}

    def discard(self, tsn: int) -> None:
        """Acknowledge data without taking it."""
        self._mark_received(tsn)
        self._sack_needed = True

    async def acknowledge(self) -> None:
        """Send an acknowledgement."""
        await self._send_sack()

    async def send_error(self, cause: int, value: bytes) -> None:
        """Tell the other side that something is wrong that doesn't end the association."""
        chunk = ErrorChunk()
        chunk.params.append((cause, value))
        await self._send_chunk(chunk)

    async def send_abort(self, cause: int, value: bytes) -> None:
        """Tell the other side that the association has ended."""
        chunk = AbortChunk()
        chunk.params.append((cause, value))
        await self._send_chunk(chunk)

    def enter_closed(self) -> None:
        """End the association and its channels."""
        self._set_state(self.State.CLOSED)

    def set_up_again(self) -> None:
        """Begin again with the INIT, as the other side says that our cookie is too old."""
        self._t1_cancel()
        self._remote_verification_tag = 0
        self.setup_task = asyncio.ensure_future(self._init())

    def reset_stream(self, stream: int) -> None:
        """Close a stream that has no data channel, as far as it can be. (RFC 8831 section 6.7)."""
        request, waiting = self._reconfig_request, self._reconfig_queue
        requested = request is not None and stream in request.streams
        if requested or len(waiting) >= MOST_RESETS or stream in waiting:
            return
        waiting.append(stream)
        self.setup_task = asyncio.ensure_future(self._transmit_reconfig())

    @property
    def channels(self) -> list[aiortc.RTCDataChannel]:
        """All data channels, those without an id included, which are only to be announced."""
        queued = (channel for channel, _, _ in self._data_channel_queue)
        return list(dict.fromkeys([*self._data_channels.values(), *queued]))

    def repeat_setup(self) -> None:
        """Repeat what sets the association up, if it wasn't answered, and begin to count anew."""
        if self._t1_handle is not None:
            self._t1_handle.cancel()
            self._t1_failures = 0
            _repeat_setup(self)

    # What aiortc calls.

    async def _handle_data(self, data: bytes) -> None:
        try:
            chunk = usual_chunk(self, data)
            if chunk is None:
                await self.handle_packet(data)
                return
            await self._receive_chunk(chunk)
            if self._sack_needed:
                await self._send_sack()
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  told by who acts on it
            await self.handling_failed(error)

    def _receive(self, stream_id: int, pp_id: int, data: bytes) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, and nothing can be wrong with bytes.
        if pp_id == rtcsctptransport.WEBRTC_BINARY:
            return super()._receive(stream_id, pp_id, data)
        return self.receive_message(stream_id, pp_id, data)

    def _send(
        self, stream_id: int, pp_id: int, user_data: bytes, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, as it is called for each message.
        if pp_id == rtcsctptransport.WEBRTC_DCEP:
            return self.send_control(stream_id, user_data)
        if stream_id in self.unconfirmed:
            # "Until the other side has answered, all messages are sent ordered." (RFC 8832
            # section 6)
            kwargs["ordered"] = True
        return super()._send(stream_id, pp_id, user_data, *args, **kwargs)

    async def send_control(self, stream: int, message: bytes) -> None:
        """Send a message of DCEP. A channel that it opens is open. (RFC 8832 section 6)."""
        opens = message[:1] == bytes([rtcsctptransport.DATA_CHANNEL_OPEN])
        if opens:
            self.unconfirmed |= {stream}
        await super()._send(stream, rtcsctptransport.WEBRTC_DCEP, message)
        channel = self.channel_on(stream)
        if opens and channel is not None and channel.readyState == "connecting":
            channel._setReadyState("open")

    def _set_extensions(self, params: list[tuple[int, bytes]]) -> None:
        super()._set_extensions(params)
        params.extend((_UNRECOGNIZED, told) for told in self.unknown_parameters)

    def _send_sack(self) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, as it is called for each packet.
        if not self._sack_misordered and len(self._sack_duplicates) <= BLOCKS:
            return super()._send_sack()
        return self.send_blocks()

    async def send_blocks(self) -> None:
        """Send an acknowledgement with gaps, where aiortc's can be larger than a packet.

        (RFC 9260 section 3.3.4)
        """
        last = self.last_received_tsn
        offsets = sorted((tsn - last) % (1 << 32) for tsn in self._sack_misordered)
        sack = SackChunk()
        sack.cumulative_tsn = last
        sack.advertised_rwnd = max(0, self._advertised_rwnd)
        sack.gaps = _blocks(offsets)[:BLOCKS]
        sack.duplicates = self._sack_duplicates[: BLOCKS - len(sack.gaps)]
        self._sack_duplicates.clear()
        self._sack_needed = False
        await self._send_chunk(sack)

    def _transmit(self) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, as it is called for each packet.
        if len(self._sent_queue) >= MOST_IN_FLIGHT and _enough_in_flight(self):
            return _wait_for_nothing()
        return super()._transmit()

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
        self.confirm(stream_id)
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
        _await_answer(self)

    def _t1_expired(self) -> None:
        if self.can_be_answered():
            self._t1_failures += 1
        if self._t1_failures > rtcsctptransport.SCTP_MAX_INIT_RETRANS:
            self._t1_handle = None
            self.setup_failed()
            self._set_state(self.State.CLOSED)
        else:
            _repeat_setup(self)

    def _reconfig_timer_expired(self) -> None:
        # What is sent again for another reason isn't counted. (RFC 6525 section 5.2.7 H2)
        self._reconfig_in_progress |= not self.can_be_answered()
        super()._reconfig_timer_expired()

    def _set_state(self, state: rtcsctptransport.RTCSctpTransport.State) -> None:
        if state == self.State.CLOSED:
            # aiortc forgets those which have no id yet.
            queued = {channel for channel, _, _ in self._data_channel_queue}
            self._data_channel_queue.clear()
            super()._set_state(state)
            for channel in queued:
                channel._setReadyState("closed")
        else:
            super()._set_state(state)

    def _data_channel_open(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            _refuse(self, channel)
        else:
            # aiortc counts the characters of the names, not the bytes.
            self.opening_message(bytes(12), channel)
            super()._data_channel_open(channel)
            _, protocol, message = self._data_channel_queue.pop()
            self._data_channel_queue.append(
                (channel, protocol, self.opening_message(message, channel))
            )

    def _data_channel_add_negotiated(self, channel: aiortc.RTCDataChannel) -> None:
        if self.state == "closed":
            _refuse(self, channel)
        else:
            super()._data_channel_add_negotiated(channel)


async def _wait_for_nothing() -> None:
    """Send nothing for now; what is acknowledged makes room."""


def _enough_in_flight(sctp: AiortcSctpTransport) -> bool:
    """Say if no more small packets may be under way, and none is to be repeated."""
    sent = sctp._sent_queue
    return (
        sctp._flight_size < MOST_IN_FLIGHT * SMALL
        and sctp._forward_tsn_chunk is None
        and not any(chunk._retransmit for chunk in sent)
        and sum(chunk._in_flight for chunk in sent) >= MOST_IN_FLIGHT
    )


def _blocks(offsets: list[int]) -> list[tuple[int, int]]:
    """Return the blocks of an acknowledgement, given what has come in, in rising order."""
    blocks: list[tuple[int, int]] = []
    for offset in offsets:
        if blocks and offset == blocks[-1][1] + 1:
            blocks[-1] = (blocks[-1][0], offset)
        else:
            blocks.append((offset, offset))
    return blocks


def _repeat_setup(sctp: AiortcSctpTransport) -> None:
    """Send what sets the association up again, and wait for the answer."""
    sctp.setup_task = asyncio.ensure_future(_send_setup(sctp))
    _await_answer(sctp)


def _await_answer(sctp: AiortcSctpTransport) -> None:
    delay = sctp.retry_delay(sctp._t1_failures)
    sctp._t1_handle = asyncio.get_running_loop().call_later(delay, sctp._t1_expired)


async def _send_setup(sctp: AiortcSctpTransport) -> None:
    """Send a chunk of the handshake.

    aiortc repeats an INIT with the tag of the other side, if that has sent its own meanwhile. The
    tag has to be 0, and each other one is ignored. (RFC 9260 section 8.5.1)
    """
    chunk = sctp._t1_chunk
    try:
        if isinstance(chunk, InitChunk):
            assert sctp._remote_port is not None
            packet = serialize_packet(sctp._local_port, sctp._remote_port, 0, chunk)
            await sctp.transport._send_data(packet)
        elif chunk is not None:
            await sctp._send_chunk(chunk)
    except ConnectionError:
        pass  # DTLS has ended, and what runs on it is about to


def _refuse(sctp: AiortcSctpTransport, channel: aiortc.RTCDataChannel) -> None:
    """Close a new data channel in a later turn, when who makes it may have begun to listen."""

    def close() -> None:
        sctp.channel_refused(channel)
        channel._setReadyState("closed")

    asyncio.get_running_loop().call_soon(close)
