"""A jitter buffer for video that doesn't wait for lost packets."""

from typing import TYPE_CHECKING, Final

from ..seam import AiortcJitterBuffer

if TYPE_CHECKING:
    from aiortc.jitterbuffer import JitterFrame
    from aiortc.rtp import RtpPacket

__all__ = ["JitterBuffer"]

CLOCK_RATE: Final = 90000
# aiortc's senders can repeat no more packets than that, so a longer gap stays.
REPEATABLE: Final = 128
# The time between two requests for a whole picture. libwebrtc sends none sooner than 0.3 s after
# another one, which may have been dropped, too, because of a second gap.
AGAIN: Final = CLOCK_RATE // 2


class JitterBuffer(AiortcJitterBuffer):
    """aiortc's jitter buffer, which drops a frame whose packets stay missing.

    aiortc's waits until 512 packets have come in behind the gap, which after an outage is ten
    seconds and more of frozen video. This one drops the frame when the sender can't repeat the
    missing packets, or didn't in time. It continues with the newest frame, and requests a whole
    picture, twice.

    Args:
        capacity: The number of packets that it holds; a power of two.
        patience: How long it waits for a missing packet, in seconds of the media's clock.
    """

    def __init__(self, capacity: int, patience: float) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._patience = int(patience * CLOCK_RATE)
        # The sender's time of the last frame that was returned, or else of the first packet.
        self._handed_out: int | None = None
        # When a whole picture was requested, if that is still to be repeated.
        self._asked: int | None = None

    def add(self, packet: "RtpPacket") -> "tuple[bool, JitterFrame | None]":
        """Add a packet; return whether to request a whole picture, and the next frame or None."""
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
        # If pictures are rare, nothing may be missing.
        first, behind = self._hole(packet.sequence_number)
        if behind is None:
            return False
        length = (behind.sequence_number - first) % (1 << 16)
        waited = elapsed(behind.timestamp, packet.timestamp)
        return length > REPEATABLE or waited >= self._patience

    def _hole(self, newest: int) -> "tuple[int, RtpPacket | None]":
        """Return the first missing sequence number, and the packet behind the gap."""
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
    """Return the difference of two timestamps; negative if `after` is before `before`."""
    return (after - before + (1 << 31)) % (1 << 32) - (1 << 31)
