"""No packet of SCTP is too odd to be read, and what is handed on can be handled."""

from struct import pack

import pytest
from hypothesis import given, settings, strategies

from restartice.seam import checksum_matches, make_chunk
from restartice.transports.sctp_chunks import (
    RECONFIG,
    SHORTEST,
    Cause,
    Violation,
    known_parameters,
    parameters,
    read_packet,
)

HEARTBEAT, PADDING = 4, 132
# Types whose upper bits say: stop; stop and tell; go on; go on and tell.
STOP, STOP_AND_TELL, GO_ON, GO_ON_AND_TELL = 0x0F, 0x41, 0x84, 0xC1

kinds = strategies.one_of(strategies.sampled_from(sorted(SHORTEST)), strategies.integers(0, 255))
bodies = strategies.binary(max_size=64)


def chunk(kind: int, body: bytes = b"", size: int | None = None) -> bytes:
    """Return the bytes of a chunk, which may lie about its size."""
    header = pack("!BBH", kind, 0, len(body) + 4 if size is None else size)
    return header + body + bytes(-len(body) % 4)


def packet(*chunks: bytes, tag: int = 7) -> bytes:
    """Return a packet, without a checksum."""
    return pack("!HHLL", 5000, 5000, tag, 0) + b"".join(chunks)


@settings(max_examples=1000, deadline=None)
@given(
    strategies.lists(
        strategies.tuples(kinds, bodies, strategies.none() | strategies.integers(0, 80))
    )
)
def test_all_that_is_handed_on_can_be_parsed(
    chunks: list[tuple[int, bytes, int | None]],
) -> None:
    found = read_packet(packet(*(chunk(*each) for each in chunks)))
    assert found.tag == 7
    for kind, flags, body in found.chunks:
        assert len(bytes(make_chunk(kind, flags, body))) >= 4
        if kind == RECONFIG:
            assert dict(parameters(body)) is not None


@settings(max_examples=1000, deadline=None)
@given(strategies.binary(min_size=16, max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    read_packet(data)
    checksum_matches(data)


def test_unknown_chunks_say_themselves_what_becomes_of_them() -> None:
    known = chunk(HEARTBEAT)
    for kind, told, goes_on in (
        (STOP, False, False),
        (STOP_AND_TELL, True, False),
        (GO_ON, False, True),
        (GO_ON_AND_TELL, True, True),
    ):
        found = read_packet(packet(known, chunk(kind, b"what"), known))
        assert found.unknown == ([chunk(kind, b"what")] if told else [])
        assert len(found.chunks) == (2 if goes_on else 1)
        assert found.fault is None


def test_chunks_before_a_faulty_one_are_handed_on() -> None:
    found = read_packet(packet(chunk(HEARTBEAT), chunk(HEARTBEAT, size=100)))
    assert len(found.chunks) == 1
    assert isinstance(found.fault, Violation)
    assert found.fault.cause == Cause.PROTOCOL_VIOLATION


def test_unknown_parameters_say_themselves_what_becomes_of_them() -> None:
    streams = (0xC000, b"")  # that one is known
    for number, told, goes_on in (
        (0x0123, False, False),
        (0x4123, True, False),
        (0x8123, False, True),
        (0xC123, True, True),
    ):
        known, unknown = known_parameters([streams, (number, b"what"), streams])
        assert unknown == ([pack("!HH", number, 8) + b"what"] if told else [])
        assert known == ([streams, streams] if goes_on else [streams])


def test_a_parameter_that_is_longer_than_its_chunk_is_a_violation() -> None:
    assert list(parameters(pack("!HH3sx", 5, 7, b"abc"))) == [(5, b"abc")]
    with pytest.raises(Violation, match="impossible length"):
        list(parameters(pack("!HH", 5, 400)))
