"""The private names of aiortc's SCTP packets, and reading those that come most often."""

from struct import Struct, unpack_from
from typing import Final

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import Chunk, DataChunk, SackChunk

from .names import require

__all__ = ["checksum_matches", "gaps_fit", "make_chunk", "usual_chunk"]

_SCTP = rtcsctptransport.RTCSctpTransport
_CLOSED = rtcsctptransport.RTCSctpTransport.State.CLOSED
_COOKIE_WAIT = rtcsctptransport.RTCSctpTransport.State.COOKIE_WAIT
# The sizes in bytes of a packet's header, and with that of a chunk of data, or with the shortest
# acknowledgement. Their fields begin with the verification tag.
_COMMON: Final = 12
_SHORTEST: Final = 28
_FIELDS: Final = Struct("!L4xBBHLLHH")
_HALF: Final = 1 << 31
# How far ahead of what came last data is when something before it was lost.
_NEAR: Final = 1 << 10
_ZEROS: Final = bytes(4)

for _name in (
    "_advertised_rwnd",
    "_association_state",
    "_inbound_streams_count",
    "_last_received_tsn",
    "_local_tsn",
    "_local_verification_tag",
):
    require(_SCTP, _name)
for _name in ("CHUNK_TYPES", "crc32c"):
    require(rtcsctptransport, _name)


def checksum_matches(packet: bytes) -> bool:
    """Return whether a packet that has a header is as its checksum says. (RFC 9260 section 6.8)."""
    (told,) = unpack_from("<L", packet, 8)
    checksum = rtcsctptransport.crc32c  # type: ignore[attr-defined]  # another package's
    return bool(told == checksum(packet[:8] + _ZEROS + packet[12:]))


def make_chunk(kind: int, flags: int, body: bytes) -> Chunk:
    """Return a chunk as aiortc handles it."""
    return rtcsctptransport.CHUNK_TYPES[kind](flags=flags, body=body)


def gaps_fit(gaps: list[tuple[int, int]], outstanding: int) -> bool:
    """Return whether the blocks of an acknowledgement acknowledge no more than what was sent."""
    acknowledged = 0
    for first, last in gaps:
        if not 0 < first <= last <= outstanding:
            return False
        acknowledged += last - first + 1
    return acknowledged <= outstanding


def usual_chunk(
    sctp: rtcsctptransport.RTCSctpTransport, packet: bytes
) -> DataChunk | SackChunk | None:
    """Return the only chunk of a packet, if that is of the kind that comes most often, or None.

    Nothing is wrong with it: it is either data that comes next or soon, on a stream that there is,
    and there is room for it, or an acknowledgement of data that was sent.
    """
    size, state = len(packet), sctp._association_state
    if size < _SHORTEST or state is _CLOSED or state is _COOKIE_WAIT:
        return None
    # Both kinds have three numbers of 32 bits each, of which the last ones may be two of 16 bits.
    tag, kind, flags, length, tsn, second, third, fourth = _FIELDS.unpack_from(packet, 4)
    # Behind it is padding, at most.
    fits = _SHORTEST <= _COMMON + length <= size < _COMMON + length + 4
    if not fits or tag != sctp._local_verification_tag or not checksum_matches(packet):
        return None
    if kind == DataChunk.type:
        ahead, stream = tsn - (sctp._last_received_tsn or 0), second >> 16
        taken = 0 < ahead <= _NEAR and sctp._advertised_rwnd > 0
        if taken and stream < sctp._inbound_streams_count and _COMMON + length > _SHORTEST:
            chunk = DataChunk(flags)
            chunk.tsn, chunk.stream_id, chunk.stream_seq = tsn, stream, second & 0xFFFF
            chunk.protocol = third << 16 | fourth
            chunk.user_data = packet[_SHORTEST : _COMMON + length]
            return chunk
    elif kind == SackChunk.type and _SHORTEST + 4 * (third + fourth) <= _COMMON + length:
        outstanding = (sctp._local_tsn - 1 - tsn) % (1 << 32)
        sack = SackChunk(flags, packet[16 : _COMMON + length])
        if outstanding < _HALF and gaps_fit(sack.gaps, outstanding):
            return sack
    return None
