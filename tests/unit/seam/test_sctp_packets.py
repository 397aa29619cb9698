"""What is taken without a second look is what would be taken with one."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import pack
from typing import Any

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import DataChunk, HeartbeatChunk, SackChunk, serialize_packet

from restartice import RTCPeerConnection
from restartice.seam import make_chunk
from restartice.seam.sctp_packets import usual_chunks
from restartice.transports.sctp_chunks import read_packet

EXAMPLES = 20_000
STREAMS, LAST_RECEIVED, NEXT_TO_SEND = 8, 5000, 2000


@asynccontextmanager
async def closing_at_end() -> AsyncIterator[RTCPeerConnection]:
    pc = RTCPeerConnection()
    try:
        yield pc
    finally:
        sctp: Any = pc.sctp
        sctp._association_state = sctp.State.CLOSED
        await pc.close()


def association(pc: RTCPeerConnection, *, window: int) -> Any:
    """Return the SCTP transport, in the middle of an association, whose methods tests use."""
    pc.createDataChannel("numbers")
    sctp: Any = pc.sctp
    sctp._association_state = sctp.State.ESTABLISHED
    sctp._inbound_streams_count, sctp._advertised_rwnd = STREAMS, window
    sctp._last_received_tsn, sctp._local_tsn = LAST_RECEIVED, NEXT_TO_SEND
    return sctp


def some_chunk(chance: random.Random) -> Any:
    kind = chance.choice([DataChunk, DataChunk, SackChunk, SackChunk, HeartbeatChunk])
    chunk: Any = kind(flags=chance.randrange(8))
    if kind is DataChunk:
        chunk.tsn = (LAST_RECEIVED + chance.choice([-1, 0, 1, 2, 300, 1 << 14, 1 << 31])) % 2**32
        chunk.stream_id, chunk.stream_seq = chance.randrange(10), chance.randrange(1 << 16)
        chunk.protocol, chunk.user_data = chance.randrange(1 << 32), bytes(chance.randrange(6))
    elif kind is SackChunk:
        chunk.cumulative_tsn = (NEXT_TO_SEND + chance.choice([-20, -2, -1, 0, 1])) % 2**32
        chunk.advertised_rwnd = chance.randrange(1 << 32)
        ends = sorted(chance.randrange(0, 22) for _ in range(2 * chance.randrange(4)))
        chunk.gaps = list(zip(ends[::2], ends[1::2], strict=True))
        chunk.duplicates = [chance.randrange(1 << 32) for _ in range(chance.randrange(3))]
    return chunk


def some_packet(chance: random.Random, tag: int) -> bytes:
    """Return a packet, with the right checksum, in which something may be wrong."""
    made = serialize_packet(5000, 5000, chance.choice([tag, tag, tag, 0]), some_chunk(chance))
    body = bytearray(made[12:])
    if not chance.randrange(4):
        body += bytes(some_chunk(chance))
    if not chance.randrange(4):
        body[chance.randrange(min(16, len(body)))] = chance.randrange(256)
    if not chance.randrange(4):
        del body[-chance.randrange(1, 5) :]
    checksum: Any = vars(rtcsctptransport)["crc32c"]
    told = checksum(made[:8] + bytes(4) + body)
    return made[:8] + pack("<L", told ^ (not chance.randrange(8))) + body


async def test_what_is_taken_at_once_is_what_would_be_taken() -> None:
    chance = random.Random(1)
    taken = []
    for window in (1, 0):
        async with closing_at_end() as pc:
            sctp = association(pc, window=window)
            for _ in range(EXAMPLES):
                packet = some_packet(chance, sctp._local_verification_tag)
                usual = usual_chunks(sctp, packet)
                if usual is None:
                    continue
                chunks = usual if isinstance(usual, list) else [usual]
                taken.append((type(chunks[0]), len(chunks)))
                found = read_packet(packet)
                assert (found.tag, found.fault) == (sctp._local_verification_tag, None)
                assert found.unknown == []
                for chunk, raw in zip(chunks, found.chunks, strict=True):
                    again = make_chunk(*raw)
                    assert vars(again) == vars(chunk)
                    gaps = list(getattr(again, "gaps", []))
                    assert sctp._core._checks[again.type](again)
                    assert getattr(again, "gaps", []) == gaps, "none is dropped as impossible"
    assert len(taken) > EXAMPLES / 10
    assert set(taken) == {(DataChunk, 1), (DataChunk, 2), (SackChunk, 1)}


async def test_nothing_is_taken_before_the_association_is_open_or_after_its_end() -> None:
    async with closing_at_end() as pc:
        sctp = association(pc, window=1)
        data: Any = DataChunk()
        data.tsn, data.user_data = LAST_RECEIVED + 1, b"text"
        packet = serialize_packet(5000, 5000, sctp._local_verification_tag, data)
        assert usual_chunks(sctp, packet) is not None
        for state in (sctp.State.COOKIE_WAIT, sctp.State.CLOSED):
            sctp._association_state = state
            assert usual_chunks(sctp, packet) is None
