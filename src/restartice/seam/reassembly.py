"""Messages that are complete although one before them isn't."""

from collections.abc import Iterator
from typing import Final

from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    InboundStream,
)
from aiortc.utils import uint16_gt

from .names import require

__all__ = ["InboundMessages"]

# The memory of a chunk that waits, beside its content, in bytes.
OVERHEAD: Final = 256

for _name in ("pop_messages", "prune_chunks", "reassembly", "sequence_number"):
    require(InboundStream, _name)


class InboundMessages(InboundStream):
    """aiortc's stream, which also finds a message that follows an incomplete one.

    aiortc looks for complete messages before it drops what is left of one that the other side has
    given up, and after that drops the complete ones, too. If they are ordered, all later messages
    of the stream wait for them for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        # How many bytes of given up messages were dropped since the last prune_chunks().
        self.dropped = 0
        # How many chunks there were at the last take_growth().
        self.counted = 0

    def take_growth(self) -> int:
        """Return by how many bytes, beside contents, this has grown since the last call."""
        count = len(self.reassembly)
        growth = OVERHEAD * (count - self.counted)
        self.counted = count
        return growth

    def passes(self, chunk: DataChunk) -> bool:
        """Return whether a message of one chunk is the next one, and take note that it is."""
        if chunk.flags & SCTP_DATA_UNORDERED:
            return True
        if self.reassembly or chunk.stream_seq != self.sequence_number:
            return False
        self.sequence_number = (chunk.stream_seq + 1) & 0xFFFF
        return True

    def pop_messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the messages that are complete, and forget them."""
        if skipped := _skipped(self):
            self.dropped += sum(len(chunk.user_data) for chunk in self.reassembly[:skipped])
            del self.reassembly[:skipped]
        yield from super().pop_messages()
        if self.reassembly and _may_hide(self.reassembly):
            for first, last in _complete(self.reassembly):
                chunks = self.reassembly[first : last + 1]
                del self.reassembly[first : last + 1]
                yield chunks[0].stream_id, chunks[0].protocol, b"".join(c.user_data for c in chunks)

    def prune_chunks(self, tsn: int) -> int:
        """Drop what is left of messages that were given up; return how many bytes that is."""
        size = super().prune_chunks(tsn) + self.dropped
        self.dropped = 0
        return size


def _skipped(stream: InboundStream) -> int:
    """Return how many chunks are left of messages that the other side has said it gave up."""
    count = 0
    for chunk in stream.reassembly:
        ordered = not chunk.flags & SCTP_DATA_UNORDERED
        if not (ordered and uint16_gt(stream.sequence_number, chunk.stream_seq)):
            break
        count += 1
    return count


def _may_hide(chunks: list[DataChunk]) -> bool:
    """Return whether aiortc may have missed a message: unordered ones with a gap between them."""
    first, last = chunks[0], chunks[-1]
    has_gap = (last.tsn - first.tsn) % (1 << 32) != len(chunks) - 1
    return has_gap and bool(first.flags & SCTP_DATA_UNORDERED)


def _complete(chunks: list[DataChunk]) -> list[tuple[int, int]]:
    """Return the first and the last place of each unordered message, the last message first."""
    found: list[tuple[int, int]] = []
    first = None
    for place, chunk in enumerate(chunks):
        follows = place > 0 and chunk.tsn == (chunks[place - 1].tsn + 1) % (1 << 32)
        if chunk.flags & SCTP_DATA_FIRST_FRAG:
            first = place if chunk.flags & SCTP_DATA_UNORDERED else None
        elif not follows:
            first = None
        if first is not None and chunk.flags & SCTP_DATA_LAST_FRAG:
            found.append((first, place))
            first = None
    return found[::-1]
