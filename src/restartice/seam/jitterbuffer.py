"""The private names of aiortc's jitter buffer."""

from collections.abc import Iterator

from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from .names import require

__all__ = ["AiortcJitterBuffer", "begin_again", "is_new_video_buffer"]

for _name in ("_capacity", "_is_video", "_origin", "_packets"):
    require(JitterBuffer, _name)


def is_new_video_buffer(buffer: JitterBuffer) -> bool:
    """Return whether a jitter buffer is aiortc's own kind for video, and has taken nothing yet."""
    return type(buffer) is JitterBuffer and buffer._is_video and buffer._origin is None


class AiortcJitterBuffer(JitterBuffer):
    """aiortc's jitter buffer with what it holds under names of ours."""

    def numbers_until(self, last: int) -> Iterator[int]:
        """Yield the sequence numbers from the first that it waits for to a given one."""
        assert self._origin is not None
        for count in range((last - self._origin) % (1 << 16) + 1):
            yield (self._origin + count) % (1 << 16)

    def packet(self, number: int) -> RtpPacket | None:
        """Return the packet with a sequence number, if it is there."""
        number %= 1 << 16
        packet = self._packets[number % self._capacity]
        return packet if packet is not None and packet.sequence_number == number else None

    def skip_to(self, number: int) -> None:
        """Forget all packets before a sequence number."""
        assert self._origin is not None
        self.remove(min(self._capacity, (number - self._origin) % (1 << 16)))

    def begin_again(self) -> None:
        """Forget everything, for a stream with other numbers."""
        self._origin = None
        self._packets = [None] * self._capacity


def begin_again(buffer: JitterBuffer) -> None:
    """Let a jitter buffer, which may be one of the program's, forget everything."""
    if isinstance(buffer, AiortcJitterBuffer):
        buffer.begin_again()
    else:
        AiortcJitterBuffer.begin_again(buffer)  # type: ignore[arg-type]
