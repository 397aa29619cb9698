"""Finds the receiver of each packet of RTP."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket

if TYPE_CHECKING:
    from .sources import Sources

__all__ = ["LEARNED", "ReceiveParameters", "StreamRouter"]

# Of how many sources that were heard the router knows the section.
LEARNED: Final = 512
# How far a repeated packet may be from the newest one of the stream that it is said to be of. That
# is what a jitter buffer for video holds.
REPEATED: Final = 512


@dataclass
class ReceiveParameters(RTCRtpReceiveParameters):
    """The parameters of a section that is received, with the names of its encodings."""

    rids: tuple[str, ...] = ()


@dataclass(eq=False)
class _Section:
    """A media section that is received.

    Attributes:
        receiver: Takes its packets.
        sources: What is known of those that it hears, if it is a receiver of ours.
        mid: Its mid.
        mids: What packets of it may say: that, or nothing.
        rids: The names of its encodings.
        payload_types: Those of its codecs.
        repeating: Those of them that repeat packets. (RFC 4588)
        named: The source that its description names, if any.
        repeaters: The sources that the description names for repeated packets.
        source: The one whose media is received.
        routed: That one, and those that repeat its packets.
    """

    receiver: Any
    sources: "Sources | None"
    mid: str = ""
    mids: frozenset[str | None] = frozenset()
    rids: tuple[str, ...] = ()
    payload_types: frozenset[int | None] = frozenset()
    repeating: frozenset[int | None] = frozenset()
    named: int | None = None
    repeaters: dict[int, int] = field(default_factory=dict)
    source: int | None = None
    routed: set[int] = field(default_factory=set)


class StreamRouter(RtpRouter):
    """aiortc's router, which finds a stream by MID, else by RID, SSRC, payload type.

    aiortc's doesn't know MIDs: two sections of the same codecs whose SSRCs aren't described, or
    change, receive nothing.

    A section receives one source. Another one takes its place at once if the description names
    it, or if its packets have the section's MID or RID. One that only has a payload type of the
    section, or that has been there before, does so when the source is silent. What is learned is
    bounded.

    `ssrc_table` has the sources that are received, or are named where nothing is received yet, for
    aiortc's routing of RTCP.
    (RFC 9143 section 9.2, RFC 8852 section 3)
    """

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[object, _Section] = {}
        self.by_mid: dict[str, _Section] = {}
        self.named: dict[int, _Section] = {}
        # Those that are or were received, or might be instead of what is, the latest last.
        self.learned: dict[int, _Section] = {}
        # The receivers that only a payload type identifies.
        self.guessed: set[int] = set()
        self.routes: dict[int, _Section] = {}

    def register(self, receiver: Any, parameters: RTCRtpReceiveParameters) -> None:
        """Use a receiver for what a section's latest description says.

        It may be one of aiortc's or the program's, of which a new source takes the place at once.
        """
        sources = getattr(getattr(receiver, "_core", None), "sources", None)
        section = self.sections.setdefault(receiver, _Section(receiver, sources))
        self.receivers.add(receiver)
        if self.by_mid.get(section.mid) is section:
            del self.by_mid[section.mid]
        section.mid = parameters.muxId
        section.mids = frozenset({None, section.mid})
        self.by_mid[section.mid] = section
        section.rids = parameters.rids if isinstance(parameters, ReceiveParameters) else ()
        codecs = parameters.codecs
        section.payload_types = frozenset(codec.payloadType for codec in codecs)
        section.repeating = frozenset(codec.payloadType for codec in codecs if is_rtx(codec))
        section.repeaters = {e.rtx.ssrc: e.ssrc for e in parameters.encodings if e.rtx}
        self.name(section, [encoding.ssrc for encoding in parameters.encodings])
        # What a payload type told may be wrong now that there is another section with it.
        for ssrc in self.guessed:
            guess = self.learned.pop(ssrc, None)
            if guess is not None and guess.source == ssrc:
                self.release(guess)
        self.guessed.clear()

    def unregister_receiver(self, receiver: Any) -> None:
        """Forget a receiver."""
        if (section := self.sections.pop(receiver, None)) is not None:
            self.release(section)
            tables: tuple[dict[Any, _Section], ...] = (self.by_mid, self.named, self.learned)
            for table in tables:
                for key in [key for key, other in table.items() if other is section]:
                    del table[key]
        super().unregister_receiver(receiver)

    def route_rtp(self, packet: RtpPacket) -> Any:
        """Return the receiver of a packet, or None."""
        section = self.routes.get(packet.ssrc)
        if (
            section is not None
            and packet.payload_type in section.payload_types
            and packet.extensions.mid in section.mids
        ):
            if packet.csrc and section.sources is not None:
                section.sources.note_contributors(packet)
            return section.receiver
        return self.find(packet)

    def name(self, section: _Section, sources: list[int]) -> None:
        """Note which source a description names; more than one are of a simulcast."""
        named = sources[0] if sources else None
        if section.named is not None and self.named.get(section.named) is section:
            del self.named[section.named]
            if section.named not in self.routes:
                self.ssrc_table.pop(section.named, None)
        if named is not None:
            if named != section.named:
                # It is another one, even if it has been there before.
                self.learned.pop(named, None)
            self.named[named] = section
            owner = self.routes.get(named, section)
            if owner is not section:
                self.release(owner)
        section.named = named
        if named is not None and section.source is None:
            self.ssrc_table[named] = section.receiver
        for ssrc in dict.fromkeys(sources[1:]):
            if ssrc != named:
                self.learn(section, ssrc)

    def find(self, packet: RtpPacket) -> Any:
        """Return the receiver of a packet whose source isn't being received."""
        section, certain = self.section_of(packet)
        if section is None or packet.payload_type not in section.payload_types:
            return None
        if packet.payload_type in section.repeating:
            return self.find_repeater(section, packet)
        may_interrupt = certain and self.learned.get(packet.ssrc) is not section
        if not may_interrupt and self.is_live(section):
            return None
        self.switch(section, packet)
        if not certain:
            self.guessed.add(packet.ssrc)
        return section.receiver

    def section_of(self, packet: RtpPacket) -> tuple[_Section | None, bool]:
        """Return the section that a packet belongs to, and whether that is more than a guess."""
        mid = packet.extensions.mid
        if mid is not None:
            # "If the MID is not in the table, the packet is not associated with any section."
            return self.by_mid.get(mid), True
        rid = packet.extensions.rtp_stream_id or packet.extensions.repaired_rtp_stream_id
        named = [section for section in self.sections.values() if rid in section.rids]
        if len(named) == 1:
            return named[0], True
        known = self.named.get(packet.ssrc) or self.learned.get(packet.ssrc)
        if known is not None:
            return known, packet.ssrc not in self.guessed
        payload_type = packet.payload_type
        having = [s for s in self.sections.values() if payload_type in s.payload_types]
        return (having[0], False) if len(having) == 1 else (None, False)

    def is_live(self, section: _Section) -> bool:
        """Return whether the source of a section has been heard lately."""
        source, sources = section.source, section.sources
        return source is not None and sources is not None and sources.hears(source)

    def switch(self, section: _Section, packet: RtpPacket) -> None:
        """Receive another source in a section."""
        owner = self.routes.get(packet.ssrc)
        for other in (section, owner):
            if other is not None:
                self.release(other)
        if section.named is not None and self.named.get(section.named) is section:
            self.ssrc_table.pop(section.named, None)
        section.source = packet.ssrc
        self.route(section, packet.ssrc)
        if section.sources is not None:
            section.sources.payload_types[packet.ssrc] = packet.payload_type
            section.sources.take(packet)

    def find_repeater(self, section: _Section, packet: RtpPacket) -> Any:
        """Return the receiver of a repeated packet, which is told what is repeated."""
        source, sources = section.source, section.sources
        if source is None or sources is None or len(packet.payload) < 2:
            return section.receiver  # which looks at how long it was under way only
        repeated = int.from_bytes(packet.payload[:2], "big")
        named = section.repeaters.get(packet.ssrc) == source
        if not named and not sources.is_near(source, repeated, REPEATED):
            return None
        self.route(section, packet.ssrc)
        sources.repeaters[packet.ssrc] = source
        sources.payload_types[packet.ssrc] = packet.payload_type
        return section.receiver

    def route(self, section: _Section, ssrc: int) -> None:
        """Let packets of a source go to a section from now on."""
        self.routes[ssrc] = section
        self.ssrc_table[ssrc] = section.receiver
        section.routed.add(ssrc)
        self.learn(section, ssrc)

    def release(self, section: _Section) -> None:
        """Receive nothing in a section until something comes in."""
        for ssrc in section.routed:
            self.routes.pop(ssrc, None)
            self.ssrc_table.pop(ssrc, None)
        section.routed.clear()
        if section.sources is not None:
            section.sources.repeaters.clear()
            section.sources.payload_types.clear()
        section.source = None
        if section.named is not None and self.named.get(section.named) is section:
            self.ssrc_table[section.named] = section.receiver

    def learn(self, section: _Section, ssrc: int) -> None:
        """Note that a source belongs to a section, and forget the one noted longest ago."""
        self.learned.pop(ssrc, None)
        self.learned[ssrc] = section
        if len(self.learned) > LEARNED:
            oldest = next(iter(self.learned))
            del self.learned[oldest]
            self.guessed.discard(oldest)
