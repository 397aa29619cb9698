"""Messages of STUN with an attribute that aioice doesn't know."""

import struct
from collections.abc import Iterator

from aioice import stun

__all__ = ["ExtendedMessage", "attributes_of", "extended"]


class ExtendedMessage(stun.Message):
    """A message with one more attribute, which comes first, so that a signature covers it."""

    attribute: bytes

    def __bytes__(self) -> bytes:
        message = super().__bytes__()
        body = self.attribute + message[stun.HEADER_LENGTH :]
        return message[:2] + len(body).to_bytes(2, "big") + message[4 : stun.HEADER_LENGTH] + body


def extended(message: stun.Message, kind: int, value: bytes) -> ExtendedMessage:
    """Return a message with one more attribute, to be signed yet."""
    made = ExtendedMessage(
        message.message_method, message.message_class, message.transaction_id, message.attributes
    )
    padding = bytes(stun.padding_length(len(value)))
    made.attribute = struct.pack("!HH", kind, len(value)) + value + padding
    return made


def attributes_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the attributes of a message, with the type of each."""
    place = stun.HEADER_LENGTH
    while place + 4 <= len(message):
        kind, length = struct.unpack_from("!HH", message, place)
        yield kind, message[place + 4 : place + 4 + length]
        place += 4 + length + stun.padding_length(length)
