"""Establishes an association of aiortc's with INITs that both sides know from descriptions."""

from typing import TYPE_CHECKING

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import CookieAckChunk, InitAckChunk, InitChunk

from .names import require

if TYPE_CHECKING:
    from .sctp import AiortcSctpTransport

__all__ = ["establish", "make_init"]

_SCTP = rtcsctptransport.RTCSctpTransport
for _name in (
    "_advertised_rwnd",
    "_inbound_streams_max",
    "_local_tsn",
    "_local_verification_tag",
    "_outbound_streams_count",
    "_receive_chunk",
    "_set_extensions",
    "_set_state",
):
    require(_SCTP, _name)
# What stands before the rest of a chunk.
HEADER = 4


def make_init(sctp: "AiortcSctpTransport") -> bytes:
    """Return the INIT that an SCTP transport sends when it starts."""
    chunk = InitChunk()
    chunk.initiate_tag = sctp._local_verification_tag
    chunk.advertised_rwnd = sctp._advertised_rwnd
    chunk.outbound_streams = sctp._outbound_streams_count
    chunk.inbound_streams = sctp._inbound_streams_max
    chunk.initial_tsn = sctp._local_tsn
    sctp._set_extensions(chunk.params)
    return bytes(chunk)


async def establish(sctp: "AiortcSctpTransport", init: bytes) -> None:
    """Establish the association with the peer's INIT. The peer must know ours."""
    # An INIT ACK has the same fields, and a cookie, which isn't needed.
    told = InitAckChunk(body=init[HEADER:])
    sctp._core.prepare_parameters(told)
    first_packet = sctp._core.first_packet
    first_packet.first_tsn = sctp._local_tsn
    first_packet.muted = True
    try:
        sctp._set_state(sctp.State.COOKIE_WAIT)
        await sctp._receive_chunk(told)
        await sctp._receive_chunk(CookieAckChunk())
    finally:
        first_packet.muted = False
