"""Cuts multicast DNS answers to what aioice can parse. Browsers have mDNS names as candidates."""

import struct
from typing import Final

__all__ = ["answers_only"]

HEADER: Final = struct.Struct(">HHHHHH")
QUESTION: Final = 4
RECORD: Final = struct.Struct(">HHIH")
POINTER: Final = 0xC0


def answers_only(message: bytes) -> bytes:
    """Return a message without its authority and additional records; unchanged if malformed.

    Chromium adds records with a compressed name where their type doesn't allow it, and aioice then
    rejects the whole message. (RFC 1035 section 4.1, RFC 6762 sections 6.1 and 18.14)
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
