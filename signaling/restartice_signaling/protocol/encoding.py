"""Writes messages as JSON, and adds to the text what is known later: number and address."""

import json

from .messages import Data, JsonObject, Message

__all__ = ["addressed", "encode", "encode_object", "numbered", "relayed"]

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(message: Message) -> str:
    """Return the text of a frame.

    Raises:
        ValueError: A value isn't JSON, such as NaN.
        TypeError: A value has a type that JSON doesn't have.
    """
    # msgspec writes UTF-8. Escapes make each character a byte, as the limits count.
    return _encoder.encode(message.to_json())


def encode_object(fields: JsonObject) -> str:
    """Return a JSON object without white space."""
    return _encoder.encode(fields)


def relayed(data: Data, sender: str, instance: str) -> str:
    """Return the text of the Signal for the receiver, without its number."""
    # Faster than encode().
    fields = {"type": "signal", "from": sender, "instance": instance, "data": data.to_json()}
    return _encoder.encode(fields)


def addressed(text: str, to: str, instance: str | None = None) -> str:
    """Return the text of a signal, from its text without an address."""
    fields = {"to": to} if instance is None else {"to": to, "instance": instance}
    return f"{_encoder.encode(fields)[:-1]},{text[1:]}"


def numbered(text: str, seq: int, ack: int | None = None) -> str:
    """Return the text of a reliable message, from its text without a `seq`."""
    numbers = {"seq": seq} if ack is None else {"seq": seq, "ack": ack}
    # Two objects in one: neither is empty, and there is no white space.
    return f"{_encoder.encode(numbers)[:-1]},{text[1:]}"
