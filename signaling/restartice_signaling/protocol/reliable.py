"""What makes messages arrive once and in order, over connections that come and go.

Both sides number what they send, keep it until it is acknowledged, and send it again when a
connection has taken another's place; a receiver drops what it has seen.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from ..errors import BadMessage

__all__ = ["Inbox", "Outbox"]

ACK_AFTER_MESSAGES: Final = 16
ACK_AFTER_SECONDS: Final = 1.0


class Outbox:
    """What was sent and isn't acknowledged yet, bounded in count and bytes.

    Attributes:
        last: The number of the newest message; 0 if there has been none.
        acknowledged: Up to where the other side has seen all.
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
        """How much is kept, in characters."""
        return self._bytes

    def has_room(self, text: str) -> bool:
        """Say if a message may be added. One is always taken when there is none."""
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
        """Forget what the other side has seen.

        Raises:
            BadMessage: It was never sent.
        """
        if seq > self.last:
            raise BadMessage(f"{seq} is acknowledged, and was never sent")
        while self.acknowledged < seq:
            self._bytes -= len(self._texts.popleft())
            self.acknowledged += 1

    def after(self, seq: int) -> Iterator[tuple[int, str]]:
        """Yield the messages newer than a number, oldest first."""
        skipped = max(0, seq - self.acknowledged)
        for index in range(skipped, len(self._texts)):
            yield self.acknowledged + index + 1, self._texts[index]

    def covers(self, seq: int) -> bool:
        """Say if everything after a number is still here, so that nothing would be missing."""
        return self.acknowledged <= seq <= self.last


class Inbox:
    """What has come, what of it has been dealt with, and when that is to be acknowledged.

    Attributes:
        taken: The number of the newest message that has come.
        last: The number of the newest message that has been dealt with.
    """

    def __init__(self, last: int = 0) -> None:
        self.taken = last
        self.last = last
        self._acknowledged = last
        self._waiting_since: float | None = None

    def take(self, seq: int, now: float) -> bool:
        """Note that a message has come; say if it is new, or to be dropped.

        Raises:
            BadMessage: One before it is missing.
        """
        if seq > self.taken + 1:
            raise BadMessage(f"seq {seq} came after {self.taken}", seq)
        if seq <= self.last:
            # Its sender wouldn't repeat what it knew to be here.
            self.note(seq, now)
        is_new = seq > self.taken
        self.taken = max(self.taken, seq)
        return is_new

    def note(self, seq: int, now: float) -> None:
        """Note that a message has been dealt with, and all before it."""
        self.last = max(self.last, seq)
        self.taken = max(self.taken, seq)
        if self._waiting_since is None:
            self._waiting_since = now

    def ack_due(self, now: float) -> bool:
        """Say if it is time to acknowledge."""
        if self._waiting_since is None:
            return False
        enough = self.last - self._acknowledged >= ACK_AFTER_MESSAGES
        return enough or now - self._waiting_since >= ACK_AFTER_SECONDS

    def take_ack(self) -> int | None:
        """Return what is to be acknowledged with the next message, if anything."""
        if self._waiting_since is None:
            return None
        self._waiting_since = None
        self._acknowledged = self.last
        return self.last or None
