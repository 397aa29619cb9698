"""The sources of a receiver of aiortc, and the change from one to another."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from aiortc import clock
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import (
    NackGenerator,
    RTCRtpReceiver,
    StreamStatistics,
    TimestampMapper,
)
from aiortc.rtp import RtpPacket

from .jitterbuffer import begin_again
from .names import OfViewed, require

__all__ = ["Sources"]

# After how many seconds without a packet a source is silent. Those of a picture that doesn't move,
# and of a voice that doesn't speak, come more often where a browser sends them.
SILENCE: Final = 0.5
# For how many seconds sources are told of, and of how many former or contributing ones.
TOLD: Final = 10.0
CONTRIBUTORS: Final = 512

for _owner, _names in (
    (NackGenerator, ("max_seq", "missing")),
    (StreamStatistics, ("_clockrate", "_last_arrival", "_last_timestamp", "max_seq")),
    (TimestampMapper, ("_last", "_origin")),
):
    for _name in _names:
        require(_owner, _name)


class Sources:
    """The sources that one receiver hears.

    Attributes:
        current: The source whose media it takes.
        payload_types: Those that the sources began with, as far as they are routed.
        contributors: When the sources that a mixer names were heard last, and with which timestamp
            of RTP, the latest last.
        former: The last timestamps of sources whose place another one has taken.
    """

    heard = OfViewed[dict[int, Any]](RTCRtpReceiver, "__active_ssrc")
    statistics = OfViewed[dict[int, StreamStatistics]](RTCRtpReceiver, "__remote_streams")
    # Those of repeated packets, with the ones that these are of.
    repeaters = OfViewed[dict[int, int]](RTCRtpReceiver, "__rtx_ssrc")
    jitter_buffer = OfViewed[JitterBuffer](RTCRtpReceiver, "__jitter_buffer")
    missing = OfViewed[NackGenerator | None](RTCRtpReceiver, "__nack_generator")
    timestamps = OfViewed[TimestampMapper](RTCRtpReceiver, "__timestamp_mapper")
    picture_lost = OfViewed[threading.Event](RTCRtpReceiver, "__decoder_error")
    reports = OfViewed[dict[int, Any]](RTCRtpReceiver, "__lsr")
    report_times = OfViewed[dict[int, Any]](RTCRtpReceiver, "__lsr_time")

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.viewed = receiver
        self.current: int | None = None
        self.payload_types: dict[int, int] = {}
        self.contributors: dict[int, tuple[datetime, int]] = {}
        self.former: dict[int, int] = {}

    def note_contributors(self, packet: RtpPacket) -> None:
        """Note the sources that a packet is mixed from. (RFC 3550 section 5.1)."""
        now, contributors = clock.current_datetime(), self.contributors
        for source in packet.csrc:
            contributors.pop(source, None)
            contributors[source] = now, packet.timestamp
        _forget_first(contributors)

    def recent_contributors(self) -> Iterator[tuple[int, datetime, int]]:
        """Yield the sources of mixers of the last seconds, the latest first.

        Each has the time at which it was heard last, and its last timestamp of RTP.
        """
        since = clock.current_datetime() - timedelta(seconds=TOLD)
        for source, (heard, timestamp) in reversed(self.contributors.items()):
            if heard >= since:
                yield source, heard, timestamp

    def last_timestamp(self, ssrc: int) -> int | None:
        """Return the last timestamp of RTP of a source whose media is received, or None."""
        if ssrc in self.repeaters:
            return None
        counted = self.statistics.get(ssrc)
        return self.former.get(ssrc) if counted is None else counted._last_timestamp

    def hears(self, ssrc: int) -> bool:
        """Return whether packets of a source have come in lately."""
        heard = self.heard.get(ssrc)
        return heard is not None and (clock.current_datetime() - heard).total_seconds() < SILENCE

    def is_near(self, ssrc: int, number: int, distance: int) -> bool:
        """Return whether a sequence number is close to the newest one of a source."""
        counted = self.statistics.get(ssrc)
        if counted is None or counted.max_seq is None:
            return False
        return (number - counted.max_seq + distance) % (1 << 16) < 2 * distance

    def take(self, packet: RtpPacket) -> None:
        """Play the media of another source from a packet on, without a jump in time.

        What is kept of the former one would make the new one's packets look late, or lost. Its
        first picture may need others before it, so a whole one is asked for.
        """
        self.note_contributors(packet)
        former, self.current = self.current, packet.ssrc
        if former is None or former == packet.ssrc:
            return
        counted = self.statistics.pop(former, None)
        if counted is not None:
            self.go_on_from(counted, packet.timestamp)
            self.former.pop(former, None)
            self.former[former] = counted._last_timestamp or 0
            _forget_first(self.former)
        for table in (self.reports, self.report_times):
            table.pop(former, None)
        begin_again(self.jitter_buffer)
        if self.missing is not None:
            self.missing.max_seq = None
            self.missing.missing.clear()
        self.picture_lost.set()

    def go_on_from(self, counted: StreamStatistics, timestamp: int) -> None:
        """Let a timestamp stand for as long after the former ones as it has come in later."""
        mapper = self.timestamps
        last, arrival = counted._last_timestamp, counted._last_arrival
        if mapper._origin is None or mapper._last is None or last is None or arrival is None:
            return
        passed = int(time.time() * counted._clockrate) - arrival
        since = (last - mapper._last + (1 << 31)) % (1 << 32) - (1 << 31)
        mapper._origin = timestamp - (mapper._last - mapper._origin + since + max(passed, 0))
        mapper._last = timestamp


def _forget_first(known: dict[int, Any]) -> None:
    """Forget those of many sources that were noted first."""
    while len(known) > CONTRIBUTORS:
        del known[next(iter(known))]
