"""Opens data channels in the packet of the COOKIE ECHO that sets up an SCTP association.

This saves a round trip. "The COOKIE ECHO chunk MAY be bundled with any pending outbound DATA
chunks, but it MUST be the first chunk in the packet and until the COOKIE ACK is returned the sender
MUST NOT send any other packets to the peer." (RFC 9260 section 5.1)
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import Chunk, CookieEchoChunk, DataChunk, InitAckChunk, InitChunk

from .interleaved_chunks import I_DATA_HEADER
from .names import require
from .outbound import Bundle
from .sending import SendingSctpTransport, register_channel

__all__ = ["FirstPacket"]

_SCTP = rtcsctptransport.RTCSctpTransport
_ECHOED = _SCTP.State.COOKIE_ECHOED

for _name in ("_association_state", "_data_channel_queue", "_sent_queue", "_t1_chunk"):
    require(_SCTP, _name)
require(DataChunk, "_acked")

# How many bytes of chunks fit in a packet, and how many a message needs in addition.
ROOM: Final = rtcsctptransport.SCTP_MAX_PACKET_LENGTH - 12
DATA_HEADER: Final = I_DATA_HEADER + 3


class Together(list[Chunk]):
    """Chunks of one packet."""

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self))


class FirstPacket:
    """Sends the packets of an SCTP transport until its association is established.

    Args:
        sctp: The transport.
        send_chunk: Sends a packet with a chunk.

    Attributes:
        muted: Whether nothing is sent.
        first_tsn: The initial TSN of our INIT, once the peer is told it.
    """

    def __init__(
        self, sctp: SendingSctpTransport, send_chunk: Callable[[Chunk], Coroutine[Any, Any, None]]
    ) -> None:
        self.sctp = sctp
        self.send_chunk = send_chunk
        self.collected: Together | None = None
        self.muted = False
        self.first_tsn: int | None = None

    def send(self, chunk: Chunk) -> Coroutine[Any, Any, None]:
        """Send a chunk, or add it to the packet that is being made."""
        if self.muted:
            return _wait_for_nothing()
        is_data = isinstance(chunk, DataChunk | Bundle)
        if is_data and self.collected is not None:
            self.collected.append(chunk)
            return _wait_for_nothing()
        if isinstance(chunk, InitChunk | InitAckChunk):
            # An INIT ACK, or a second INIT, repeats the first INIT's TSN (RFC 9260 section 5.2.1),
            # although data may have been sent since.
            if self.first_tsn is None:
                self.first_tsn = chunk.initial_tsn
            chunk.initial_tsn = self.first_tsn
        elif isinstance(chunk, CookieEchoChunk):
            return self.send_cookie(chunk)
        elif is_data and self.cookie is not None:
            return self.send_together(Together([self.cookie, chunk]))
        return self.send_chunk(chunk)

    @property
    def cookie(self) -> Chunk | None:
        """The COOKIE ECHO that isn't acknowledged, or None."""
        sctp = self.sctp
        return sctp._t1_chunk if sctp._association_state is _ECHOED else None

    async def send_cookie(self, cookie: Chunk) -> None:
        """Send the COOKIE ECHO, unacknowledged data, and the OPEN messages of new channels."""
        sent = (chunk for chunk in self.sctp._sent_queue if not chunk._acked)
        self.collected = together = Together([cookie, *sent])
        try:
            if self.queue_openings(ROOM - len(bytes(together))):
                await self.sctp._transmit()
        finally:
            self.collected = None
        await self.send_together(together)

    def send_together(self, chunks: Together) -> Coroutine[Any, Any, None]:
        """Send chunks in one packet."""
        # aiortc needs only the bytes of a chunk.
        return self.send_chunk(cast("Chunk", chunks))

    def queue_openings(self, room: int) -> bool:
        """Queue the OPEN messages that fit in a packet; return whether there are any."""
        queue: Any = self.sctp._data_channel_queue
        found = False
        for channel, protocol, message in queue.heads():
            room -= DATA_HEADER + len(message)
            if protocol != rtcsctptransport.WEBRTC_DCEP or room < 0:
                break
            queue.drop_head(channel)
            if (stream := channel.id) is None:
                stream = register_channel(self.sctp, channel)
            self.sctp._core.queue_control(stream, message)
            found = True
        return found


async def _wait_for_nothing() -> None:
    """Send nothing now."""
