"""Sends the fragments of messages by turns, so that no message waits for a large one. (RFC 8260).

It is done if both sides say that they can, each in its INIT. A channel has one message at a time
that is being divided; MessageQueue keeps what is left of it.
"""

import time
from itertools import chain
from typing import Any, Final

import aiortc
from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    SCTP_MAX_PACKET_LENGTH,
    DataChunk,
)

from .acknowledged import Options, Sending
from .interleaved_chunks import (
    DATA_HEADER,
    I_DATA_HEADER,
    MOST_DATA,
    IDataChunk,
    IForwardTsnChunk,
)
from .message_queue import MessageQueue, Remainder
from .names import require
from .outbound import HALF, MODULO, chunk_to_send
from .sending import SendingSctpTransport

__all__ = ["Interleaving", "InterleavingSctpTransport"]

_SCTP = rtcsctptransport.RTCSctpTransport
_TYPES: Final = bytes([IDataChunk.type, IForwardTsnChunk.type])
# How many channels may have begun a large message, all of which the other side has to keep.
MOST_BEGUN: Final = 16
# How many messages of how many bytes a chunk can tell of that are given up.
MOST_SKIPPED: Final = (SCTP_MAX_PACKET_LENGTH - 20) // 8

for _name in (
    "_advanced_peer_ack_tsn",
    "_data_channel_outbound_reset",
    "_data_channels",
    "_forward_tsn_chunk",
    "_forward_tsn_streams",
    "_last_sacked_tsn",
    "_local_tsn",
    "_outbound_queue",
    "_outbound_stream_seq",
    "_remote_extensions",
    "_sent_queue",
):
    require(_SCTP, _name)
for _method in (
    "_data_channel_reset",
    "_flight_size_decrease",
    "_get_extensions",
    "_maybe_abandon",
    "_set_extensions",
):
    require(_SCTP, _method)
for _name in ("_abandoned", "_expiry", "_max_retransmits", "_retransmit", "_sent_count"):
    require(DataChunk, _name)
require(rtcsctptransport, "SCTP_SUPPORTED_CHUNK_EXT")


def _is_to_give_up(chunk: DataChunk) -> bool:
    """Return whether a chunk was sent as often as it may be, or is too old."""
    most, expiry = chunk._max_retransmits, chunk._expiry
    return (most is not None and chunk._sent_count > most) or (
        expiry is not None and expiry < time.time()
    )


class Interleaving(Sending):
    """The messages that are sent by turns.

    Attributes:
        offers_interleaving: Whether the other side is told that it may be done.
        unordered_numbers: The MID of the next unordered message of each stream.
    """

    offers_interleaving = True
    unordered_numbers: dict[int, int]

    def take_extensions(self, extensions: list[int]) -> None:
        """Interleave messages if the other side can.

        Raises:
            ValueError: It can, but has said otherwise before, or the other way round.
        """
        sctp = self.viewed
        both = self.offers_interleaving and set(_TYPES) <= set(extensions)
        if both != self.interleaves and (sctp._sent_queue or sctp._outbound_queue):
            raise ValueError("the INIT of the other side has other extensions than that before")
        self.interleaves = both
        self.header = I_DATA_HEADER if both else DATA_HEADER

    def queue_message(self, stream: int, protocol: int, content: Any, options: Options) -> int:
        """Divide a message, or the next part of one, into chunks; return how many bytes that is."""
        if not self.interleaves:
            return super().queue_message(stream, protocol, content, options)
        channel, most = options.get("channel"), options.get("most")
        if type(content) is Remainder:
            return self.queue_fragments(content, most)
        if not content:
            return 0  # as aiortc, which makes no chunk of nothing
        sctp, queue = self.viewed, self.viewed._data_channel_queue
        if channel is not None and len(content) > MOST_DATA and queue.begun >= MOST_BEGUN:
            # Others come first.
            queue.put_back((channel, protocol, content))
            return 0
        ordered, expiry = options.get("ordered", True), options.get("expiry")
        numbers = sctp._outbound_stream_seq if ordered else self.unordered_numbers
        number = numbers.get(stream, 0)
        numbers[stream] = (number + 1) % MODULO
        flags = 0 if ordered else SCTP_DATA_UNORDERED
        fields = {
            "stream_id": stream,
            "stream_seq": number,
            "channel": channel,
            "_expiry": expiry,
            "_max_retransmits": options.get("max_retransmits"),
        }
        if len(content) <= MOST_DATA:
            chunk = chunk_to_send(
                IDataChunk,
                flags=flags | SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG,
                tsn=sctp._local_tsn,
                protocol=protocol,
                user_data=content,
                _book_size=len(content),
                **fields,
            )
            self.queue_chunk(chunk)
            return len(content)
        return self.queue_fragments(Remainder(content, protocol, fields, flags, expiry), most)

    def queue_fragments(self, message: Remainder, most: int | None) -> int:
        """Queue the next fragments of a message; put the rest of it back."""
        channel, queued = message.fields["channel"], 0
        while True:
            queued += self.queue_fragment(message)
            if not message:
                return queued
            if most is not None and queued >= most and channel is not None:
                self.viewed._data_channel_queue.put_back((channel, message.protocol, message))
                return queued

    def queue_fragment(self, message: Remainder) -> int:
        """Queue the next fragment; return how many bytes that is."""
        start, flags = message.position, message.flags
        part = message.content[start : start + MOST_DATA]
        message.position += len(part)
        chunk = chunk_to_send(
            IDataChunk,
            flags=flags
            | (0 if start else SCTP_DATA_FIRST_FRAG)
            | (0 if message else SCTP_DATA_LAST_FRAG),
            tsn=self.viewed._local_tsn,
            protocol=message.fragment or message.protocol,
            user_data=part,
            _book_size=len(part),
            **message.fields,
        )
        message.fragment += 1
        self.queue_chunk(chunk)
        return len(part)

    def queue_chunk(self, chunk: Any) -> None:
        """Queue a chunk with the next TSN."""
        sctp = self.viewed
        sctp._outbound_queue.append(chunk)
        sctp._local_tsn = (chunk.tsn + 1) % MODULO

    def give_up(self, fields: dict[str, Any]) -> None:
        """Give up a message, given the fields of one of its chunks."""
        sctp = self.viewed
        stream, number = fields["stream_id"], fields["stream_seq"]
        unordered = fields["flags"] & SCTP_DATA_UNORDERED
        for chunk in chain(sctp._sent_queue, sctp._outbound_queue):
            same = chunk.stream_id == stream and chunk.stream_seq == number
            if same and chunk.flags & SCTP_DATA_UNORDERED == unordered:
                chunk._abandoned, chunk._retransmit = True, False
                sctp._flight_size_decrease(chunk)
        self.drop_remainder(stream, number, unordered)

    def drop_remainder(self, stream: int, number: int, unordered: int) -> None:
        """Drop what is left of a message, whose end is told by a TSN that isn't sent."""
        sctp = self.viewed
        queue: MessageQueue = sctp._data_channel_queue
        channel = sctp._data_channels.get(stream)
        left = queue.first_of(channel)
        if not isinstance(left, Remainder) or left.flags != unordered:
            return
        if left.fields["stream_seq"] == number:
            assert channel is not None
            queue.drop_head(channel)
            self.sent_bytes[channel] = self.sent_bytes.get(channel, 0) + len(left)
            chunk = chunk_to_send(
                IDataChunk,
                flags=unordered | SCTP_DATA_LAST_FRAG,
                tsn=sctp._local_tsn,
                protocol=left.fragment,
                user_data=b"",
                _book_size=0,
                **{**left.fields, "channel": None},
            )
            chunk._abandoned = True
            self.queue_chunk(chunk)

    def tell_given_up(self) -> None:
        """Tell the other side of messages that are given up, as far as TSNs go. (RFC 3758)."""
        sctp = self.viewed
        sent, unsent, last = sctp._sent_queue, sctp._outbound_queue, sctp._last_sacked_tsn
        skipped: dict[tuple[int, bool], tuple[int, int]] = sctp._forward_tsn_streams
        if 0 < (last - sctp._advanced_peer_ack_tsn) % MODULO < HALF:
            sctp._advanced_peer_ack_tsn = last
        while unsent and unsent[0]._abandoned:
            sent.append(unsent.popleft())
        while sent and sent[0]._abandoned:
            chunk = sent.popleft()
            sctp._advanced_peer_ack_tsn = chunk.tsn
            kind = chunk.stream_id, bool(chunk.flags & SCTP_DATA_UNORDERED)
            skipped.pop(kind, None)  # so that the latest comes last
            skipped[kind] = chunk.stream_seq, chunk.tsn
        for kind in [k for k, (_, tsn) in skipped.items() if 0 <= (last - tsn) % MODULO < HALF]:
            del skipped[kind]
        if 0 < (sctp._advanced_peer_ack_tsn - last) % MODULO < HALF:
            told = list(skipped.items())
            chunk = sctp._forward_tsn_chunk = IForwardTsnChunk()
            chunk.messages = [(*kind, number) for kind, (number, _) in told[:MOST_SKIPPED]]
            chunk.cumulative_tsn = sctp._advanced_peer_ack_tsn
            if len(told) > MOST_SKIPPED:
                # "If the chunk doesn't fit, the TSN is lowered." (RFC 3758 section 3.5, C4)
                chunk.cumulative_tsn = told[MOST_SKIPPED - 1][1][1]


class InterleavingSctpTransport(SendingSctpTransport):
    """aiortc's SCTP transport, which interleaves messages if the other side can."""

    _core: Interleaving

    def __init__(self, transport: aiortc.RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self._core.unordered_numbers = {}

    def _set_extensions(self, params: list[tuple[int, bytes]]) -> None:
        super()._set_extensions(params)
        if self._core.offers_interleaving:
            kinds = rtcsctptransport.SCTP_SUPPORTED_CHUNK_EXT
            params[:] = [(kind, v + _TYPES if kind == kinds else v) for kind, v in params]

    def _get_extensions(self, params: list[tuple[int, bytes]]) -> None:
        self._remote_extensions = []
        super()._get_extensions(params)
        self._core.take_extensions(self._remote_extensions)
        # aiortc's are left.
        self._remote_extensions = [kind for kind in self._remote_extensions if kind not in _TYPES]

    def _maybe_abandon(self, chunk: DataChunk) -> bool:
        if not self._core.interleaves:
            return super()._maybe_abandon(chunk)
        if not chunk._abandoned and _is_to_give_up(chunk):
            self._core.give_up(vars(chunk))
        return chunk._abandoned

    def _data_channel_reset(self, stream_id: int) -> None:
        if stream_id in self._data_channel_outbound_reset:
            self._core.unordered_numbers.pop(stream_id, None)
        super()._data_channel_reset(stream_id)
