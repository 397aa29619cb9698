"""The model of a media section: aiortc's, with more fields."""

import copy
import functools
import ipaddress
import re
from typing import Final

from aiortc import RTCIceParameters, RTCRtpCodecParameters
from aiortc.sdp import MediaDescription

from ..seam import codecs_of_aiortc, readable

__all__ = ["DISCARD_HOST", "DISCARD_PORT", "Section", "address_or_none_yet"]

DISCARD_HOST, DISCARD_PORT = "0.0.0.0", 9  # noqa: S104  means "no address yet" (RFC 9429)
RTP: Final = re.compile(r"((UDP|TCP)/)?(D?TLS/)?RTP/S?AVPF?")
SCTP: Final = re.compile(r"((UDP|TCP)/)?DTLS/SCTP")
OLD_SCTP: Final = "DTLS/SCTP"
# The names that aiortc reads and writes.
AIORTC_RTP, AIORTC_SCTP = "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"
DATA_CHANNEL: Final = "webrtc-datachannel"
# How many hosts are remembered with whether they are addresses.
HOSTS: Final = 64


class Section(MediaDescription):
    """A media section. Its `profile` is the one in the text.

    Attributes:
        line: The number of its first line, from 1.
        formats: The formats in its first line.
        bundle_only: Whether it has a=bundle-only, and so may have port zero.
        sctp_init: The INIT of SCTP in Base64, or None. (draft-hancke-tsvwg-snap)
        rids: The names of the peer's encodings. (RFC 8851)
        adapted: Whether its H.264 is shown to aiortc as a kind that aiortc negotiates.
        skipped: The number and the attribute of each malformed line.
        suspended: Whether it has no codec of ours, but stays in use, inactive.
    """

    ice: RTCIceParameters

    def __init__(self, kind: str, port: int, profile: str, formats: list[str], line: int) -> None:
        super().__init__(kind, port, profile, [*formats])
        self.formats = formats
        self.line = line
        self.bundle_only = False
        self.sctp_init: str | None = None
        self.rids: list[str] = []
        self.adapted = False
        self.skipped: list[tuple[int, str]] = []
        self.suspended = False
        self.ice = RTCIceParameters()

    @property
    def is_rtp(self) -> bool:
        """Whether this is a section for audio or video by RTP."""
        return self.kind in {"audio", "video"} and _matches(RTP, self.profile)

    @property
    def is_data(self) -> bool:
        """Whether this is a section for data channels."""
        return self.kind == "application" and _matches(SCTP, self.profile)

    @property
    def is_supported(self) -> bool:
        """Whether we can use its kind. Other sections are rejected. (RFC 3264 section 6)."""
        return self.is_rtp or self.is_data

    @property
    def is_old_data(self) -> bool:
        """Whether this has the old form "DTLS/SCTP 5000" of data channels. (RFC 8841 section 5)."""
        old = self.kind == "application" and self.profile.upper() == OLD_SCTP
        return old and self.fmt[:1] != [DATA_CHANNEL]

    @property
    def is_rejected(self) -> bool:
        """Whether its port is zero, and it isn't bundle-only. (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only

    @property
    def readable_codecs(self) -> list[RTCRtpCodecParameters]:
        """The codecs for aiortc, which knows few kinds of H.264, and no section without codecs."""
        if self.suspended:
            return codecs_of_aiortc(self.kind)
        return readable(self.rtp.codecs) if self.adapted else self.rtp.codecs

    def suspend(self) -> None:
        """Let nothing be sent or received, though it isn't rejected."""
        self.suspended, self.direction = True, "inactive"

    def for_aiortc(self) -> "Section":
        """Return a copy that aiortc can parse, without candidates."""
        section = copy.copy(self)
        section.ice_candidates, section.ice_candidates_complete = [], False
        if self.is_rtp:
            section.profile = AIORTC_RTP
            section.rtp = copy.copy(self.rtp)
            section.rtp.codecs = self.readable_codecs
            section.fmt = [codec.payloadType for codec in section.rtp.codecs]
        elif self.is_old_data:
            section.profile = OLD_SCTP
        else:
            section.profile, section.fmt = AIORTC_SCTP, [DATA_CHANNEL]
        return section

    def __str__(self) -> str:
        section = self
        if self.rtcp_mux and self.rtcp_port is None:
            # aiortc writes a=rtcp-mux only together with a=rtcp.
            section = copy.copy(section)
            section.rtcp_host, section.rtcp_port = DISCARD_HOST, DISCARD_PORT
        if self.dtls is not None and not self.dtls.role:
            # The role is missing only in unused sections.
            section = copy.copy(section)
            section.dtls = None
        text = MediaDescription.__str__(section)
        if self.sctp_init is None:
            return text
        # Before the line that aiortc writes last, which programs may look for at the end.
        head, setup, rest = text.rpartition("a=setup:")
        line = f"a=sctp-init:{self.sctp_init}\r\n"
        return f"{head}{line}{setup}{rest}" if setup else f"{text}{line}"


def _matches(protocol: re.Pattern[str], profile: str) -> bool:
    return protocol.fullmatch(profile.upper()) is not None


@functools.lru_cache(maxsize=HOSTS)
def address_or_none_yet(host: str) -> str:
    """Return an IP address unchanged; "no address yet" for a name, which aiortc can't write."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return DISCARD_HOST
    return host
