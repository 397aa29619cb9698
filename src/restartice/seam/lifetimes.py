"""Messages of data channels whose lifetime begins with send()."""

import time
from collections import deque
from collections.abc import Coroutine, Iterable
from itertools import islice
from typing import Any

import aiortc
from aiortc import rtcdatachannel, rtcsctptransport
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, DataChunk

from .acknowledged import Options
from .message_queue import Remainder, amount, content_of
from .names import require
from .recovering import Recovering, RecoveringSctpTransport

__all__ = ["ExpiringSctpTransport", "Lifetimes"]

_SCTP = rtcsctptransport.RTCSctpTransport

for _name in ("_data_channel_queue", "_outbound_queue", "_sent_queue"):
    require(_SCTP, _name)
for _method in (
    "_data_channel_send",
    "_maybe_abandon",
    "_transmit",
    "_update_advanced_peer_ack_point",
):
    require(_SCTP, _method)
for _name in ("_abandoned", "_expiry", "_retransmit"):
    require(DataChunk, _name)
require(rtcdatachannel.RTCDataChannel, "_addBufferedAmount")


class _Message(bytes):
    """A message that waits, and by when it has to be sent, as time.time() has it."""

    expiry: float

    @property
    def expired(self) -> bool:
        return self.expiry < time.time()


class Lifetimes(Recovering):
    """The lifetimes of messages.

    Attributes:
        has_lifetimes: Whether some have one.
        given_up: How many messages were given up, as their lifetime was over, or as they were sent
            as often as they may be.
    """

    has_lifetimes = False
    given_up = 0

    def queue_message(self, stream: int, protocol: int, content: Any, options: Options) -> int:
        """Divide a message into chunks, unless it has expired."""
        if type(content) is _Message:
            if content.expired:
                self.given_up += 1
                if channel := options["channel"]:
                    channel._addBufferedAmount(-len(content))
                return 0
            options["expiry"] = content.expiry
        return super().queue_message(stream, protocol, content, options)

    def drop_expired(self) -> None:
        """Drop messages that wait and have expired."""
        if self.has_lifetimes:
            _drop_expired(self.viewed)


class ExpiringSctpTransport(RecoveringSctpTransport):
    """aiortc's SCTP transport, in which the lifetime of a message begins with send().

    aiortc's begins when a message leaves the queue, which may be long after an outage began, and
    what was never sent doesn't expire.
    """

    _core: Lifetimes

    def _data_channel_send(self, channel: aiortc.RTCDataChannel, data: bytes | str) -> None:
        super()._data_channel_send(channel, data)
        if channel.maxPacketLifeTime:
            self._core.has_lifetimes = True
            protocol, content = content_of(data)
            message = _Message(content)
            message.expiry = time.time() + channel.maxPacketLifeTime / 1000
            self._data_channel_queue.replace_last(channel, (channel, protocol, message))

    def _transmit(self) -> Coroutine[Any, Any, None]:
        # No coroutine of its own, as it is called for each packet.
        if self._core.has_lifetimes:
            _abandon_expired(self)
        return super()._transmit()

    def _maybe_abandon(self, chunk: DataChunk) -> bool:
        before = chunk._abandoned
        # With all others of its message.
        abandoned = super()._maybe_abandon(chunk)
        self._core.given_up += abandoned and not before
        return abandoned


def _drop_expired(sctp: ExpiringSctpTransport) -> None:
    """Drop what has expired at the heads of the queue."""
    # There is nothing to tell the other side, unless it has got a part.
    queue = sctp._data_channel_queue
    dropped = True
    while dropped:
        dropped = False
        for channel, protocol, content in queue.heads():
            if type(content) is _Message and content.expired:
                queue.drop_head(channel)
                channel._addBufferedAmount(-amount(protocol, content))
            elif type(content) is Remainder and content.expired:
                sctp._core.give_up({**content.fields, "flags": content.flags})
                sctp._update_advanced_peer_ack_point()
            else:
                continue
            sctp._core.given_up += 1
            dropped = True


def _abandon_expired(sctp: ExpiringSctpTransport) -> None:
    """Give up what would be sent, again or for the first time, and is too old for that.

    (RFC 3758 section 3.5, A3)
    """
    now = time.time()
    sent, unsent = sctp._sent_queue, sctp._outbound_queue
    old: list[DataChunk] = []
    if sctp._core.repeating:
        old = [c for c in sent if c._retransmit and c._expiry is not None and c._expiry < now]
    for chunk in old:
        sctp._maybe_abandon(chunk)
    if sctp._core.interleaves:
        for chunk in [chunk for chunk in unsent if _is_old(chunk, now)]:
            sctp._maybe_abandon(chunk)
            old.append(chunk)
        unsent = deque()
    if sent and unsent and not sent[-1].flags & SCTP_DATA_LAST_FRAG and _is_old(unsent[0], now):
        # The beginning of the same message.
        sctp._maybe_abandon(sent[-1])
        old.append(unsent[0])
    for place, chunk in enumerate(unsent):
        if chunk.flags & SCTP_DATA_FIRST_FRAG and _is_old(chunk, now):
            sctp._core.given_up += 1
            _abandon_first(islice(unsent, place, None))
            old.append(chunk)
    if old:
        sctp._update_advanced_peer_ack_point()


def _is_old(chunk: DataChunk, now: float) -> bool:
    """Return whether a chunk has expired, and isn't abandoned yet."""
    return chunk._expiry is not None and chunk._expiry < now and not chunk._abandoned


def _abandon_first(unsent: Iterable[DataChunk]) -> None:
    """Abandon the first message of what was never sent."""
    for chunk in unsent:
        chunk._abandoned = True
        if chunk.flags & SCTP_DATA_LAST_FRAG:
            break
