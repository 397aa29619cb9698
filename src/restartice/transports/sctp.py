"""SCTP that survives lost packets, lost paths, and mistakes of a peer."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from struct import pack
from typing import Any, Final

import aiortc
from aiortc import rtcsctptransport

from ..events import Emitter, tell_error
from ..exceptions import RTCError
from ..ice.transport import core_of
from ..logs import ObjectLogger, next_number
from ..seam import (
    AiortcSctpTransport,
    SctpView,
    checksum_matches,
    gaps_fit,
    make_chunk,
    oldest_unacknowledged,
    repeat_data,
)
from . import dcep
from .sctp_chunks import (
    CAUSES,
    DATA,
    FORWARD_TSN,
    I_DATA,
    I_FORWARD_TSN,
    SHORTEST_PACKET,
    Cause,
    Violation,
    known_parameters,
    read_packet,
)
from .snap import read_init, write_init

__all__ = ["RTCSctpTransport"]

logger = logging.getLogger(__name__)

# RTO.Initial. (RFC 9260 section 16)
FIRST_TIMEOUT: Final = 1.0
# Where ICE knows how long an answer takes, what sets the association up is repeated sooner: twice
# after so many round trips, but no less than so many seconds, and then after twice that and so on.
ROUND_TRIPS: Final = 2
SHORTEST_DELAY: Final = 0.1
# The longest time between two attempts to set the association up, and how many times the shortest
# it is. RTO.Max would be a minute, in which a channel that could open wouldn't.
LONGEST_DELAY: Final = 3.0
GROWTH: Final = 3
# How far ahead of what is missing data is taken; there are 16 bits to acknowledge it with.
LARGEST_GAP: Final = 1 << 13
# How many bytes beyond what we have said that we take belong to a message that never ends.
OVERFLOW: Final = 1 << 20
# How many bytes may be under way when we say that we take no more, as the program reads slowly.
UNDER_WAY: Final = 1 << 18
# The largest message of a side that doesn't tell it, in bytes. (RFC 8841 section 6.1)
DEFAULT_LARGEST: Final = 1 << 16
HALF: Final = 1 << 31
# How many data channels of the other side there may be at a time, as many as libwebrtc takes.
MOST_CHANNELS: Final = 1024
BEFORE_OPEN: Final = frozenset({"CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED"})


class SctpCore(SctpView):
    """The state behind an RTCSctpTransport, which also handles incoming packets."""

    def __init__(self, sctp: "RTCSctpTransport", label: str | None) -> None:
        super().__init__(sctp)
        self.log = ObjectLogger(logger, f"RTCSctpTransport({label or next_number()})")
        self._errors: list[tuple[int, bytes]] = []
        self._early_delays: list[float] = []
        # Whether both descriptions have SCTP, so that its state is `connecting`.
        self.is_negotiated = False
        self._init: str | None = None
        self._first_tsn = 0
        self._silent_tsn = 0
        self._insisting: asyncio.TimerHandle | None = None
        # The streams on which the other side has opened channels, some of which may be closed.
        self._opened: set[int] = set()
        # The channels that it couldn't open; only the first one is a warning.
        self._refusals = 0
        # What looks at a chunk before aiortc handles it, by its type.
        self._checks: dict[int, Callable[[Any], bool]] = {
            DATA: self._admits_data,
            I_DATA: self._admits_data,
            rtcsctptransport.SackChunk.type: self._admits_sack,
            FORWARD_TSN: self._admits_forward_tsn,
            I_FORWARD_TSN: self._admits_forward_tsn,
            rtcsctptransport.ReconfigChunk.type: self._admits_when_open,
            rtcsctptransport.ShutdownChunk.type: self._admits_when_open,
            rtcsctptransport.InitChunk.type: self._admits_init,
            rtcsctptransport.InitAckChunk.type: self._admits_init_ack,
            rtcsctptransport.ErrorChunk.type: self._admits_error,
            rtcsctptransport.AbortChunk.type: self._admits_abort,
        }

    # Setting up.

    def prepare_start(self) -> None:
        """Let the timers run in this event loop, the first one not for long."""
        # It may have been made for another event loop, or before there was one.
        self.loop = asyncio.get_running_loop()
        self.timeout = min(self.timeout, FIRST_TIMEOUT)
        ice = core_of(self.viewed.transport.transport)
        self._early_delays = early_delays(None if ice is None else ice.round_trip_time)

    @property
    def init(self) -> str:
        """The form of our INIT for descriptions."""
        if self._init is None:
            self._init = write_init(self.make_init())
        return self._init

    def takes_init(self, told: str | None) -> bool:
        """Return whether an offer's INIT is answered with ours, or was when SCTP began."""
        if self.phase != "new":
            return self.remote_init is not None
        return told is not None and told != self.init and read_init(told) is not None

    def agree(self, ours: str | None, theirs: str | None) -> None:
        """Note the INITs of both descriptions, before SCTP begins.

        libdatachannel repeats in its answer what it doesn't know in an offer, such as our INIT.
        """
        if self.phase == "new":
            agreed = ours is not None and self.takes_init(theirs)
            self.remote_init = read_init(theirs) if agreed and theirs is not None else None

    def negotiated(self, capabilities: aiortc.RTCSctpCapabilities | None) -> None:
        """Note that both descriptions have SCTP, and what the other side's says of its messages.

        Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
        """
        size = DEFAULT_LARGEST if capabilities is None else capabilities.maxMessageSize
        self.largest_message = size
        begins = self.viewed.state == "new"
        self.is_negotiated = True
        if begins:
            self.viewed.emit("statechange")

    def prepare_parameters(self, chunk: rtcsctptransport.InitAckChunk) -> None:
        """Leave the parameters to go by in an INIT."""
        chunk.params, _ = known_parameters(chunk.params)

    def insist(self, failures: int = 0) -> None:
        """Send the first data again soon that isn't acknowledged, as nothing else was sent before.

        Otherwise that is the INIT, or the cookie.
        """
        if not failures:
            self._first_tsn = (self.last_sent_tsn + 1) % (1 << 32)
            self._silent_tsn = self.last_received_tsn
        established = self.remote_init is not None and self.viewed.state == "connected"
        if established and failures < len(self._early_delays):
            delay = self._early_delays[failures]
            self._insisting = self.loop.call_later(delay, self._repeat_first, failures)

    @property
    def is_unproven(self) -> bool:
        """Whether the INITs of the descriptions may be wrong: nothing has come or arrived yet."""
        nothing_came = self.last_received_tsn == self._silent_tsn
        return self.remote_init is not None and nothing_came and not self.has_arrived

    def begin_again(self) -> None:
        """Begin the handshake that the descriptions saved, if they seem to be of another call.

        Meanwhile the association stays established: what they say may be right, and packets lost.
        """
        if self.is_unproven and self.progress == "ESTABLISHED" and not self.is_asking:
            self.log.info("repeats the INIT of its description, as nothing arrives")
            self.ask(read_init(self.init))

    def is_set_up(self) -> bool:
        """Return whether an answer to what sets the association up isn't needed any more."""
        return self.progress == "ESTABLISHED" and not self.is_unproven

    def confirm_loss(self) -> None:
        """Note that all in flight counts as lost."""
        self.begin_again()

    def closed(self) -> None:
        """Repeat nothing any more."""
        if self._insisting is not None:
            self._insisting.cancel()
            self._insisting = None

    def _repeat_first(self, failures: int) -> None:
        oldest = oldest_unacknowledged(self.viewed)
        # Acknowledgements may be delayed, but the peer answers to the opening of a channel at once.
        silent = self.last_received_tsn == self._silent_tsn
        if silent and oldest is not None and oldest.tsn == self._first_tsn:
            repeat_data(self.viewed)
            self.insist(failures + 1)

    def retry_delay(self, failures: int) -> float:
        """Return how long to wait for an answer to what sets the association up, in seconds.

        The time doubles, up to a limit. (RFC 9260 section 6.3.3, E2)
        """
        early = len(self._early_delays)
        if failures < early:
            return self._early_delays[failures]
        return min(self.timeout * min(1 << failures - early, GROWTH), LONGEST_DELAY)

    def has_failed(self, failures: int) -> bool:
        """Return whether what sets the association up went unanswered too often.

        The early ones don't count, so that it isn't given up any sooner.
        """
        return failures > len(self._early_delays) + rtcsctptransport.SCTP_MAX_INIT_RETRANS

    def can_be_answered(self) -> bool:
        """Return whether there is a path, so that a missing answer is a failure."""
        ice = core_of(self.viewed.transport.transport)
        return ice is None or (ice.sendable and not ice.path_lost)

    def setup_failed(self) -> None:
        """Fail all channels: the other side doesn't answer."""
        self.tell_failure("The other side doesn't answer, so that SCTP can't be set up")

    def transport_failed(self) -> None:
        """Fail all channels, as DTLS has failed, which is in the log already.

        Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
        """
        if self.viewed.state != "closed":
            for channel in self.channels:
                tell_error(channel, RTCError("DTLS has failed", "sctp-failure", None))
            self.enter_closed()

    def opened_at_once(self, channel: aiortc.RTCDataChannel) -> None:
        """Let a new channel emit `open` in a later task, when its maker listens to it."""
        self.loop.call_soon(_announce_open, channel)

    def channel_refused(self, channel: aiortc.RTCDataChannel) -> None:
        """Fail a new channel, which can't open."""
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
        level: int = logging.WARNING,
    ) -> None:
        """Emit `error` on data channels, on all of them if none are given.

        Spec: https://w3c.github.io/webrtc-pc/#rtcerror-interface
        """
        self.log.log(level, "%s", message)
        for channel in self.channels if channels is None else channels:
            tell_error(channel, RTCError(message, detail, cause))

    # Packets.

    async def handle_packet(self, packet: bytes) -> None:
        """Handle what has come in, other than what comes most often.

        Raises:
            Violation: The other side has sent what it may not.
        """
        if (
            self.viewed.state == "closed"
            or len(packet) < SHORTEST_PACKET
            or not checksum_matches(packet)
        ):
            return
        found = read_packet(packet)
        # "If the tag isn't our own, discard the packet." That of an INIT, which is alone, is 0.
        if found.tag != (0 if found.begins else self.local_tag):
            self.begin_again()
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
        """Abort the association with a cause. (RFC 9260 section 3.3.10.13)."""
        if not isinstance(error, Violation):
            self.log.warning("a packet couldn't be handled", exc_info=error)
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
        if (chunk.type == I_DATA) != self.interleaves:
            raise Violation("Messages are interleaved unlike both sides have said")
        if chunk.stream_id >= self.inbound_streams:
            self._errors.append((Cause.INVALID_STREAM, pack("!HH", chunk.stream_id, 0)))
            self.discard(chunk.tsn)
            return False
        ahead = (chunk.tsn - self.last_received_tsn - 1) % (1 << 32)
        if ahead >= LARGEST_GAP:
            self.begin_again()
        if ahead == 0 and self.window + self.unread < -OVERFLOW:
            raise Violation("A message is larger than our a=max-message-size, or in small pieces")
        # What isn't taken will be sent again: it comes too early, or the program reads slowly.
        fits = self.window > (-UNDER_WAY if self.unread else 0) and ahead < LARGEST_GAP
        if fits or ahead >= HALF or (ahead == 0 and not self.unread):
            return True
        if ahead == 0:
            self.kept = chunk
        self.acknowledgement_due = True
        return False

    def _admits_sack(self, chunk: rtcsctptransport.SackChunk) -> bool:
        outstanding = (self.last_sent_tsn - chunk.cumulative_tsn) % (1 << 32)
        if not self.is_open or outstanding >= HALF:
            return False
        if not gaps_fit(chunk.gaps, outstanding):
            chunk.gaps = []
        self.take_window(chunk)
        return True

    def _admits_forward_tsn(self, chunk: rtcsctptransport.Chunk) -> bool:
        if self.is_open and (chunk.type == I_FORWARD_TSN) != self.interleaves:
            raise Violation("Messages are given up unlike both sides have said")
        return self.is_open

    def _admits_when_open(self, _: rtcsctptransport.Chunk) -> bool:
        return self.is_open

    def _admits_init(self, chunk: rtcsctptransport.InitChunk) -> bool:
        # aiortc would take the numbers of a late one for those of the association. One of a side
        # that lacks our description's INIT, or has another call's, comes before anything else.
        lacks_ours = self.is_unproven
        if lacks_ours:
            self._silent_tsn = (chunk.initial_tsn - 1) % (1 << 32)
        chunk.params, told = known_parameters(chunk.params)
        self.unknown_parameters = tuple(told)
        return lacks_ours or self.progress in BEFORE_OPEN

    def _admits_init_ack(self, chunk: rtcsctptransport.InitAckChunk) -> bool:
        if self.is_asking and self.is_unproven:
            self._silent_tsn = (chunk.initial_tsn - 1) % (1 << 32)
            self.await_cookie()
        elif self.progress != "COOKIE_WAIT":
            return False
        chunk.params, told = known_parameters(chunk.params)
        self._errors += [(Cause.UNKNOWN_PARAMETER, parameter) for parameter in told]
        return True

    def _admits_error(self, chunk: rtcsctptransport.ErrorChunk) -> bool:
        """Begin again if that is what an error asks for; no error ends the association."""
        causes = [number for number, _ in chunk.params]
        self.log.debug("the other side reports %s", [CAUSES.get(n, n) for n in causes])
        if Cause.STALE_COOKIE in causes and self.progress == "COOKIE_ECHOED":
            self.set_up_again()
        return False

    def _admits_abort(self, chunk: rtcsctptransport.AbortChunk) -> bool:
        cause = next((number for number, _ in chunk.params), None)
        if cause in {None, Cause.USER_INITIATED}:
            text, level = "The other side has closed the connection", logging.DEBUG
        else:
            told = CAUSES.get(cause, f"cause {cause}")
            text, level = f"The other side has aborted SCTP: {told}", logging.WARNING
        self.tell_failure(text, cause=cause, level=level)
        return True

    # Messages.

    async def receive_message(self, stream: int, protocol: int, message: bytes) -> None:
        """Handle a message that is complete; one that can't be closes its channel, and no other.

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
        """Handle a message of DCEP. (RFC 8832 section 6)."""
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
            self.log.log(level, "a data channel can't be opened: %s", error)
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


class RTCSctpTransport(Emitter, AiortcSctpTransport):
    """aiortc's SCTP transport, which survives lost packets, lost paths and faults of a peer.

    A mistake of the other side ends at most the chunk, the message, the data channel, or the
    association, but neither DTLS nor media. When the association ends otherwise than by our
    close(), its data channels emit `error`, with an `RTCError`, before `close`.

    Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
    """

    _core: SctpCore

    def __init__(
        self, transport: aiortc.RTCDtlsTransport, port: int = 5000, *, label: str | None = None
    ) -> None:
        self._core = SctpCore(self, label)
        super().__init__(transport, port)

    @property
    def state(self) -> str:
        """The state: `new`, `connecting` once it is negotiated, `connected` or `closed`.

        Each change fires `statechange`.
        """
        phase = self._core.phase
        return "connecting" if phase == "new" and self._core.is_negotiated else phase

    @property
    def maxMessageSize(self) -> float:  # noqa: N802  the specification's name
        """The largest message that send() takes, in bytes; infinite if the peer takes any size.

        Spec: https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface
        """
        return self._core.largest_message or math.inf

    async def start(
        self,
        remoteCaps: aiortc.RTCSctpCapabilities | None,  # noqa: N803  aiortc's name
        remotePort: int,  # noqa: N803
    ) -> None:
        """Set up the association.

        Args:
            remoteCaps: The size of the largest message that the other side accepts, in bytes; None
                if it hasn't said.
            remotePort: The SCTP port of the other side.
        """
        self._core.prepare_start()
        begins = self._core.phase == "new"
        await super().start(remoteCaps, remotePort)
        if begins:
            self._core.insist()


def early_delays(round_trip: float | None) -> list[float]:
    """Return after how many seconds each the first repetitions come, before those of the RFC.

    Args:
        round_trip: How long an answer takes, in seconds, or None if that isn't known.
    """
    delays: list[float] = []
    delay = FIRST_TIMEOUT if round_trip is None else max(SHORTEST_DELAY, ROUND_TRIPS * round_trip)
    while delay < FIRST_TIMEOUT:
        delays.append(delay)
        delay *= min(2, len(delays))
    return delays


def _announce_open(channel: aiortc.RTCDataChannel | None) -> None:
    """Fire `open` at a channel that was open before anything could listen, if it still is.

    Spec: https://w3c.github.io/webrtc-pc/#dom-rtcdatachannel
    """
    if channel is not None and channel.readyState == "open":
        channel.emit("open")
