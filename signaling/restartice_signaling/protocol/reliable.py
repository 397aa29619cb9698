"""Lets messages arrive once and in order, over several connections.

Each side numbers its messages, keeps each one until it is acknowledged, and sends the kept ones
again on a new connection. The receiver drops those that it has seen.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from ..errors import BadMessage

__all__ = ["Inbox", "Outbox"]

ACK_AFTER_MESSAGES: Final = 16
ACK_AFTER_SECONDS: Final = 1.0


class Outbox:
    """Messages that aren't acknowledged yet, bounded in number and size.

    Attributes:
        last: The number of the newest message; 0 before the first.
        acknowledged: The number of the newest message that the other side has acknowledged.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes
        self.last = 0
        self.acknowledged = 0
        self._bytes = 0
        self._texts: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def size(self) -> int:
        """The size of the kept messages, in characters."""
        return self._bytes

    def has_room(self, text: str) -> bool:
        """Return whether a message may be added. An empty outbox takes any message."""
        if not self._texts:
            return True
        return len(self._texts) < self.max_count and self._bytes + len(text) <= self.max_bytes

    def append(self, text: str) -> int:
        """Keep a message; return its number."""
        self._texts.append(text)
        self._bytes += len(text)
        self.last += 1
        return self.last

    def acknowledge(self, seq: int) -> None:
        """Drop the messages up to a number.

        Raises:
            BadMessage: That number was never sent.
        """
        if seq > self.last:
            raise BadMessage(f"expected an acknowledgment up to {self.last}, got {seq}")
        while self.acknowledged < seq:
            self._bytes -= len(self._texts.popleft())
            self.acknowledged += 1

    def after(self, seq: int) -> Iterator[tuple[int, str]]:
        """Yield the messages newer than a number, oldest first."""
        skipped = max(0, seq - self.acknowledged)
        for index in range(skipped, len(self._texts)):
            yield self.acknowledged + index + 1, self._texts[index]

    def covers(self, seq: int) -> bool:
        """Return whether all messages after a number are still here."""
        return self.acknowledged <= seq <= self.last


class Inbox:
    """Counts the messages that have come, and says when to acknowledge them.

    Attributes:
        taken: The number of the newest message that has come.
        last: The number of the newest message that has been processed.
    """

    def __init__(self, last: int = 0) -> None:
        self.taken = last
        self.last = last
        self._acknowledged = last
        self._waiting_since: float | None = None

    def take(self, seq: int, now: float) -> bool:
        """Note that a message has come; return whether it is new.

        Raises:
            BadMessage: A message before it is missing.
        """
        if seq > self.taken + 1:
            raise BadMessage(f"seq {seq} came after {self.taken}", seq)
        if seq <= self.last:
            # The sender repeats it because it lacks the acknowledgment.
            self.note(seq, now)
        is_new = seq > self.taken
        self.taken = max(self.taken, seq)
        return is_new

    def note(self, seq: int, now: float) -> None:
        """Note that a message and all before it have been processed."""
        self.last = max(self.last, seq)
        self.taken = max(self.taken, seq)
        if self._waiting_since is None:
            self._waiting_since = now

    def ack_due(self, now: float) -> bool:
        """Return whether it is time to acknowledge."""
        if self._waiting_since is None:
            return False
        enough = self.last - self._acknowledged >= ACK_AFTER_MESSAGES
        return enough or now - self._waiting_since >= ACK_AFTER_SECONDS

    def take_ack(self) -> int | None:
        """Return the number to acknowledge with the next message, or None."""
        if self._waiting_since is None:
            return None
        self._waiting_since = None
        self._acknowledged = self.last
        return self.last or None
