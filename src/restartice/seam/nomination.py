"""An attribute of STUN that aioice doesn't know: the number of a nomination.

(draft-thatcher-tsvwg-renomination-00)
"""

import struct
from typing import Final

from aioice import stun

from .extended import attributes_of, extended

__all__ = ["nomination_of", "numbered"]

NOMINATION: Final = 0xC001
NUMBER: Final = struct.Struct("!I")
MESSAGE_INTEGRITY: Final = 0x0008


def numbered(request: stun.Message, number: int) -> stun.Message:
    """Return a request with a number, to be signed yet."""
    return extended(request, NOMINATION, NUMBER.pack(number))


def nomination_of(datagram: bytes) -> int | None:
    """Return the number of a nomination in a well-formed message, if its signature covers one."""
    for kind, value in attributes_of(datagram):
        if kind == MESSAGE_INTEGRITY:
            return None
        if kind == NOMINATION and len(value) == NUMBER.size:
            number: int = NUMBER.unpack(value)[0]
            return number
    return None
