"""Queues messages of data channels, which take turns."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import aiortc
from aiortc import rtcsctptransport

__all__ = ["MessageQueue", "Queued", "Remainder", "amount", "content_of"]


@dataclass(eq=False)
class Remainder:
    """A message whose first fragments have been taken from the queue.

    Attributes:
        content: The whole message.
        protocol: Its payload protocol.
        fields: What its chunks have in common.
        flags: The flags of each of them.
        expiry: By when it has to be sent, as time.time() has it, or None.
        position: How many of its bytes have been taken.
        fragment: How many fragments that is.
    """

    content: bytes
    protocol: int
    fields: dict[str, Any]
    flags: int
    expiry: float | None
    position: int = 0
    fragment: int = 0

    @property
    def expired(self) -> bool:
        """Whether its lifetime is over."""
        return self.expiry is not None and self.expiry < time.time()

    def __len__(self) -> int:
        return len(self.content) - self.position


# A channel, the protocol of a message, and what it consists of: bytes, or a Remainder.
Queued = tuple[aiortc.RTCDataChannel, int, Any]


class MessageQueue:
    """A queue in place of aiortc's deque, in which no channel waits for all messages of another.

    Of each channel that has some, one message is next, and those of a channel stay in order.
    """

    def __init__(self, messages: Iterable[Queued] = ()) -> None:
        # The channel whose turn it is comes first.
        self.waiting: dict[aiortc.RTCDataChannel, deque[Queued]] = {}
        # How many remainders there are.
        self.begun = 0
        for message in messages:
            self.append(message)

    def append(self, message: Queued) -> None:
        """Add a message."""
        waiting = self.waiting.get(message[0])
        if waiting is None:
            self.waiting[message[0]] = deque((message,))
        else:
            waiting.append(message)

    def popleft(self) -> Queued:
        """Remove the next message, and return it.

        Raises:
            StopIteration: There is none.
        """
        channel = next(iter(self.waiting))
        waiting = self.waiting[channel]
        message = waiting.popleft()
        self.begun -= type(message[2]) is Remainder
        if not waiting:
            del self.waiting[channel]
        elif len(self.waiting) > 1:
            # It goes to the end of the line.
            self.waiting[channel] = self.waiting.pop(channel)
        return message

    def put_back(self, message: Queued) -> None:
        """Put a message, or what is left of it, before the others of its channel."""
        self.begun += type(message[2]) is Remainder
        self.waiting.setdefault(message[0], deque()).appendleft(message)

    def replace_last(self, channel: aiortc.RTCDataChannel, message: Queued) -> None:
        """Put another message in place of the one of a channel that was added last."""
        self.waiting[channel][-1] = message

    def of(self, channel: aiortc.RTCDataChannel) -> list[Queued]:
        """Return the messages of a channel."""
        return list(self.waiting.get(channel, ()))

    def first_of(self, channel: aiortc.RTCDataChannel | None) -> bytes | Remainder | None:
        """Return the next message of a channel, or None."""
        waiting = None if channel is None else self.waiting.get(channel)
        return waiting[0][2] if waiting else None

    def heads(self) -> list[Queued]:
        """Return the first message of each channel."""
        return [waiting[0] for waiting in self.waiting.values()]

    def drop_head(self, channel: aiortc.RTCDataChannel) -> None:
        """Remove the first message of a channel."""
        self.begun -= type(self.waiting[channel].popleft()[2]) is Remainder
        if not self.waiting[channel]:
            del self.waiting[channel]

    def clear(self) -> None:
        """Remove all messages."""
        self.waiting.clear()
        self.begun = 0

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def __len__(self) -> int:
        return sum(map(len, self.waiting.values()))

    def __iter__(self) -> Iterator[Queued]:
        for waiting in self.waiting.values():
            yield from waiting


def content_of(data: bytes | str) -> tuple[int, bytes]:
    """Return how a message is sent: its protocol, and at least one byte. (RFC 8831 section 6.6)."""
    if isinstance(data, str):
        if data:
            return rtcsctptransport.WEBRTC_STRING, data.encode()
        return rtcsctptransport.WEBRTC_STRING_EMPTY, b"\0"
    if data:
        return rtcsctptransport.WEBRTC_BINARY, data
    return rtcsctptransport.WEBRTC_BINARY_EMPTY, b"\0"


def amount(protocol: int, content: bytes | Remainder) -> int:
    """Return how many bytes of the application's a message has."""
    if len(content) > 1:
        return len(content)
    empty = rtcsctptransport.WEBRTC_STRING_EMPTY, rtcsctptransport.WEBRTC_BINARY_EMPTY
    return 0 if protocol in empty else len(content)
