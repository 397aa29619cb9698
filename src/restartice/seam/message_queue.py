"""Queues messages of data channels, which take turns."""

from collections import deque
from collections.abc import Iterable, Iterator

import aiortc
from aiortc import rtcsctptransport

__all__ = ["MessageQueue", "Queued", "amount", "content_of"]
# A channel, the protocol of a message, and what it consists of.
Queued = tuple[aiortc.RTCDataChannel, int, bytes]


class MessageQueue:
    """A queue in place of aiortc's deque, in which no channel waits for all messages of another.

    Of each channel that has some, one message is next, and those of a channel stay in order.
    """

    def __init__(self, messages: Iterable[Queued] = ()) -> None:
        # The channel whose turn it is comes first.
        self.waiting: dict[aiortc.RTCDataChannel, deque[Queued]] = {}
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
        if not waiting:
            del self.waiting[channel]
        elif len(self.waiting) > 1:
            # It goes to the end of the line.
            self.waiting[channel] = self.waiting.pop(channel)
        return message

    def replace_last(self, channel: aiortc.RTCDataChannel, message: Queued) -> None:
        """Put another message in place of the one of a channel that was added last."""
        self.waiting[channel][-1] = message

    def of(self, channel: aiortc.RTCDataChannel) -> list[Queued]:
        """Return the messages of a channel."""
        return list(self.waiting.get(channel, ()))

    def heads(self) -> list[Queued]:
        """Return the first message of each channel."""
        return [waiting[0] for waiting in self.waiting.values()]

    def drop_head(self, channel: aiortc.RTCDataChannel) -> None:
        """Remove the first message of a channel."""
        self.waiting[channel].popleft()
        if not self.waiting[channel]:
            del self.waiting[channel]

    def clear(self) -> None:
        """Remove all messages."""
        self.waiting.clear()

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


def amount(protocol: int, content: bytes) -> int:
    """Return how many bytes of the application's a message has."""
    if len(content) > 1:
        return len(content)
    empty = rtcsctptransport.WEBRTC_STRING_EMPTY, rtcsctptransport.WEBRTC_BINARY_EMPTY
    return 0 if protocol in empty else len(content)
