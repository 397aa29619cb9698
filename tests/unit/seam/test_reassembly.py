"""A message that is complete is delivered, whatever becomes of the one before it."""

from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    InboundStream,
)
from hypothesis import given, strategies

from restartice.seam.reassembly import InboundMessages

FIRST, LAST, UNORDERED = SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, SCTP_DATA_UNORDERED
START = (1 << 32) - 5


def fragments(sizes: list[int], flags: int = UNORDERED) -> list[DataChunk]:
    """Return the chunks of messages of so many fragments each, with numbers that wrap around."""
    chunks: list[DataChunk] = []
    for message, size in enumerate(sizes):
        for number in range(size):
            chunk = DataChunk()
            chunk.flags = flags | FIRST * (number == 0) | LAST * (number == size - 1)
            chunk.tsn = (START + len(chunks)) % (1 << 32)
            chunk.stream_id, chunk.stream_seq, chunk.protocol = 1, message, 53
            chunk.user_data = f"{message}.{number} ".encode()
            chunks.append(chunk)
    return chunks


def received(stream: InboundStream, chunks: list[DataChunk]) -> list[bytes]:
    found: list[bytes] = []
    for chunk in chunks:
        stream.add_chunk(chunk)
        found += [data for _, _, data in stream.pop_messages()]
    return found


def test_one_behind_an_incomplete_one_is_delivered_at_once() -> None:
    first, _, *rest = fragments([2, 3])
    stream = InboundMessages()
    assert received(stream, [first, *rest]) == [b"1.0 1.1 1.2 "]
    # The first one is abandoned.
    stream.prune_chunks(rest[-1].tsn)
    assert stream.reassembly == []


def test_ordered_ones_wait_as_before() -> None:
    first, second, *rest = fragments([2, 3], flags=0)
    stream = InboundMessages()
    assert received(stream, [first, *rest]) == []
    assert received(stream, [second]) == [b"0.0 0.1 ", b"1.0 1.1 1.2 "]


def test_an_ordered_one_is_delivered_when_the_one_before_it_is_given_up() -> None:
    first, _, *rest, last = fragments([2, 3, 1], flags=0)
    stream = InboundMessages()
    assert received(stream, [first, *rest]) == []
    # As a FORWARD TSN is handled.
    stream.sequence_number = 1
    assert [data for _, _, data in stream.pop_messages()] == [b"1.0 1.1 1.2 "]
    assert stream.prune_chunks(rest[-1].tsn) == len(first.user_data)
    assert received(stream, [last]) == [b"2.0 "]
    assert stream.reassembly == []


@given(strategies.data(), strategies.lists(strategies.integers(1, 4), min_size=1, max_size=8))
def test_all_that_is_complete_is_delivered_once(
    data: strategies.DataObject, sizes: list[int]
) -> None:
    chunks = fragments(sizes)
    came = data.draw(strategies.permutations(chunks))
    came = came[: data.draw(strategies.integers(0, len(came)))]
    numbers = {chunk.tsn for chunk in came}
    expected = []
    for message in range(len(sizes)):
        parts = [c for c in chunks if c.stream_seq == message]
        if numbers.issuperset(c.tsn for c in parts):
            expected.append(b"".join(c.user_data for c in parts))
    assert sorted(received(InboundMessages(), came)) == sorted(expected)
