"""Handles SCTP acknowledgements: which chunks have arrived, which are lost, and the window."""

import asyncio
import time
from collections import defaultdict, deque
from itertools import islice
from typing import Any, Final

import aiortc
from aiortc import rtcdatachannel, rtcsctptransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    USERDATA_MAX_LENGTH,
    DataChunk,
    SackChunk,
)

from .interleaved_chunks import DATA_HEADER
from .message_queue import MessageQueue
from .names import require
from .outbound import HALF, MODULO, OutboundChunk, chunk_to_send

__all__ = ["THRESHOLD", "AcknowledgedSctpTransport", "Options", "Sending", "take_acknowledgement"]

_SCTP = rtcsctptransport.RTCSctpTransport
# The end of slow start, which aiortc assigns when the association is set up.
THRESHOLD: Final = "_ssthresh"
# After how many acknowledgements that report it missing a chunk counts as lost. (RFC 9260
# section 7.2.4)
MISSES: Final = 3
# How many seconds, at least, a later packet may arrive before an earlier one.
REORDERING: Final = 0.02

# Which part of the congestion window is left after a loss, at least, and at most.
LEAST_KEPT: Final = 0.5
MOST_KEPT: Final = 0.9

for _name in (
    "_advanced_peer_ack_tsn",
    "_cwnd",
    "_data_channel_queue",
    "_fast_recovery_exit",
    "_fast_recovery_transmit",
    "_flight_size",
    "_forward_tsn_chunk",
    "_forward_tsn_streams",
    "_last_sacked_tsn",
    "_outbound_queue",
    "_partial_bytes_acked",
    "_reconfig_queue",
    "_sent_queue",
    "_srtt",
):
    require(_SCTP, _name)
for _method in (
    "_flight_size_decrease",
    "_maybe_abandon",
    "_t3_cancel",
    "_t3_expired",
    "_t3_restart",
    "_transmit",
    "_update_advanced_peer_ack_point",
    "_update_rto",
):
    require(_SCTP, _method)
require(rtcdatachannel.RTCDataChannel, "_addBufferedAmount")


# How a message is sent, by the names of the parameters of aiortc's _send(); also its channel, if
# bytes of it count as buffered, and how many bytes to divide at most, which a subclass may do.
Options = dict[str, Any]


class Sending:
    """The state of the sending side of an SCTP transport.

    Attributes:
        packets: How many packets are in flight.
        repeating: Whether some chunks may be marked to be sent again.
        premature: Whether a chunk marked to be sent again was acknowledged before that.
        interleaves: Whether chunks are those of RFC 8260.
        header: The size in bytes of the header of a chunk of data.
    """

    viewed: Any  # the transport, which a subclass declares
    packets = 0
    repeating = False
    premature = False
    interleaves = False
    header = DATA_HEADER
    # The shortest round trip on this path, in seconds; 0 before the first measurement.
    shortest_round_trip = 0.0
    # When the timeout was last adapted to a round trip, by time.monotonic().
    measured_at = 0.0
    # The last round trip, in seconds, and the shortest of the last few.
    latest = 0.0
    recent = 0.0
    # How many bytes in flight the other side takes, as it said last.
    peer_window = 1 << 20
    # The task that takes messages from the queue of the channels, and whether it must run again.
    flushing: asyncio.Task[None] | None = None
    flush_again = False
    # The number of packets made so far; a chunk keeps the number of its packet in `order`.
    sequence = 0
    # The bytes sent or given up, by channel, that are not yet subtracted from its bufferedAmount.
    sent_bytes: dict[aiortc.RTCDataChannel, int]
    # The streams of channels that the other side hasn't said yet that it has opened.
    unconfirmed: frozenset[int]
    # The streams whose channels are to be opened.
    opened: list[int]
    # By stream, the messages and bytes that were sent on it, and those that were received.
    counts: defaultdict[int, list[int]]

    def queue_message(self, stream: int, protocol: int, content: Any, options: Options) -> int:
        """Divide a message into chunks; return the number of its bytes."""
        sctp, ordered = self.viewed, options.get("ordered", True)
        sequence = sctp._outbound_stream_seq.get(stream, 0) if ordered else 0
        flags = SCTP_DATA_FIRST_FRAG | (0 if ordered else SCTP_DATA_UNORDERED)
        tsn, size = sctp._local_tsn, len(content)
        for start in range(0, size, USERDATA_MAX_LENGTH):
            end = start + USERDATA_MAX_LENGTH
            if end >= size:
                flags |= SCTP_DATA_LAST_FRAG
            part = content[start:end] if size > USERDATA_MAX_LENGTH else content
            chunk = chunk_to_send(
                DataChunk,
                flags=flags,
                tsn=tsn,
                stream_id=stream,
                stream_seq=sequence,
                protocol=protocol,
                user_data=part,
                channel=options.get("channel"),
                _book_size=len(part),
                _expiry=options.get("expiry"),
                _max_retransmits=options.get("max_retransmits"),
            )
            sctp._outbound_queue.append(chunk)
            flags &= ~SCTP_DATA_FIRST_FRAG
            tsn = (tsn + 1) % MODULO
        sctp._local_tsn = tsn
        if ordered:
            sctp._outbound_stream_seq[stream] = (sequence + 1) & 0xFFFF
        return size

    def take_window(self, sack: SackChunk) -> None:
        """Note how many bytes the other side takes, unless it has acknowledged more already."""
        if (sack.cumulative_tsn - self.viewed._last_sacked_tsn) % MODULO < HALF:
            self.peer_window = sack.advertised_rwnd

    def take_progress(self) -> None:
        """Note that chunks were acknowledged."""

    def watch_tail(self) -> None:
        """Note that chunks were sent or acknowledged."""

    def note_sent(self, chunk: OutboundChunk) -> None:
        """Note that the bytes of a chunk no longer count as buffered."""
        channel = chunk.channel
        if channel is not None:
            chunk.channel = None
            self.sent_bytes[channel] = self.sent_bytes.get(channel, 0) + chunk._book_size

    def queue_control(self, stream: int, message: bytes) -> int:
        """Queue a message of DCEP; return the number of its bytes."""
        raise NotImplementedError

    def open_channel(self, stream: int) -> None:
        """Let the channel of a stream be open."""
        raise NotImplementedError

    def drop_expired(self) -> None:
        """Drop messages that wait and have expired."""

    def tell_given_up(self) -> None:
        """Tell the other side of messages that are given up, if it takes what is interleaved."""
        raise NotImplementedError

    def tell_sent(self) -> None:
        """Open channels, and reduce their `bufferedAmount`. Listeners may send more."""
        while self.opened:
            self.open_channel(self.opened.pop(0))
        while self.sent_bytes:
            channel, size = self.sent_bytes.popitem()
            channel._addBufferedAmount(-size)


class AcknowledgedSctpTransport(rtcsctptransport.RTCSctpTransport):
    """aiortc's SCTP transport, which searches the chunks in flight only after a loss."""

    _core: Sending
    # These have more attributes than in aiortc, or another type.
    _data_channel_queue: MessageQueue  # type: ignore[assignment]
    _outbound_queue: deque[OutboundChunk]  # type: ignore[assignment]
    _sent_queue: deque[OutboundChunk]  # type: ignore[assignment]

    def _flight_size_decrease(self, chunk: OutboundChunk) -> None:  # type: ignore[override]
        if chunk._in_flight:
            chunk._in_flight = False
            self._flight_size -= chunk._book_size
            self._core.packets -= chunk.leads

    def _t3_expired(self) -> None:
        self._core.repeating = True
        super()._t3_expired()

    def _update_advanced_peer_ack_point(self) -> None:
        sent, unsent = self._sent_queue, self._outbound_queue
        for chunk in unsent:
            if not chunk._abandoned:
                break
            self._core.note_sent(chunk)
        ahead = (self._advanced_peer_ack_tsn - self._last_sacked_tsn) % MODULO
        if (
            (0 < ahead < HALF)
            or self._forward_tsn_streams
            or (unsent and unsent[0]._abandoned)
            or (sent and sent[0]._abandoned)
        ):
            if self._core.interleaves:
                self._core.tell_given_up()
            else:
                super()._update_advanced_peer_ack_point()
        else:
            self._advanced_peer_ack_tsn = self._last_sacked_tsn


def take_acknowledgement(sctp: AcknowledgedSctpTransport, sack: SackChunk) -> None:
    """Forget acknowledged chunks, find lost ones, and adjust the congestion window."""
    sctp._last_sacked_tsn = sack.cumulative_tsn
    was_full = sctp._flight_size >= sctp._cwnd
    done, done_bytes, newest = _forget_acknowledged(sctp)
    if done:
        sctp._core.take_progress()
    lost = False
    if sack.gaps:
        gap_bytes, newest = _note_gaps(sctp, sack, newest)
        done_bytes += gap_bytes
        lost = _find_lost(sctp, newest)
    _adjust_window(sctp, done_bytes if done and was_full else 0, lost=lost)
    if not sctp._sent_queue:
        sctp._t3_cancel()
    elif done:
        # The earliest outstanding chunk was acknowledged.
        sctp._t3_restart()


def _forget_acknowledged(sctp: AcknowledgedSctpTransport) -> tuple[int, int, OutboundChunk | None]:
    """Forget the chunks up to the cumulative TSN.

    Returns:
        The number of these chunks, their bytes that weren't acknowledged before, and the one of
        them that was sent last.
    """
    sent, core = sctp._sent_queue, sctp._core
    count = size = 0
    newest = None
    acknowledged = sctp._last_sacked_tsn
    while sent and (acknowledged - sent[0].tsn) % MODULO < HALF:
        chunk = sent.popleft()
        count += 1
        if not chunk._acked:
            size += chunk._book_size
            if newest is None or chunk.order >= newest.order:
                newest = chunk
        if chunk._retransmit:
            core.premature = True
        if chunk._in_flight:
            chunk._in_flight = False
            sctp._flight_size -= chunk._book_size
            core.packets -= chunk.leads
    if newest is not None and newest._sent_count == 1:
        now = time.monotonic()
        round_trip = now - newest.sent_at
        core.shortest_round_trip = min(round_trip, core.shortest_round_trip or round_trip)
        core.latest = round_trip
        before = core.recent or round_trip
        core.recent = min(round_trip, before + (round_trip - before) / 16)
        if newest.sent_at >= core.measured_at:
            # Once for each round trip. (RFC 9260 section 6.3.1, C4)
            core.measured_at = now
            sctp._update_rto(round_trip)
    return count, size, newest


def _note_gaps(
    sctp: AcknowledgedSctpTransport, sack: SackChunk, newest: OutboundChunk | None
) -> tuple[int, OutboundChunk | None]:
    """Note the chunks acknowledged behind a gap.

    Returns:
        Their bytes that weren't acknowledged before, and the newly acknowledged chunk that was
        sent last.
    """
    size, sent = 0, sctp._sent_queue
    base = (sent[0].tsn - sack.cumulative_tsn) % MODULO if sent else 0
    for first, last in sack.gaps:
        for chunk in islice(sent, max(0, first - base), max(0, last - base + 1)):
            if not chunk._acked:
                chunk._acked = True
                size += chunk._book_size
                if newest is None or chunk.order >= newest.order:
                    newest = chunk
            if chunk._retransmit:
                chunk._retransmit = False
            sctp._flight_size_decrease(chunk)
    return size, newest


def _find_lost(sctp: AcknowledgedSctpTransport, newest: OutboundChunk | None) -> bool:
    """Mark the lost chunks; return whether there are any.

    A chunk is lost if enough acknowledgements report it missing, or if a chunk that was sent long
    enough after it was acknowledged. Chunks sent later than the newest acknowledged one, also
    repeated ones, aren't judged.
    """
    lost = False
    if newest is None:
        return lost
    overtaken_since = _overtaken_since(sctp, newest)
    for chunk in sctp._sent_queue:
        if chunk._acked or chunk._abandoned or not chunk._in_flight:
            continue
        if chunk.order >= newest.order:
            if chunk._sent_count == 1:
                break
            continue
        chunk._misses += 1
        if chunk._misses >= MISSES or chunk.sent_at < overtaken_since:
            chunk._misses = 0
            if not sctp._maybe_abandon(chunk):
                chunk._retransmit = True
                sctp._core.repeating = True
            sctp._flight_size_decrease(chunk)
            lost = True
    return lost


def _overtaken_since(sctp: AcknowledgedSctpTransport, newest: OutboundChunk) -> float:
    """Return a time: a chunk in flight that was sent before it is lost, not late. (RFC 8985)."""
    age = time.monotonic() - newest.sent_at
    if newest._sent_count > 1 and age < sctp._core.shortest_round_trip / 2:
        return 0.0  # the first transmission was acknowledged, not the repetition
    # Less than recovering.py waits before it repeats the last packet.
    return newest.sent_at - max(REORDERING, min(sctp._srtt or 0.0, sctp._core.latest) / 4)


def _kept(core: Sending) -> float:
    """Return which part of the window is left after a loss: what is under way, but in no queue.

    The window divided by the last round trips is the rate of the path, as in TCP Westwood. While
    nothing waits on the path, a loss isn't due to congestion.
    """
    return max(LEAST_KEPT, min(MOST_KEPT, core.shortest_round_trip / (core.recent or 1.0)))


def _adjust_window(sctp: AcknowledgedSctpTransport, done_bytes: int, *, lost: bool) -> None:
    """Adjust the congestion window. (RFC 9260 section 7.2)."""
    if sctp._fast_recovery_exit is not None:
        if (sctp._last_sacked_tsn - sctp._fast_recovery_exit) % MODULO < HALF:
            sctp._fast_recovery_exit = None
        return
    if done_bytes:
        if sctp._cwnd <= vars(sctp)[THRESHOLD]:
            sctp._cwnd += min(done_bytes, USERDATA_MAX_LENGTH)
        else:
            sctp._partial_bytes_acked += done_bytes
            if sctp._partial_bytes_acked >= sctp._cwnd:
                sctp._partial_bytes_acked -= sctp._cwnd
                sctp._cwnd += USERDATA_MAX_LENGTH
    if lost:
        sctp._cwnd = max(int(sctp._cwnd * _kept(sctp._core)), 4 * USERDATA_MAX_LENGTH)
        vars(sctp)[THRESHOLD] = sctp._cwnd
        sctp._partial_bytes_acked = 0
        sctp._fast_recovery_exit = sctp._sent_queue[-1].tsn
        sctp._fast_recovery_transmit = True
