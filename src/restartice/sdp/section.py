"""A media section of a description: aiortc's, and what that has no place for."""

import copy
import ipaddress
import re
from typing import Final

from aiortc import RTCIceParameters
from aiortc.sdp import MediaDescription

__all__ = ["DISCARD_HOST", "DISCARD_PORT", "Section", "address_or_none_yet"]

DISCARD_HOST, DISCARD_PORT = "0.0.0.0", 9  # noqa: S104  means "no address yet" (RFC 9429)
RTP: Final = re.compile(r"((UDP|TCP)/)?(D?TLS/)?RTP/S?AVPF?")
SCTP: Final = re.compile(r"((UDP|TCP)/)?DTLS/SCTP")
OLD_SCTP: Final = "DTLS/SCTP"
# The names that aiortc reads and writes.
AIORTC_RTP, AIORTC_SCTP = "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"
DATA_CHANNEL: Final = "webrtc-datachannel"


class Section(MediaDescription):
    """A media section, with its `profile` as it was written.

    Attributes:
        line: The number of its first line, counted from 1.
        formats: The last part of that line.
        bundle_only: Whether it relies on a BUNDLE group, and so may have port zero.
    """

    ice: RTCIceParameters

    def __init__(self, kind: str, port: int, profile: str, formats: list[str], line: int) -> None:
        super().__init__(kind, port, profile, [*formats])
        self.formats = formats
        self.line = line
        self.bundle_only = False
        self.ice = RTCIceParameters()

    @property
    def is_rtp(self) -> bool:
        """Whether it is of audio or video by RTP."""
        return self.kind in {"audio", "video"} and _matches(RTP, self.profile)

    @property
    def is_data(self) -> bool:
        """Whether it is of data channels."""
        return self.kind == "application" and _matches(SCTP, self.profile)

    @property
    def is_supported(self) -> bool:
        """Whether we know its kind; others can only be rejected. (RFC 3264 section 6)."""
        return self.is_rtp or self.is_data

    @property
    def is_old_data(self) -> bool:
        """Whether it is of data channels in the form "DTLS/SCTP 5000". (RFC 8841 section 5)."""
        old = self.kind == "application" and self.profile.upper() == OLD_SCTP
        return old and self.fmt[:1] != [DATA_CHANNEL]

    @property
    def is_rejected(self) -> bool:
        """Whether its port is zero, but not because it relies on a group. (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only

    def for_aiortc(self) -> "Section":
        """Return a copy that aiortc can read: without candidates, which aren't its concern."""
        section = copy.copy(self)
        section.ice_candidates, section.ice_candidates_complete = [], False
        if self.is_rtp:
            section.profile = AIORTC_RTP
        elif self.is_old_data:
            section.profile = OLD_SCTP
        else:
            section.profile, section.fmt = AIORTC_SCTP, [DATA_CHANNEL]
        return section

    def __str__(self) -> str:
        section = copy.copy(self)
        if section.rtcp_mux and section.rtcp_port is None:
            # Without this line aiortc doesn't write the other one.
            section.rtcp_host, section.rtcp_port = DISCARD_HOST, DISCARD_PORT
        if section.dtls is not None and not section.dtls.role:
            # What was left out in a section that isn't used stays left out.
            section.dtls = None
        return MediaDescription.__str__(section)


def _matches(protocol: re.Pattern[str], profile: str) -> bool:
    return protocol.fullmatch(profile.upper()) is not None


def address_or_none_yet(host: str) -> str:
    """Return an address as it is, but "no address yet" for a name, which aiortc doesn't write."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return DISCARD_HOST
    return host
