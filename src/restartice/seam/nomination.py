"""An attribute of STUN that aioice doesn't know: the number of a nomination.

(draft-thatcher-tsvwg-renomination-00)
"""

import struct
from typing import Final

from aioice import stun

__all__ = ["nomination_of", "numbered"]

NOMINATION: Final = 0xC001
ATTRIBUTE: Final = struct.Struct("!HHI")
HEADER: Final = stun.HEADER_LENGTH
MESSAGE_INTEGRITY: Final = 0x0008


class NumberedMessage(stun.Message):
    """A request with the number of a nomination."""

    number: int

    def __bytes__(self) -> bytes:
        message = super().__bytes__()
        body = ATTRIBUTE.pack(NOMINATION, 4, self.number) + message[HEADER:]
        return message[:2] + len(body).to_bytes(2, "big") + message[4:HEADER] + body


def numbered(request: stun.Message, number: int) -> stun.Message:
    """Return a request with a number, to be signed yet."""
    made = NumberedMessage(
        request.message_method,
        request.message_class,
        request.transaction_id,
        request.attributes,
    )
    made.number = number
    return made


def nomination_of(datagram: bytes) -> int | None:
    """Return the number of a nomination in a well-formed message, if its signature covers one."""
    place = HEADER
    while place + 4 <= len(datagram):
        kind, size = struct.unpack_from("!HH", datagram, place)
        if kind == MESSAGE_INTEGRITY:
            return None
        if kind == NOMINATION and size == 4 and place + ATTRIBUTE.size <= len(datagram):
            number: int = ATTRIBUTE.unpack_from(datagram, place)[2]
            return number
        place += 4 + size + -size % 4
    return None
