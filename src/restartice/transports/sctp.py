"""SCTP that gets over lost packets, lost paths, and what a peer gets wrong."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from struct import pack
from typing import Any, Final

import aiortc
from aiortc import rtcsctptransport

from ..events import Emitter, tell_error
from ..exceptions import RTCError
from ..ice.transport import RTCIceTransport
from ..seam import AiortcSctpTransport, checksum_matches, gaps_fit, make_chunk
from . import dcep
from .sctp_chunks import CAUSES, SHORTEST_PACKET, Cause, Violation, known_parameters, read_packet

__all__ = ["RTCSctpTransport"]

logger = logging.getLogger(__name__)

# RTO.Initial. (RFC 9260 section 16)
FIRST_TIMEOUT: Final = 1.0
# The longest time between two attempts to set the association up, and how many times the shortest
# it is. RTO.Max would be a minute, in which a channel that could open wouldn't.
LONGEST_DELAY: Final = 3.0
GROWTH: Final = 3
# How far ahead of what is missing data is taken; there are 16 bits to acknowledge it with.
LARGEST_GAP: Final = 1 << 13
# How many bytes beyond what we have said that we take belong to a message that never ends.
OVERFLOW: Final = 1 << 20
HALF: Final = 1 << 31
# How many data channels of the other side there may be at a time, as many as libwebrtc takes.
MOST_CHANNELS: Final = 1024
BEFORE_OPEN: Final = frozenset({"CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED"})


class RTCSctpTransport(Emitter, AiortcSctpTransport):
    """aiortc's SCTP transport, which gets over lost packets, lost paths and faults of a peer.

    What the other side gets wrong ends at most the chunk, the message, the data channel, or the
    association, but neither DTLS nor media. When the association ends otherwise than by close(),
    its data channels emit `error`, with an `RTCError`, before `close`.

    Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
    """

    def __init__(self, transport: aiortc.RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self._errors: list[tuple[int, bytes]] = []
        # The streams on which the other side has opened channels, some of which may be closed.
        self._opened: set[int] = set()
        # How many it could not open; only the first one is told, the others are for debugging.
        self._refusals = 0
        # What looks at a chunk before aiortc handles it, by its type.
        self._checks: dict[int, Callable[[Any], bool]] = {
            rtcsctptransport.DataChunk.type: self._admits_data,
            rtcsctptransport.SackChunk.type: self._admits_sack,
            rtcsctptransport.ForwardTsnChunk.type: self._admits_when_open,
            rtcsctptransport.ReconfigChunk.type: self._admits_when_open,
            rtcsctptransport.ShutdownChunk.type: self._admits_when_open,
            rtcsctptransport.InitChunk.type: self._admits_init,
            rtcsctptransport.InitAckChunk.type: self._admits_init_ack,
            rtcsctptransport.ErrorChunk.type: self._admits_error,
            rtcsctptransport.AbortChunk.type: self._admits_abort,
        }

    # Setting up.

    async def start(
        self,
        remoteCaps: aiortc.RTCSctpCapabilities | None,  # noqa: N803  aiortc's name
        remotePort: int,  # noqa: N803
    ) -> None:
        """Set the association up.

        Args:
            remoteCaps: How large the messages are that the other side takes, or None if it
                hasn't said so.
            remotePort: The SCTP port of the other side.
        """
        # It may have been made for another event loop, or before there was one.
        self.loop = asyncio.get_running_loop()
        self.timeout = min(self.timeout, FIRST_TIMEOUT)
        await super().start(remoteCaps, remotePort)

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        The time doubles, up to a limit. (RFC 9260 section 6.3.3, E2)
        """
        return min(self.timeout * min(1 << failures, GROWTH), LONGEST_DELAY)

    def can_be_answered(self) -> bool:
        """Say if there is a path, so that what isn't answered has failed."""
        ice = self.transport.transport
        return not isinstance(ice, RTCIceTransport) or (ice.sendable and not ice.path_lost)

    def setup_failed(self) -> None:
        """Tell all channels that the other side answers nothing."""
        self.tell_failure("The other side doesn't answer, so that SCTP can't be set up")

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Tell a new channel that it can't open."""
        self.tell_failure("The SCTP transport is closed", [channel])

    def opening_message(self, message: bytes, channel: aiortc.RTCDataChannel) -> bytes:
        """Return the message to open a channel with, given aiortc's.

        Raises:
            TypeError: A name is too long.
        """
        return dcep.write_open(message, channel.label, channel.protocol)

    def tell_failure(
        self,
        message: str,
        channels: Iterable[aiortc.RTCDataChannel] | None = None,
        *,
        detail: str = "sctp-failure",
        cause: int | None = None,
    ) -> None:
        """Emit `error` on data channels, on all of them if none are given.

        Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
        """
        logger.warning("%s", message)
        for channel in self.channels if channels is None else channels:
            tell_error(channel, RTCError(message, detail, cause))

    # Packets.

    async def handle_packet(self, packet: bytes) -> None:
        """Handle what has come in, other than what comes most often.

        Raises:
            Violation: The other side has sent what it may not.
        """
        if self.state == "closed" or len(packet) < SHORTEST_PACKET or not checksum_matches(packet):
            return
        found = read_packet(packet)
        # "If the tag isn't our own, discard the packet." That of an INIT, which is alone, is 0.
        if found.tag != (0 if found.begins else self.local_tag):
            return
        for kind, flags, body in found.chunks:
            chunk = make_chunk(kind, flags, body)
            admits = self._checks.get(kind)
            if admits is None or admits(chunk):
                await self.receive_chunk(chunk)
        if found.fault is not None:
            raise found.fault
        if found.unknown or self._errors:
            await self._tell_errors(found.unknown)
        if self.acknowledgement_due:
            await self.acknowledge()

    async def _tell_errors(self, unknown: Iterable[bytes]) -> None:
        errors, self._errors = self._errors, []
        for cause, value in [*errors, *((Cause.UNKNOWN_CHUNK, chunk) for chunk in unknown)]:
            await self.send_error(cause, value)

    async def handling_failed(self, error: Exception) -> None:
        """End the association, and tell why. (RFC 9260 section 3.3.10.13)."""
        if not isinstance(error, Violation):
            logger.warning("A packet of SCTP couldn't be handled", exc_info=error)
            error = Violation("A packet of SCTP couldn't be handled")
        text = str(error)
        try:
            await self.send_abort(error.cause, text.encode())
        finally:
            self.tell_failure(text, cause=error.cause)
            self.enter_closed()

    def _admits_data(self, chunk: rtcsctptransport.DataChunk) -> bool:
        if not self.is_open:
            return False
        if chunk.stream_id >= self.inbound_streams:
            self._errors.append((Cause.INVALID_STREAM, pack("!HH", chunk.stream_id, 0)))
            self.discard(chunk.tsn)
            return False
        ahead = (chunk.tsn - self.last_received_tsn - 1) % (1 << 32)
        if ahead == 0 and self.window < -OVERFLOW:
            raise Violation("A message is larger than we have said that we take")
        # What isn't taken because something before it is missing will be sent again.
        fits = self.window > 0 and ahead < LARGEST_GAP
        return ahead == 0 or ahead >= HALF or fits

    def _admits_sack(self, chunk: rtcsctptransport.SackChunk) -> bool:
        outstanding = (self.last_sent_tsn - chunk.cumulative_tsn) % (1 << 32)
        if not self.is_open or outstanding >= HALF:
            return False
        if not gaps_fit(chunk.gaps, outstanding):
            chunk.gaps = []
        return True

    def _admits_when_open(self, _: rtcsctptransport.Chunk) -> bool:
        return self.is_open

    def _admits_init(self, chunk: rtcsctptransport.InitChunk) -> bool:
        # aiortc would take the numbers of a late one for those of the association.
        chunk.params, told = known_parameters(chunk.params)
        self.unknown_parameters = tuple(told)
        return self.progress in BEFORE_OPEN

    def _admits_init_ack(self, chunk: rtcsctptransport.InitAckChunk) -> bool:
        if self.progress != "COOKIE_WAIT":
            return False
        chunk.params, told = known_parameters(chunk.params)
        self._errors += [(Cause.UNKNOWN_PARAMETER, parameter) for parameter in told]
        return True

    def _admits_error(self, chunk: rtcsctptransport.ErrorChunk) -> bool:
        """Begin again if that is what an error asks for; no error ends the association."""
        causes = [number for number, _ in chunk.params]
        logger.debug("The other side reports %s", [CAUSES.get(n, n) for n in causes])
        if Cause.STALE_COOKIE in causes and self.progress == "COOKIE_ECHOED":
            self.set_up_again()
        return False

    def _admits_abort(self, chunk: rtcsctptransport.AbortChunk) -> bool:
        cause = next((number for number, _ in chunk.params), None)
        if cause not in {None, Cause.USER_INITIATED}:
            told = CAUSES.get(cause, f"cause {cause}")
            self.tell_failure(f"The other side has aborted SCTP: {told}", cause=cause)
        return True

    # Messages.

    async def receive_message(self, stream: int, protocol: int, message: bytes) -> None:
        """Take a message that is complete; one that can't be closes its channel, and no other.

        (RFC 8831 section 6.6)
        """
        channel = self.channel_on(stream)
        if protocol == dcep.DCEP:
            await self._receive_control(stream, channel, message)
        elif protocol in dcep.PROTOCOLS:
            try:
                await self.deliver(stream, protocol, message)
            except UnicodeDecodeError as error:
                self._fail(channel, f"A message that should be text isn't UTF-8: {error.reason}")
        else:
            self._fail(channel, f"A message has the unknown protocol {protocol}")

    async def _receive_control(
        self, stream: int, channel: aiortc.RTCDataChannel | None, message: bytes
    ) -> None:
        """Take a message of DCEP. (RFC 8832 section 6)."""
        kind = message[0] if message else None
        if kind == dcep.OPEN and channel is not None:
            self._fail(channel, "The other side has opened the data channel once more")
        elif kind == dcep.OPEN:
            await self._open(stream, message)
        elif kind == dcep.ACK and channel is not None:
            self.confirm(stream)
            await self.deliver(stream, dcep.DCEP, message)

    async def _open(self, stream: int, message: bytes) -> None:
        """Open a channel for the other side, or reset its stream.

        Whether the stream is odd or even isn't looked at, as in libwebrtc: the side that opens one
        has to choose rightly, so that both never choose the same. (RFC 8832 section 6)
        """
        try:
            message = dcep.read_open(message)
            self._check_room()
        except ValueError as error:
            level = logging.DEBUG if self._refusals else logging.WARNING
            logger.log(level, "A data channel can't be opened: %s", error)
            self._refusals += 1
            self.reset_stream(stream)
        else:
            self._opened.add(stream)
            await self.deliver(stream, dcep.DCEP, message)
            # Fire an event named `open` at channel, in a task after that of `datachannel`.
            self.loop.call_soon(_announce_open, self.channel_on(stream))

    def _check_room(self) -> None:
        if len(self._opened) >= MOST_CHANNELS:
            self._opened = {s for s in self._opened if self.channel_on(s) is not None}
        if len(self._opened) >= MOST_CHANNELS:
            raise ValueError(f"the other side has {MOST_CHANNELS} already")

    def _fail(self, channel: aiortc.RTCDataChannel | None, message: str) -> None:
        if channel is not None:
            self.tell_failure(message, [channel], detail="data-channel-failure")
            channel.close()


def _announce_open(channel: aiortc.RTCDataChannel | None) -> None:
    """Tell a channel that the other side has opened that it is open, if it still is.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
    """
    if channel is not None and channel.readyState == "open":
        channel.emit("open")
