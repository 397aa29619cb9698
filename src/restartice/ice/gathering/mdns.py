"""Messages of multicast DNS, by which a browser's host names are resolved."""

import struct
from typing import Final

__all__ = ["answers_only"]

HEADER: Final = struct.Struct(">HHHHHH")
QUESTION: Final = 4
RECORD: Final = struct.Struct(">HHIH")
POINTER: Final = 0xC0


def answers_only(message: bytes) -> bytes:
    """Return a message without its authority and additional records; as it is if it is malformed.

    Those that Chromium adds to its answers compress a name where that isn't allowed for records of
    their type, on account of which aioice takes none of the message. (RFC 1035 section 4.1,
    RFC 6762 section 6.1 and 18.14)
    """
    try:
        number, flags, questions, answers, _, _ = HEADER.unpack_from(message)
        place = HEADER.size
        for _ in range(questions):
            place = _end_of_name(message, place) + QUESTION
        for _ in range(answers):
            place = _end_of_name(message, place)
            *_, length = RECORD.unpack_from(message, place)
            place += RECORD.size + length
    except (IndexError, struct.error):
        return message
    if place > len(message):
        return message
    return HEADER.pack(number, flags, questions, answers, 0, 0) + message[HEADER.size : place]


def _end_of_name(message: bytes, place: int) -> int:
    while length := message[place]:
        if length >= POINTER:
            return place + 2
        place += length + 1
    return place + 1
