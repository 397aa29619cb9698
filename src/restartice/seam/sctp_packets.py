"""The private names of aiortc's SCTP packets, and a fast parser of the most frequent ones."""

from struct import Struct, unpack_from
from typing import Any, Final

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import Chunk, DataChunk, SackChunk

from .interleaved_chunks import IDataChunk, IForwardTsnChunk
from .names import require

__all__ = ["checksum_matches", "gaps_fit", "make_chunk", "usual_chunks"]

_SCTP = rtcsctptransport.RTCSctpTransport
_CLOSED = rtcsctptransport.RTCSctpTransport.State.CLOSED
_COOKIE_WAIT = rtcsctptransport.RTCSctpTransport.State.COOKIE_WAIT
# The sizes in bytes of a packet's header, and with that of a chunk of data, or with the shortest
# acknowledgement.
_COMMON: Final = 12
_SHORTEST: Final = 28
_TAG: Final = Struct("!L")
_DATA: Final = Struct("!BBHLHHL")
_I_DATA: Final = Struct("!BBHLHxxLL")
# From its flags on.
_SACK: Final = Struct("!BHLLHH")
_HALF: Final = 1 << 31
# How far ahead of what came last data is when something before it was lost.
_NEAR: Final = 1 << 13
_ZEROS: Final = bytes(4)
# Those which aiortc hasn't.
_TYPES: Final[dict[int, type[Chunk]]] = {
    IDataChunk.type: IDataChunk,
    IForwardTsnChunk.type: IForwardTsnChunk,
}

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
    make = _TYPES.get(kind) or rtcsctptransport.CHUNK_TYPES[kind]
    return make(flags=flags, body=body)


def gaps_fit(gaps: list[tuple[int, int]], outstanding: int) -> bool:
    """Return whether the blocks of an acknowledgement acknowledge no more than what was sent."""
    acknowledged = 0
    for first, last in gaps:
        if not 0 < first <= last <= outstanding:
            return False
        acknowledged += last - first + 1
    return acknowledged <= outstanding


def usual_chunks(sctp: Any, packet: bytes) -> list[DataChunk] | SackChunk | None:
    """Return what is in a packet, if that is of the kind that comes most often, or None.

    Nothing is wrong with it: it is either data that comes next or soon, on streams that there are,
    and there is room for it, or an acknowledgement of data that was sent.
    """
    state = sctp._association_state
    if len(packet) < _SHORTEST or state is _CLOSED or state is _COOKIE_WAIT:
        return None
    (tag,) = _TAG.unpack_from(packet, 4)
    if tag != sctp._local_verification_tag or not checksum_matches(packet):
        return None
    kind = packet[_COMMON]
    if kind == (IDataChunk.type if sctp._core.interleaves else DataChunk.type):
        return _usual_data(sctp, packet) if sctp._advertised_rwnd > 0 else None
    if kind == SackChunk.type:
        return _usual_acknowledgement(sctp, packet)
    return None


def _usual_data(sctp: Any, packet: bytes) -> list[DataChunk] | None:
    chunks: list[DataChunk] = []
    layout, make = (_I_DATA, IDataChunk) if sctp._core.interleaves else (_DATA, DataChunk)
    header = layout.size
    last, streams = sctp._last_received_tsn or 0, sctp._inbound_streams_count
    place, size = _COMMON, len(packet)
    # Behind the last one is padding, at most.
    while size - place >= 4:
        end = place + header
        if end > size:
            return None
        kind, flags, length, tsn, stream, sequence, protocol = layout.unpack_from(packet, place)
        fits = header < length <= size - place
        if kind != make.type or not fits or stream >= streams or not 0 < tsn - last <= _NEAR:
            return None
        chunk = make.__new__(make)
        chunk.flags, chunk.tsn, chunk.stream_id, chunk.stream_seq = flags, tsn, stream, sequence
        chunk.protocol = protocol
        chunk.user_data = packet[end : place + length]
        chunks.append(chunk)
        place += length + 3 & ~3
    return chunks


def _usual_acknowledgement(
    sctp: rtcsctptransport.RTCSctpTransport, packet: bytes
) -> SackChunk | None:
    flags, length, tsn, window, gaps, duplicates = _SACK.unpack_from(packet, _COMMON + 1)
    # Behind it is padding, at most.
    fits = _SHORTEST <= _COMMON + length <= len(packet) < _COMMON + length + 4
    if not fits or _SHORTEST + 4 * (gaps + duplicates) > _COMMON + length:
        return None
    outstanding = (sctp._local_tsn - 1 - tsn) % (1 << 32)
    if outstanding >= _HALF:
        return None
    if gaps or duplicates:
        sack = SackChunk(flags, packet[16 : _COMMON + length])
        return sack if gaps_fit(sack.gaps, outstanding) else None
    sack = SackChunk(flags)
    sack.cumulative_tsn, sack.advertised_rwnd = tsn, window
    return sack
