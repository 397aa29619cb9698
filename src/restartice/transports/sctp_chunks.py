"""Checks chunks of SCTP, and decides what follows if one is malformed."""

from collections.abc import Iterable, Iterator
from struct import pack, unpack_from
from typing import Final

__all__ = [
    "CAUSES",
    "DATA",
    "FORWARD_TSN",
    "INIT",
    "I_DATA",
    "I_FORWARD_TSN",
    "SHORTEST_PACKET",
    "Cause",
    "RawChunk",
    "RawPacket",
    "Violation",
    "fault_of",
    "known_parameters",
    "parameters",
    "read_packet",
]

HEADER: Final = 12
CHUNK_HEADER: Final = 4
SHORTEST_PACKET: Final = HEADER + CHUNK_HEADER
# Of a chunk that isn't known, beyond which it is passed over without telling the other side.
LONGEST_REPORT: Final = 1024


class Cause:
    """Numbers of error causes. (RFC 9260 section 3.3.10)."""

    INVALID_STREAM: Final = 1
    STALE_COOKIE: Final = 3
    UNKNOWN_CHUNK: Final = 6
    INVALID_PARAMETER: Final = 7
    UNKNOWN_PARAMETER: Final = 8
    NO_USER_DATA: Final = 9
    USER_INITIATED: Final = 12
    PROTOCOL_VIOLATION: Final = 13


CAUSES: Final = {
    value: name.lower().replace("_", " ")
    for name, value in vars(Cause).items()
    if isinstance(value, int)
}

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN = range(8)
SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 8, 9, 10, 11, 14
I_DATA, RECONFIG, FORWARD_TSN, I_FORWARD_TSN = 64, 130, 192, 194

# How long the fixed part of a chunk is, without its header.
SHORTEST: Final = {
    DATA: 12,
    INIT: 16,
    INIT_ACK: 16,
    SACK: 12,
    HEARTBEAT: 0,
    HEARTBEAT_ACK: 0,
    ABORT: 0,
    SHUTDOWN: 4,
    SHUTDOWN_ACK: 0,
    ERROR: 0,
    COOKIE_ECHO: 0,
    COOKIE_ACK: 0,
    SHUTDOWN_COMPLETE: 0,
    RECONFIG: 0,
    FORWARD_TSN: 4,
    I_DATA: 16,
    I_FORWARD_TSN: 4,
}
# Those which go on with parameters, or causes, which have the same form.
WITH_PARAMETERS: Final = frozenset(
    {INIT, INIT_ACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, ERROR, RECONFIG}
)
# How long the parameters of a RE-CONFIG are that are known. (RFC 6525 section 4)
RECONFIG_SIZES: Final = {13: 12, 16: 8, 17: 8}
# Parameters of an INIT and an INIT ACK that are known or may be ignored without a word.
INIT_PARAMETERS: Final = frozenset({5, 6, 7, 8, 9, 11, 12, 0x8000, 0x8008, 0xC000})


class Violation(Exception):  # noqa: N818  what the other side has done
    """The other side has sent what SCTP doesn't allow, which ends the association.

    Attributes:
        cause: The number of the cause for the other side.
    """

    def __init__(self, message: str, cause: int = Cause.PROTOCOL_VIOLATION) -> None:
        super().__init__(message)
        self.cause = cause


# A chunk's type, flags, and what follows its header.
RawChunk = tuple[int, int, bytes]


class RawPacket:
    """A packet.

    Attributes:
        tag: The verification tag.
        chunks: The chunks that can be handled.
        unknown: Those which can't, and whose sender wants to know that.
        fault: What is wrong with the chunk after these, if something is.
    """

    __slots__ = ("chunks", "fault", "tag", "unknown")

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.chunks: list[RawChunk] = []
        self.unknown: list[bytes] = []
        self.fault: Violation | None = None

    @property
    def begins(self) -> bool:
        """Whether it begins an association. An INIT stands alone. (RFC 9260 section 3)."""
        return len(self.chunks) == 1 and self.chunks[0][0] == INIT


def read_packet(packet: bytes) -> RawPacket:
    """Split a packet that has a header.

    The two upper bits of an unknown type decide whether to handle the chunks behind it, and whether
    to report it. (RFC 9260 section 3.2)
    """
    found = RawPacket(int.from_bytes(packet[4:8]))
    place, end = HEADER, len(packet)
    while place <= end - CHUNK_HEADER:
        kind, flags, size = unpack_from("!BBH", packet, place)
        if size < CHUNK_HEADER or place + size > end:
            found.fault = Violation("A chunk of SCTP has an impossible length")
            return found
        body = packet[place + CHUNK_HEADER : place + size]
        if kind == DATA and size > CHUNK_HEADER + SHORTEST[DATA]:
            found.chunks.append((kind, flags, body))  # soon, as there are most of these
        elif kind in SHORTEST:
            found.fault = fault_of(kind, body)
            if kind == INIT and (place > HEADER or end - place - size >= CHUNK_HEADER):
                found.fault = Violation("An INIT of SCTP isn't alone")
            if found.fault is not None:
                return found
            found.chunks.append((kind, flags, body))
        else:
            if kind & 0x40 and size <= LONGEST_REPORT:
                found.unknown.append(packet[place : place + size])
            if not kind & 0x80:
                return found
        place += size + -size % 4
    return found


def fault_of(kind: int, body: bytes) -> Violation | None:
    """Return what is wrong with a chunk of a known type, or None."""
    if len(body) < SHORTEST[kind]:
        return Violation(f"A chunk of SCTP of type {kind} is too short")
    if kind in {DATA, I_DATA}:
        if len(body) == SHORTEST[kind]:
            return Violation("A chunk of SCTP has no data", Cause.NO_USER_DATA)
    elif kind == SACK:
        gaps, duplicates = unpack_from("!HH", body, 8)
        if len(body) < SHORTEST[SACK] + 4 * (gaps + duplicates):
            return Violation("An acknowledgement of SCTP is too short")
    elif kind in {FORWARD_TSN, I_FORWARD_TSN}:
        if (len(body) - 4) % (4 if kind == FORWARD_TSN else 8):
            return Violation("A FORWARD TSN of SCTP ends in the middle of a stream")
    elif kind in WITH_PARAMETERS:
        return _fault_of_parameters(kind, body)
    return None


def _fault_of_parameters(kind: int, body: bytes) -> Violation | None:
    try:
        found = list(parameters(body[SHORTEST[kind] :]))
    except Violation as fault:
        return fault
    if kind in {INIT, INIT_ACK}:
        tag, _, outbound, inbound = unpack_from("!LLHH", body)
        if not (tag and outbound and inbound):
            message = "The beginning of SCTP has a 0 where none may be"
            return Violation(message, Cause.INVALID_PARAMETER)
    elif kind == RECONFIG:
        for number, value in found:
            short = len(value) < RECONFIG_SIZES.get(number, 0)
            if short or (number == 13 and len(value) % 2):
                return Violation(f"The parameter {number} of SCTP is too short")
    return None


def parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and values of parameters, or of causes.

    Raises:
        Violation: The length of one is impossible.
    """
    place = 0
    while place <= len(body) - 4:
        number, size = unpack_from("!HH", body, place)
        if size < 4 or place + size > len(body):
            raise Violation("A parameter of SCTP has an impossible length")
        yield number, body[place + 4 : place + size]
        place += size + -size % 4


def known_parameters(
    found: Iterable[tuple[int, bytes]],
) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """Return the parameters of an INIT to go by, and those whose sender wants to know of it.

    The two upper bits say so, and if those behind it count. (RFC 9260 section 3.2.1)
    """
    known, told = [], []
    for number, value in found:
        if number in INIT_PARAMETERS:
            known.append((number, value))
            continue
        if number & 0x4000:
            told.append(pack("!HH", number, len(value) + 4) + value)
        if not number & 0x8000:
            break
    return known, told
