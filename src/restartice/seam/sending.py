"""Sends the messages of data channels: which ones are next, and in which packets."""

import asyncio
import logging
import time
from collections import defaultdict
from typing import Any, Final

import aiortc
from aiortc import rtcdatachannel, rtcsctptransport
from aiortc.exceptions import OperationError
from aiortc.rtcsctptransport import (
    USERDATA_MAX_LENGTH,
    Chunk,
    SackChunk,
    serialize_packet,
)

from .acknowledged import AcknowledgedSctpTransport, Sending, take_acknowledgement
from .message_queue import MessageQueue, Queued, Remainder, amount, content_of
from .names import require
from .outbound import HALF, IMMEDIATELY, MODULO, OutboundChunk, Packets

__all__ = ["SendingSctpTransport", "next_stream", "number_channels", "put", "register_channel"]

_logger = logging.getLogger(rtcsctptransport.__name__)
_SCTP = rtcsctptransport.RTCSctpTransport
_ESTABLISHED = rtcsctptransport.RTCSctpTransport.State.ESTABLISHED
# How many packets may be in flight as long as they are small, and below how many bytes one is. The
# congestion window counts the bytes of messages, but the buffer of a socket, of 208 KiB unless told
# otherwise, counts 768 for the smallest packet on Linux. What doesn't fit is lost.
MOST_IN_FLIGHT: Final = 256
SMALL: Final = 512
# The largest id of a data channel. (RFC 8832 section 6)
LAST_STREAM: Final = 65534
# How many bytes of a message are divided at once, which go ahead of what other channels send later.
ALONE: Final = 1 << 14
# With how many chunks that wait to be sent no more messages are divided.
MOST_DIVIDED: Final = 64

for _name in (
    "_association_state",
    "_cwnd",
    "_data_channel_id",
    "_data_channel_inbound_reset",
    "_data_channel_queue",
    "_data_channels",
    "_fast_recovery_exit",
    "_fast_recovery_transmit",
    "_flight_size",
    "_forward_tsn_chunk",
    "_forward_tsn_streams",
    "_last_sacked_tsn",
    "_local_port",
    "_local_tsn",
    "_outbound_queue",
    "_outbound_stream_seq",
    "_reconfig_queue",
    "_reconfig_request",
    "_remote_max_message_size",
    "_remote_port",
    "_remote_verification_tag",
    "_sent_queue",
    "_t3_handle",
):
    require(_SCTP, _name)
for _method in (
    "_data_channel_close",
    "_data_channel_flush",
    "_data_channel_send",
    "_flight_size_decrease",
    "_receive_sack_chunk",
    "_send",
    "_send_chunk",
    "_t3_restart",
    "_t3_start",
    "_transmit",
    "_transmit_reconfig",
    "_update_advanced_peer_ack_point",
):
    require(_SCTP, _method)
for _name in ("_addBufferedAmount", "_setId"):
    require(rtcdatachannel.RTCDataChannel, _name)


class SendingSctpTransport(AcknowledgedSctpTransport):
    """aiortc's SCTP transport, which sends with less work, and several chunks in a packet."""

    _core: Sending

    def __init__(self, transport: aiortc.RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self._core.sent_bytes, self._core.opened = {}, []
        self._core.counts = defaultdict(lambda: [0, 0, 0, 0])
        self._data_channel_queue = MessageQueue()

    def _data_channel_send(self, channel: aiortc.RTCDataChannel, data: bytes | str) -> None:
        protocol, content = content_of(data)
        most = self._remote_max_message_size
        if most and len(content) > most:
            raise ValueError(
                f"Cannot send message of {len(content)} bytes, the remote party only supports "
                f"messages up to {most} bytes"
            )
        channel._addBufferedAmount(amount(protocol, content))
        self._data_channel_queue.append((channel, protocol, content))
        _flush_soon(self)

    async def _data_channel_flush(self) -> None:
        while _fill(self):
            await self._transmit()
        # A stream reset may have been waiting for these messages.
        if self._reconfig_queue:
            await self._transmit_reconfig()

    async def _transmit_reconfig(self) -> None:
        # Some stacks drop what is under way when a stream is reset, so its data arrives before.
        under_way = _streams_under_way(self)
        if under_way.isdisjoint(self._reconfig_queue):
            await super()._transmit_reconfig()
            return
        waiting = [stream for stream in self._reconfig_queue if stream in under_way]
        self._reconfig_queue = [s for s in self._reconfig_queue if s not in under_way]
        try:
            await super()._transmit_reconfig()
        finally:
            self._reconfig_queue += waiting

    def _data_channel_close(self, channel: aiortc.RTCDataChannel) -> None:
        by_peer = channel.id in self._data_channel_inbound_reset and channel.readyState == "open"
        super()._data_channel_close(channel)
        if len(self._reconfig_queue) > 1:
            # aiortc takes it that one is about to be sent.
            _flush_soon(self)
        if by_peer:
            # Fire an event named `closing` at channel, if close() didn't initiate the procedure.
            channel.emit("closing")
        if not isinstance(self._data_channel_queue, MessageQueue):
            self._data_channel_queue = MessageQueue(self._data_channel_queue)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        if (chunk.cumulative_tsn - self._last_sacked_tsn) % MODULO >= HALF:
            return
        take_acknowledgement(self, chunk)
        self._update_advanced_peer_ack_point()
        _fill(self)
        if self._outbound_queue or self._core.repeating or self._forward_tsn_chunk is not None:
            await self._transmit()
        else:
            self._core.tell_sent()
            self._core.watch_tail()
        if self._reconfig_queue or (not self._outbound_queue and self._data_channel_queue):
            await self._data_channel_flush()

    async def _send(  # type: ignore[override]  # the others by their names
        self, stream_id: int, pp_id: int, user_data: bytes, **kwargs: Any
    ) -> None:
        self._core.queue_message(stream_id, pp_id, user_data, kwargs)
        await self._transmit()

    async def _send_chunk(self, chunk: Chunk) -> None:
        # Timers send, too, in tasks that nothing waits for.
        try:
            if _logger.isEnabledFor(logging.DEBUG):
                await super()._send_chunk(chunk)
                return
            ports, tag = (self._local_port, self._remote_port), self._remote_verification_tag
            packet = serialize_packet(*ports, tag, chunk)  # type: ignore[arg-type]
            await self.transport._send_data(packet)
        except ConnectionError:
            pass  # DTLS has ended, and what runs on it is about to

    async def _transmit(self) -> None:
        # All is decided before anything is sent, during which other tasks may run.
        packets = _packets_to_send(self)
        self._core.tell_sent()
        for packet in packets:
            await self._send_chunk(packet)
        self._core.watch_tail()


def _streams_under_way(sctp: SendingSctpTransport) -> set[int | None]:
    """Return the streams with data that waits or isn't acknowledged, if any is to be reset."""
    if not sctp._reconfig_queue or sctp._reconfig_request:
        return set()
    streams = {channel.id for channel in sctp._data_channel_queue.waiting}
    for chunks in (sctp._sent_queue, sctp._outbound_queue):
        streams.update(chunk.stream_id for chunk in chunks if not chunk._acked)
    return streams


def _flush_soon(sctp: SendingSctpTransport) -> None:
    """Flush in a later turn, once for all that is sent in this one."""
    core = sctp._core
    core.flush_again = True
    if core.flushing is None or core.flushing.done():
        core.flushing = asyncio.ensure_future(_flush(sctp))


async def _flush(sctp: SendingSctpTransport) -> None:
    """Flush for as long as there is something new."""
    core = sctp._core
    while core.flush_again:
        core.flush_again = False
        await sctp._data_channel_flush()


def _fill(sctp: SendingSctpTransport) -> bool:
    """Divide messages into chunks, as many as can be sent now, and one; return if it did."""
    core, queue, unsent = sctp._core, sctp._data_channel_queue, sctp._outbound_queue
    if not queue.waiting or sctp._association_state is not _ESTABLISHED:
        return False
    core.drop_expired()
    before = len(unsent)
    if before > MOST_DIVIDED:
        return False
    room = _limit(sctp) - sctp._flight_size + USERDATA_MAX_LENGTH
    for chunk in unsent:
        room -= chunk._book_size
    while room > 0 and queue.waiting:
        channel, protocol, content = queue.popleft()
        if (stream := channel.id) is None:
            stream = register_channel(sctp, channel)
        if protocol == rtcsctptransport.WEBRTC_DCEP:
            room -= core.queue_control(stream, content)
        else:
            alone = len(queue.waiting) <= (channel in queue.waiting)
            most = max(room, ALONE) if alone else 1
            room -= _queue(sctp, stream, (channel, protocol, content), most)
    return len(unsent) > before


def _queue(sctp: SendingSctpTransport, stream: int, message: Queued, most: int) -> int:
    """Divide a message, or so many bytes of it; return how many that were."""
    channel, protocol, content = message
    size, lifetime = amount(protocol, content), channel.maxPacketLifeTime
    options = {
        "expiry": time.time() + lifetime / 1000 if lifetime else None,
        "max_retransmits": channel.maxRetransmits,
        # "Until the other side has answered, all messages are sent ordered." (RFC 8832 section 6)
        "ordered": channel.ordered or stream in sctp._core.unconfirmed,
        "channel": channel if size else None,
        "most": most,
    }
    queued = sctp._core.queue_message(stream, protocol, content, options)
    if queued and type(content) is not Remainder:
        counts = sctp._core.counts[stream]
        counts[0] += 1
        counts[1] += size
    return queued


def number_channels(sctp: SendingSctpTransport) -> None:
    """Give the channels without a stream one each, as the DTLS role is known by now.

    The server has the odd ones. (RFC 8832 section 6)
    """
    sctp._data_channel_id = int(sctp.is_server)
    for channel in list(sctp._data_channel_queue.waiting):
        if channel.id is None:
            register_channel(sctp, channel)


def next_stream(sctp: SendingSctpTransport) -> int:
    """Return the next free stream for a channel of ours.

    Raises:
        OperationError: There is none left.
    """
    stream = sctp._data_channel_id
    assert stream is not None
    while stream in sctp._data_channels:
        stream += 2
    if stream > LAST_STREAM:
        raise OperationError("all ids of data channels are in use")
    return stream


def register_channel(sctp: SendingSctpTransport, channel: aiortc.RTCDataChannel) -> int:
    """Give a channel the next stream, and return that."""
    stream = next_stream(sctp)
    sctp._data_channels[stream] = channel
    channel._setId(stream)
    return stream


def _limit(sctp: SendingSctpTransport) -> int:
    """Return how many bytes may be in flight when this turn ends. (RFC 9260 section 6.1, D).

    If the other side takes none, one packet finds out when it does again. (A)
    """
    burst = (2 if sctp._fast_recovery_exit is not None else 4) * USERDATA_MAX_LENGTH
    return max(1, min(sctp._flight_size + burst, sctp._cwnd, sctp._core.peer_window))


def _packets_to_send(sctp: SendingSctpTransport) -> list[Chunk]:
    """Return what is sent now, each in a packet of its own."""
    first: list[Chunk] = []
    if sctp._forward_tsn_chunk is not None:
        first.append(sctp._forward_tsn_chunk)
        sctp._forward_tsn_chunk = None
        if sctp._t3_handle is None:
            sctp._t3_start()
    if not sctp._outbound_queue and not sctp._core.repeating:
        return first
    packets, limit = Packets(sctp._core.header), _limit(sctp)
    if not sctp._core.repeating or _repeat(sctp, packets, limit):
        _send_new(sctp, packets, limit)
    return first + packets.finish()


def _repeat(sctp: SendingSctpTransport, packets: Packets, limit: int) -> bool:
    """Repeat what was lost; return whether that is all, so that more can be sent."""
    now = time.monotonic()
    for chunk in sctp._sent_queue:
        if not chunk._retransmit:
            continue
        if sctp._fast_recovery_transmit:
            sctp._fast_recovery_transmit = False
        elif sctp._flight_size >= limit and not packets.has_room(chunk):
            return False
        chunk._misses = 0
        chunk._retransmit = False
        put(sctp, packets, chunk, now)
        if chunk is sctp._sent_queue[0]:
            # The earliest one is sent again.
            sctp._t3_restart()
    sctp._core.repeating = False
    return True


def _send_new(sctp: SendingSctpTransport, packets: Packets, limit: int) -> None:
    """Send what was never sent."""
    core, sent, unsent = sctp._core, sctp._sent_queue, sctp._outbound_queue
    now = time.monotonic()
    while unsent:
        chunk = unsent[0]
        if chunk._abandoned:
            sent.append(unsent.popleft())
            core.note_sent(chunk)
            continue
        # A packet that has begun is filled: it may exceed the window. (RFC 9260 section 6.1, B)
        if not packets.has_room(chunk) and (
            sctp._flight_size >= limit
            or (core.packets >= MOST_IN_FLIGHT and sctp._flight_size < MOST_IN_FLIGHT * SMALL)
        ):
            break
        sent.append(unsent.popleft())
        put(sctp, packets, chunk, now)
        chunk._sent_time = now
        if chunk.channel is not None:
            core.note_sent(chunk)
        elif chunk.opens:
            core.opened.append(chunk.stream_id)
    if sent and sctp._t3_handle is None:
        sctp._t3_start()
    if sent and not unsent and not sctp._data_channel_queue.waiting:
        # Nothing follows for now that would let the other side acknowledge it.
        sent[-1].flags |= IMMEDIATELY


def put(sctp: SendingSctpTransport, packets: Packets, chunk: OutboundChunk, now: float) -> None:
    """Put a chunk into a packet, so that it is in flight."""
    core = sctp._core
    if chunk._in_flight:
        sctp._flight_size_decrease(chunk)
    chunk.leads = int(packets.add(chunk))
    core.sequence += chunk.leads
    core.packets += chunk.leads
    sctp._flight_size += chunk._book_size
    chunk._in_flight = True
    chunk._sent_count += 1
    chunk.order, chunk.sent_at = core.sequence, now
