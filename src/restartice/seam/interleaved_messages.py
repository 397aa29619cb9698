"""Reassembles messages of one stream whose fragments come interleaved. (RFC 8260 section 2.2.3)."""

from collections.abc import Iterator
from typing import Final

from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, SCTP_DATA_UNORDERED

from .interleaved_chunks import IDataChunk
from .outbound import HALF, MODULO

__all__ = ["InterleavedMessages"]

# The memory of a fragment that waits, beside its content, and of a message that is incomplete, in
# bytes.
OVERHEAD: Final = 128
MESSAGE: Final = 384
Complete = tuple[int, int, bytes]  # the stream, the protocol, and the message


class Fragments:
    """The fragments of a message that have come in.

    Attributes:
        size: How many bytes of memory they take.
    """

    __slots__ = ("count", "fragments", "protocol", "size")

    def __init__(self) -> None:
        self.fragments: dict[int, bytes] = {}
        self.count: int | None = None
        self.protocol = 0
        self.size = MESSAGE

    def add(self, chunk: IDataChunk) -> int:
        """Add a fragment; return how much memory it takes.

        Raises:
            ValueError: It contradicts another one.
        """
        flags, data = chunk.flags, chunk.user_data
        number = 0 if flags & SCTP_DATA_FIRST_FRAG else chunk.protocol
        if flags & SCTP_DATA_LAST_FRAG:
            if self.count is not None or any(other > number for other in self.fragments):
                raise ValueError("a message has two ends")
            self.count = number + 1
        elif self.count is not None and number >= self.count:
            raise ValueError("a fragment is behind the end of its message")
        if number in self.fragments:
            raise ValueError("a fragment of a message has come twice")
        self.fragments[number] = data
        if number == 0:
            self.protocol = chunk.protocol
        size = len(data) + OVERHEAD
        self.size += size
        return size

    @property
    def is_complete(self) -> bool:
        """Whether no fragment is missing."""
        return len(self.fragments) == self.count

    def join(self) -> bytes:
        """Return the message."""
        return b"".join(self.fragments[number] for number in range(len(self.fragments)))


class InterleavedMessages:
    """A stream in which the messages may be interleaved.

    Attributes:
        sequence_number: The MID of the next ordered message.
        ready: Whether a message has become complete.
        freed: How many bytes of memory were given back since they were last counted.
    """

    def __init__(self) -> None:
        self.sequence_number = 0
        # By whether they are unordered, and by their MID.
        self.ordered: dict[int, Fragments] = {}
        self.unordered: dict[int, Fragments] = {}
        self.complete: list[Fragments] = []
        self.stream = 0
        self.freed = 0
        self.ready = False

    def passes(self, chunk: IDataChunk) -> bool:
        """Return whether a message of one chunk is the next one, and take note that it is."""
        if chunk.flags & SCTP_DATA_UNORDERED:
            return True
        if self.ordered or chunk.stream_seq != self.sequence_number:
            return False
        self.sequence_number = (chunk.stream_seq + 1) % MODULO
        return True

    def add(self, chunk: IDataChunk) -> int:
        """Add a fragment; return how much memory it takes.

        Raises:
            ValueError: It contradicts another one.
        """
        self.stream = chunk.stream_id
        unordered = bool(chunk.flags & SCTP_DATA_UNORDERED)
        if not unordered and (chunk.stream_seq - self.sequence_number) % MODULO >= HALF:
            return 0  # the other side has given it up
        messages = self.unordered if unordered else self.ordered
        message, size = messages.get(chunk.stream_seq), 0
        if message is None:
            message = messages[chunk.stream_seq] = Fragments()
            size = message.size
        size += message.add(chunk)
        if message.count is not None and message.is_complete:
            self.ready = True
            if unordered:
                self.complete.append(messages.pop(chunk.stream_seq))
        return size

    def pop_messages(self) -> Iterator[Complete]:
        """Yield the messages that are complete and next, and forget them."""
        self.ready = False
        while self.complete:
            yield self.take(self.complete.pop(0))
        while (message := self.ordered.get(self.sequence_number)) and message.is_complete:
            del self.ordered[self.sequence_number]
            self.sequence_number = (self.sequence_number + 1) % MODULO
            yield self.take(message)

    def skip(self, number: int, *, unordered: bool) -> None:
        """Drop what is left of messages up to a MID, which the other side has given up."""
        messages = self.unordered if unordered else self.ordered
        for given_up in [n for n in messages if (number - n) % MODULO < HALF]:
            self.freed += messages.pop(given_up).size
        if not unordered and (number - self.sequence_number) % MODULO < HALF:
            self.sequence_number = (number + 1) % MODULO

    def take_freed(self) -> int:
        """Return how many bytes were given back since the last call."""
        freed, self.freed = self.freed, 0
        return freed

    def prune_chunks(self, _: int) -> int:
        """Drop nothing: skip() has."""
        return 0

    def take(self, message: Fragments) -> Complete:
        """Return a message, whose memory is given back."""
        self.freed += message.size
        return self.stream, message.protocol, message.join()
