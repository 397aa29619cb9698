"""Data chunks to send, and the packets that they are put into."""

from typing import Any, Final, cast

import aiortc
from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import Chunk, DataChunk

from .names import require

__all__ = [
    "HALF",
    "IMMEDIATELY",
    "MODULO",
    "Bundle",
    "OutboundChunk",
    "Packets",
    "chunk_to_send",
]

# TSNs count up to this and begin again; one that is less than the half ahead is later. (RFC 9260
# section 1.6)
MODULO: Final = 1 << 32
HALF: Final = MODULO >> 1
# "Acknowledge this at once." (RFC 7053 section 3)
IMMEDIATELY: Final = 0x08
# The bytes that a packet has room for, a multiple of 4.
_ROOM: Final = (
    rtcsctptransport.SCTP_MAX_PACKET_LENGTH - rtcsctptransport.SCTP_COMMON_HEADER_LENGTH
) & ~3

for _name in (
    "_abandoned",
    "_acked",
    "_book_size",
    "_expiry",
    "_in_flight",
    "_max_retransmits",
    "_misses",
    "_retransmit",
    "_sent_count",
    "_sent_time",
):
    require(DataChunk, _name)


class OutboundChunk(DataChunk):
    """A data chunk and the state of its transmission; chunk_to_send() makes it.

    aiortc's class doesn't declare all that aiortc itself assigns.

    Attributes:
        channel: The channel whose bufferedAmount still counts its bytes, or None.
        opens: Whether sending it opens the channel of its stream.
        leads: 1 if it is the first one of a packet, else 0.
        order: The number of the packet in which it was sent last.
        sent_at: When it was sent last, by time.monotonic().
    """

    channel: aiortc.RTCDataChannel | None
    opens: bool
    leads: int
    order: int
    sent_at: float


# The attributes of a chunk that was never sent.
_UNSENT: Final = {
    "_abandoned": False,
    "_acked": False,
    "_in_flight": False,
    "_misses": 0,
    "_retransmit": False,
    "_sent_count": 0,
    "_sent_time": None,
    "opens": False,
    "leads": 0,
    "order": 0,
    "sent_at": 0.0,
}


def chunk_to_send(kind: type[DataChunk], **fields: Any) -> OutboundChunk:
    """Return a chunk of a class with these fields that was never sent."""
    chunk = kind.__new__(kind)
    chunk.__dict__ = _UNSENT | fields
    return cast("OutboundChunk", chunk)


class Bundle(Chunk):
    """Several chunks in one packet. (RFC 9260 section 6.10)."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks

    def __bytes__(self) -> bytes:
        return b"".join([bytes(chunk) for chunk in self.chunks])

    def __repr__(self) -> str:
        return f"Bundle({self.chunks})"


class Packets:
    """Puts chunks into packets.

    Args:
        header: The size in bytes of the header of a chunk of data.
    """

    def __init__(self, header: int) -> None:
        self.bundles: list[list[Chunk]] = []
        self.room = 0
        self.header = header

    def has_room(self, chunk: DataChunk) -> bool:
        """Return whether a chunk fits the last packet."""
        return self.header + len(chunk.user_data) <= self.room

    def add(self, chunk: DataChunk) -> bool:
        """Add a chunk; return whether it is the first one of a packet."""
        size = self.header + len(chunk.user_data)
        begins = size > self.room
        if begins:
            self.bundles.append([chunk])
            self.room = _ROOM
        else:
            self.bundles[-1].append(chunk)
        self.room -= size + 3 & ~3
        return begins

    def finish(self) -> list[Chunk]:
        """Return the packets: for each, its only chunk or a Bundle of its chunks."""
        return [b[0] if len(b) == 1 else Bundle(b) for b in self.bundles]
