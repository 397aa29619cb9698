"""The message that opens a data channel, and what it can hold."""

from collections.abc import Mapping
from struct import pack, unpack_from
from typing import Final

__all__ = ["ACK", "OPEN", "PROTOCOLS", "check_parameters", "read_open", "write_open"]

ACK, OPEN = 2, 3
HEADER: Final = 12
CHANNEL_TYPES: Final = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82})
# The SCTP payload protocols of data channels, including two deprecated ones.
# (RFC 8831 section 8)
DCEP, STRING = 50, 51
PROTOCOLS: Final = frozenset({DCEP, STRING, 52, 53, 54, 56, 57})
# The largest value of the length fields. (RFC 8832 section 5.1)
LONGEST: Final = (1 << 16) - 1
# The values of the reliability parameter. (RFC 8832 section 5.1)
LIMITS: Final = range(1 << 32)


def check_parameters(
    names: Mapping[str, str], limits: Mapping[str, int | None], stream: int | None
) -> None:
    """Check the arguments of createDataChannel().

    Args:
        names: The label and the protocol, by argument.
        limits: maxPacketLifeTime and maxRetransmits, by argument.
        stream: The id, or None.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A limit can't be told to the peer, or a name can't be encoded.
    """
    for argument, name in names.items():
        if not isinstance(name, str):
            raise TypeError(f"{argument} must be a string, not {type(name).__name__}")
        name.encode()
    for argument, value in {**limits, "id": stream}.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{argument} must be an integer, not {type(value).__name__}")
    for argument, limit in limits.items():
        if limit is not None and limit not in LIMITS:
            raise ValueError(f"{argument} must be from 0 to {LIMITS[-1]}, not {limit}")


def read_open(message: bytes) -> bytes:
    """Return a DATA_CHANNEL_OPEN with corrected lengths, if its meaning is clear.

    aiortc sends the number of characters of a name instead of the number of bytes.

    Raises:
        ValueError: The peer's message is malformed.
    """
    if len(message) < HEADER:
        raise ValueError(f"expected at least {HEADER} bytes, got {len(message)}")
    kind, label, protocol = unpack_from("!xB6xHH", message)
    if kind not in CHANNEL_TYPES:
        raise ValueError(f"expected a channel type of {sorted(CHANNEL_TYPES)}, got {kind}")
    names = message[HEADER:]
    if label + protocol == len(names):
        names[:label].decode()
        names[label:].decode()
        return message
    text = names.decode()
    if label + protocol != len(text):
        raise ValueError(
            f"expected names of {label} and {protocol} bytes, got {len(names)} bytes in total"
        )
    return write_open(message, text[:label], text[label:])


def write_open(message: bytes, label: str, protocol: str) -> bytes:
    """Return a DATA_CHANNEL_OPEN with other names. (RFC 8832 section 5.1).

    Raises:
        TypeError: A name is too long. (https://w3c.github.io/webrtc-pc/#dom-peerconnection-createdatachannel)
    """
    names = label.encode(), protocol.encode()
    if max(map(len, names)) > LONGEST:
        sizes = " and ".join(str(len(name)) for name in names)
        raise TypeError(f"label and protocol can't have more than {LONGEST} bytes, got {sizes}")
    return message[:8] + pack("!HH", *map(len, names)) + b"".join(names)
