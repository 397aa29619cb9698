"""A jitter buffer for video that doesn't wait for what will not come."""

from typing import TYPE_CHECKING, Final

from ..seam import AiortcJitterBuffer

if TYPE_CHECKING:
    from aiortc.jitterbuffer import JitterFrame
    from aiortc.rtp import RtpPacket

__all__ = ["JitterBuffer"]

CLOCK_RATE: Final = 90000
# aiortc's senders can repeat no more packets than that, so a longer hole stays one.
REPEATABLE: Final = 128
# How long after a whole picture was asked for it is asked for again. libwebrtc sends none sooner
# than 0.3 s after another one, which may have been given up, too, because of a second hole.
AGAIN: Final = CLOCK_RATE // 2


class JitterBuffer(AiortcJitterBuffer):
    """aiortc's jitter buffer, which gives up a frame of which packets stay missing.

    aiortc's waits until 512 packets have come in behind the hole, which after an outage is ten
    seconds and more of frozen video. This one gives up when the sender can't repeat what is
    missing, or didn't in time. It goes on with the newest frame, and asks for a picture that needs
    no other, twice.

    Args:
        capacity: How many packets it holds; a power of two.
        patience: How long a missing packet is waited for, in seconds of the media's time.
    """

    def __init__(self, capacity: int, patience: float) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._patience = int(patience * CLOCK_RATE)
        # When what was handed out last, or else came first, was taken, by the sender's clock.
        self._handed_out: int | None = None
        # When a whole picture was asked for, if that is still to be repeated.
        self._asked: int | None = None

    def add(self, packet: "RtpPacket") -> "tuple[bool, JitterFrame | None]":
        """Add a packet; return whether to ask for a whole picture, and the next frame if any."""
        picture_lost, frame = super().add(packet)
        if frame is not None or self._handed_out is None:
            self._handed_out = packet.timestamp
        elif self._is_stuck(packet):
            self._skip_to_frame_of(packet)
            self._handed_out = packet.timestamp
            picture_lost = True
        return self._shall_ask(packet.timestamp, picture_lost), frame

    def _shall_ask(self, now: int, picture_lost: bool) -> bool:
        if picture_lost:
            self._asked = now
        elif self._asked is not None and elapsed(self._asked, now) >= AGAIN:
            self._asked = None
            return True
        return picture_lost

    def _is_stuck(self, packet: "RtpPacket") -> bool:
        assert self._handed_out is not None
        if elapsed(self._handed_out, packet.timestamp) < self._patience:
            return False
        # Where pictures are rare nothing needs to be missing.
        first, behind = self._hole(packet.sequence_number)
        if behind is None:
            return False
        length = (behind.sequence_number - first) % (1 << 16)
        waited = elapsed(behind.timestamp, packet.timestamp)
        return length > REPEATABLE or waited >= self._patience

    def _hole(self, newest: int) -> "tuple[int, RtpPacket | None]":
        """Return the first sequence number that is missing, and the packet behind the hole."""
        first = None
        for number in self.numbers_until(newest):
            packet = self.packet(number)
            if packet is None and first is None:
                first = number
            elif packet is not None and first is not None:
                return first, packet
        return newest, None

    def _skip_to_frame_of(self, packet: "RtpPacket") -> None:
        start = packet.sequence_number
        while (before := self.packet(start - 1)) is not None:
            if before.timestamp != packet.timestamp:
                break
            start -= 1
        self.skip_to(start)


def elapsed(before: int, after: int) -> int:
    """Return the difference of two timestamps, which is negative where their order is wrong."""
    return (after - before + (1 << 31)) % (1 << 32) - (1 << 31)
