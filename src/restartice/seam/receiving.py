"""Receives the messages of data channels, and acknowledges every second packet."""

import asyncio
from collections import defaultdict
from typing import Any, Final

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    DataChunk,
    ForwardTsnChunk,
    SackChunk,
)

from .interleaved_chunks import IForwardTsnChunk
from .interleaved_messages import InterleavedMessages
from .names import require
from .outbound import HALF, IMMEDIATELY, MODULO
from .reading import OVERHEAD, Reading
from .reassembly import InboundMessages

__all__ = ["BLOCKS", "Receiving", "ReceivingSctpTransport", "receive_data"]

_SCTP = rtcsctptransport.RTCSctpTransport
# How many blocks an acknowledgement, and how many streams a FORWARD TSN, can have in a packet, in
# which aiortc's may not fit. (RFC 9260 section 3.3.4)
BLOCKS: Final = (rtcsctptransport.SCTP_MAX_PACKET_LENGTH - 28) // 4
_WHOLE: Final = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
# After how many packets an acknowledgement is sent, and for how many seconds one packet may wait
# for it, of the 0.5 that the RFC allows. (RFC 9260 section 6.2)
PACKETS: Final = 2
LONGEST_DELAY: Final = 0.02
# The protocols of empty messages, which have a byte. (RFC 8831 section 6.6)
EMPTY: Final = frozenset(
    {rtcsctptransport.WEBRTC_STRING_EMPTY, rtcsctptransport.WEBRTC_BINARY_EMPTY}
)

for _name in (
    "_advertised_rwnd",
    "_data_channels",
    "_inbound_streams",
    "_last_received_tsn",
    "_reconfig_deferred",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
):
    require(_SCTP, _name)
for _method in (
    "_get_inbound_stream",
    "_mark_received",
    "_receive",
    "_receive_data_chunk",
    "_receive_forward_tsn_chunk",
    "_reset_deferred_streams",
    "_send_chunk",
    "_send_sack",
    "_set_state",
):
    require(_SCTP, _method)


class Receiving(Reading):
    """The state of what comes in.

    Attributes:
        unacknowledged: How many packets came in since the last acknowledgement.
    """

    interleaves: bool  # which Sending has
    unacknowledged = 0
    counts: defaultdict[int, list[int]]
    acknowledging: asyncio.TimerHandle | None = None
    acknowledgement: asyncio.Task[None] | None = None


class ReceivingSctpTransport(rtcsctptransport.RTCSctpTransport):
    """aiortc's SCTP transport, which receives with less work."""

    _core: Receiving
    # Of InboundMessages, or of InterleavedMessages.
    _inbound_streams: dict[int, Any]
    # It has a value as soon as something can be received.
    _last_received_tsn: int

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        self._sack_needed = True
        if self._mark_received(chunk.tsn):
            return
        stream, flags, data = (
            self._get_inbound_stream(chunk.stream_id),
            chunk.flags,
            chunk.user_data,
        )
        if flags & _WHOLE == _WHOLE and stream.passes(chunk):
            await _hand_over(self, chunk.stream_id, chunk.protocol, data)
        elif self._core.interleaves:
            self._core.hold(stream.add(chunk))
            if stream.ready:
                await _hand_over_complete(self, stream)
        else:
            stream.add_chunk(chunk)
            self._advertised_rwnd -= len(data)
            if flags & SCTP_DATA_LAST_FRAG or stream.reassembly[-1] is not chunk:
                for number, protocol, message in stream.pop_messages():
                    self._advertised_rwnd += len(message)
                    await _hand_over(self, number, protocol, message)
            self._core.hold(stream.take_growth())
        if self._reconfig_deferred is not None:
            await self._reset_deferred_streams()

    def _mark_received(self, tsn: int) -> bool:
        missing, last = self._sack_misordered, self._last_received_tsn
        ahead = (tsn - last) % MODULO
        if not 0 < ahead < HALF or tsn in missing:
            self._sack_duplicates.append(tsn)
            return True
        if ahead > 1:
            missing.add(tsn)
            return False
        if missing:
            while (following := (tsn + 1) % MODULO) in missing:
                missing.discard(following)
                tsn = following
        self._last_received_tsn = tsn
        if self._sack_duplicates:
            self._sack_duplicates = [
                d for d in self._sack_duplicates if 0 < (d - tsn) % MODULO < HALF
            ]
        return False

    def _get_inbound_stream(self, stream_id: int) -> Any:
        streams = self._inbound_streams
        if stream_id not in streams:
            interleaves = self._core.interleaves
            streams[stream_id] = InterleavedMessages() if interleaves else InboundMessages()
        return streams[stream_id]

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        ahead = (chunk.cumulative_tsn - self._last_received_tsn) % MODULO
        if isinstance(chunk, IForwardTsnChunk) and 0 < ahead < HALF:
            for stream_id, unordered, number in chunk.messages:
                stream = self._get_inbound_stream(stream_id)
                stream.skip(number, unordered=unordered)
                await _hand_over_complete(self, stream)
        await super()._receive_forward_tsn_chunk(chunk)
        if not self._core.interleaves:
            self._core.hold(sum(s.take_growth() for s in self._inbound_streams.values()))

    async def _send_sack(self) -> None:
        core, last = self._core, self._last_received_tsn
        core.unacknowledged = 0
        core.note_window()
        sack = SackChunk()
        sack.cumulative_tsn = last
        sack.advertised_rwnd = max(0, self._advertised_rwnd)
        if self._sack_misordered:
            offsets = sorted((tsn - last) % MODULO for tsn in self._sack_misordered)
            sack.gaps = _blocks(offsets)[:BLOCKS]
        if self._sack_duplicates:
            sack.duplicates = self._sack_duplicates[: BLOCKS - len(sack.gaps)]
            self._sack_duplicates.clear()
        self._sack_needed = False
        await self._send_chunk(sack)

    def _set_state(self, state: rtcsctptransport.RTCSctpTransport.State) -> None:
        if state == self.State.CLOSED and self._core.acknowledging is not None:
            self._core.acknowledging.cancel()
            self._core.acknowledging = None
        super()._set_state(state)


async def receive_data(sctp: ReceivingSctpTransport, chunks: list[DataChunk]) -> None:
    """Receive the data of a packet, and acknowledge it now or soon."""
    now = bool(sctp._sack_misordered)
    for chunk in chunks:
        now |= bool(chunk.flags & IMMEDIATELY)
        await sctp._receive_data_chunk(chunk)
    core = sctp._core
    core.unacknowledged += 1
    now |= core.unacknowledged >= PACKETS
    if now or sctp._sack_misordered or sctp._sack_duplicates:
        await sctp._send_sack()
    elif core.acknowledging is None:
        core.acknowledging = asyncio.get_running_loop().call_later(
            LONGEST_DELAY, _acknowledge_late, sctp
        )


async def _hand_over(
    sctp: ReceivingSctpTransport, stream: int, protocol: int, message: bytes
) -> None:
    """Hand a message over to its channel."""
    channel, core = sctp._data_channels.get(stream), sctp._core
    if protocol == rtcsctptransport.WEBRTC_DCEP:
        await sctp._receive(stream, protocol, message)
        return
    counts = core.counts[stream]
    counts[2] += 1
    if protocol not in EMPTY:
        counts[3] += len(message)
    core.delivering = len(message) + OVERHEAD
    try:
        if protocol == rtcsctptransport.WEBRTC_BINARY and channel is not None:
            channel.emit("message", message)
        else:
            await sctp._receive(stream, protocol, message)
    finally:
        core.delivering = 0


async def _hand_over_complete(sctp: ReceivingSctpTransport, stream: InterleavedMessages) -> None:
    """Hand over the messages of a stream that are complete, and count what it has dropped."""
    for number, protocol, message in stream.pop_messages():
        sctp._core.hold(-stream.take_freed())
        await _hand_over(sctp, number, protocol, message)
    sctp._core.hold(-stream.take_freed())


def _blocks(offsets: list[int]) -> list[tuple[int, int]]:
    """Return the blocks of an acknowledgement, given what has come in, in rising order."""
    blocks: list[tuple[int, int]] = []
    for offset in offsets:
        if blocks and offset == blocks[-1][1] + 1:
            blocks[-1] = (blocks[-1][0], offset)
        else:
            blocks.append((offset, offset))
    return blocks


def _acknowledge_late(sctp: ReceivingSctpTransport) -> None:
    """Acknowledge a packet that no second one has followed."""
    core = sctp._core
    core.acknowledging = None
    if core.unacknowledged:
        core.acknowledgement = asyncio.ensure_future(sctp._send_sack())
