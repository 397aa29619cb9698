"""The chunks of RFC 8260: data whose messages may be interleaved, and their FORWARD TSN."""

from struct import Struct, iter_unpack, pack, unpack_from
from typing import Final

from aiortc.rtcsctptransport import (
    USERDATA_MAX_LENGTH,
    DataChunk,
    ForwardTsnChunk,
)

__all__ = ["DATA_HEADER", "I_DATA_HEADER", "MOST_DATA", "IDataChunk", "IForwardTsnChunk"]

# The sizes in bytes of the header of a chunk of either kind.
DATA_HEADER: Final = 16
I_DATA_HEADER: Final = 20
# How many bytes of a message fit into one, which is a multiple of 4.
MOST_DATA: Final = USERDATA_MAX_LENGTH - (I_DATA_HEADER - DATA_HEADER)
_LAYOUT: Final = Struct("!BBHLHxxLL")
_BODY: Final = Struct("!LHxxLL")
_STREAM: Final = Struct("!HHL")
_UNORDERED: Final = 1


class IDataChunk(DataChunk):
    """An I-DATA chunk. (RFC 8260 section 2.1).

    Attributes:
        stream_seq: The message identifier (MID), of 32 bits, counted apart for unordered messages.
        protocol: Of the first fragment the payload protocol, of others the fragment sequence
            number (FSN).
    """

    type = 64

    def __init__(self, flags: int = 0, body: bytes | None = None) -> None:
        super().__init__(flags)
        if body:
            self.tsn, self.stream_id, self.stream_seq, self.protocol = _BODY.unpack_from(body)
            self.user_data = body[_BODY.size :]

    def __bytes__(self) -> bytes:
        data = self.user_data
        header = _LAYOUT.pack(
            self.type,
            self.flags,
            I_DATA_HEADER + len(data),
            self.tsn,
            self.stream_id,
            self.stream_seq,
            self.protocol,
        )
        return header + data + bytes(-len(data) % 4) if len(data) % 4 else header + data


class IForwardTsnChunk(ForwardTsnChunk):
    """An I-FORWARD-TSN chunk. (RFC 8260 section 2.3.1).

    Attributes:
        messages: A stream, whether the messages are unordered, and the last MID that is given up.
    """

    type = 194

    def __init__(self, flags: int = 0, body: bytes | None = None) -> None:
        super().__init__(flags)
        self.messages: list[tuple[int, bool, int]] = []
        if body:
            (self.cumulative_tsn,) = unpack_from("!L", body)
            self.messages = [
                (stream, bool(kind & _UNORDERED), number)
                for stream, kind, number in iter_unpack(_STREAM.format, body[4:])
            ]

    @property
    def body(self) -> bytes:  # type: ignore[override]
        """What follows the header of the chunk."""
        packed = [_STREAM.pack(stream, kind, number) for stream, kind, number in self.messages]
        return pack("!L", self.cumulative_tsn) + b"".join(packed)

    def __repr__(self) -> str:
        return f"IForwardTsnChunk(cumulative_tsn={self.cumulative_tsn}, messages={self.messages})"
