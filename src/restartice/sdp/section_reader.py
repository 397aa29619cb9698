"""Parses the lines of a media section, and what these have in common with the session's."""

import re
from typing import TYPE_CHECKING, Final

from aiortc import RTCRtpCodecParameters, RTCSctpCapabilities
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.sdp import (
    DTLS_SETUP_ROLE,
    FMTP_INT_PARAMETERS,
    SSRC_INFO_ATTRS,
    GroupDescription,
    SsrcDescription,
)

from ..exceptions import SdpSyntaxError
from ..ice.candidate import TYPES, read_candidate
from .section import Section, address_or_none_yet
from .text import MSID_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOR_ALL", "SectionReader", "read_attribute", "read_host", "syntax_error"]

MEDIA: Final = re.compile(r"m=(\S+)\s+(\d{1,5})(?:/\d+)?\s+(\S+)\s*(.*)")
DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
# The attributes that most lines are.
USUAL_NAMES: Final = DIRECTIONS | {"candidate", "extmap", "fmtp", "rtcp-fb", "rtpmap", "ssrc"}
# A number that may be a payload type. Python refuses numbers of thousands of digits.
FORMAT: Final = re.compile(r"[0-9]{1,5}")
PORTS: Final = range(1 << 16)
# Without 72 to 76, which look like RTCP on the same port. (RFC 5761 section 4)
PAYLOAD_TYPES: Final = frozenset(range(128)) - frozenset(range(72, 77))
EXTENSION_IDS: Final = range(1, 256)
SOURCES: Final = range(1 << 32)
# The static payload types of aiortc's codecs, which need no line. (RFC 3551 section 6)
STATIC: Final = {0: "0 PCMU/8000", 8: "8 PCMA/8000", 9: "9 G722/8000"}
# The attributes that can't be skipped, because a section has another meaning without them.
DECISIVE: Final = {
    "rtpmap": "a=rtpmap:<payload type> <encoding>/<clock rate>",
    "setup": "a=setup:actpass, active or passive",
    "fingerprint": "a=fingerprint:<algorithm> <digest>",
    "sctp-port": "a=sctp-port:<port>",
}
# The attributes that apply to all sections if they are on the session level.
FOR_ALL: Final = frozenset(
    {
        *DIRECTIONS,
        *DECISIVE,
        "candidate",
        "end-of-candidates",
        "extmap",
        "ice-lite",
        "ice-pwd",
        "ice-ufrag",
        "max-message-size",
        "rtcp-mux",
    }
)


def syntax_error(number: int, line: str, expected: str) -> SdpSyntaxError:
    """Return the error of a line."""
    message = f"SDP syntax error in line {number}: expected {expected}, got {line[:80]!r}"
    return SdpSyntaxError(message, number)


def read_attribute(line: str) -> tuple[str, str]:
    """Return the name and the value of an a= line."""
    name, _, value = line[2:].partition(":")
    if name not in USUAL_NAMES:
        name = name.strip().lower()
    return name, value.strip()


def read_host(value: str) -> str:
    """Return the address of a c= line or of an a=rtcp attribute."""
    fields = value.split()
    return address_or_none_yet(fields[2] if len(fields) > 2 else "")


def _begin(number: int, line: str) -> Section:
    match = MEDIA.fullmatch(line.strip())
    if match is None or int(match[2]) not in PORTS:
        raise syntax_error(number, line, "m=<media> <port> <protocol> <formats>")
    return Section(match[1], int(match[2]), match[3], match[4].split(), number)


class SectionReader:
    """Reads the lines of a media section.

    Args:
        number: The number of its first line, from 1.
        line: That line.
        for_all: The numbers and lines of the session that apply to all sections.

    Raises:
        SdpSyntaxError: The first line is malformed.
    """

    def __init__(self, number: int, line: str, for_all: list[tuple[int, str]]) -> None:
        self.section = _begin(number, line)
        self._codecs: dict[int, RTCRtpCodecParameters] = {}
        self._sources: dict[int, SsrcDescription] = {}
        self._fingerprints: list[RTCDtlsFingerprint] = []
        self._role = ""
        self._msids: list[str] = []
        self._about_codecs: list[tuple[int, str, str]] = []
        self._errors: dict[str, SdpSyntaxError] = {}
        self._readers: dict[str, Callable[[str], None]] = {
            "bundle-only": self._bundle_only,
            "candidate": self._candidate,
            "end-of-candidates": self._end_of_candidates,
            "extmap": self._extmap,
            "fingerprint": self._fingerprint,
            "fmtp": self._fmtp,
            "ice-lite": self._ice_lite,
            "ice-options": self._ice_options,
            "ice-pwd": self._ice_pwd,
            "ice-ufrag": self._ice_ufrag,
            "max-message-size": self._max_message_size,
            "mid": self._mid,
            "msid": self._msid,
            "rid": self._rid,
            "rtcp": self._rtcp,
            "rtcp-fb": self._rtcp_fb,
            "rtcp-mux": self._rtcp_mux,
            "rtpmap": self._rtpmap,
            "sctp-init": self._sctp_init,
            "sctp-port": self._sctp_port,
            "sctpmap": self._sctpmap,
            "setup": self._setup,
            "ssrc": self._ssrc,
            "ssrc-group": self._ssrc_group,
        }
        for place, told in for_all:
            self.read(place, told)
        self._inherited_fingerprints, self._fingerprints = self._fingerprints, []

    def read(self, number: int, line: str) -> None:
        """Read a line; what is wrong with it is told by end()."""
        kind = line[:1]
        if kind == "c":
            self.section.host = read_host(line[2:])
        elif kind == "a":
            name, value = read_attribute(line)
            if name in DIRECTIONS:
                self.section.direction = name
            elif name in {"fmtp", "rtcp-fb"}:
                self._about_codecs.append((number, name, value))
            else:
                self._try(number, name, value, line)

    def _try(self, number: int, name: str, value: str, line: str) -> None:
        try:
            if read := self._readers.get(name):
                read(value)
        except (ValueError, LookupError):
            self.section.skipped.append((number, name))
            if name != "rtpmap" or self._is_listed(value):
                error = syntax_error(number, line, DECISIVE.get(name, "another value"))
                self._errors.setdefault(name, error)
        else:
            if self._errors:
                self._override(number, name)

    def _is_listed(self, value: str) -> bool:
        """Return whether an a=rtpmap line is about a format of the section, as far as it tells."""
        fields = value.split()
        return len(fields) < 2 or fields[0] in self.section.formats

    def _override(self, number: int, name: str) -> None:
        """Let a line of the section count instead of a malformed one of the session."""
        error = self._errors.get(name)
        if error is not None and error.sdpLineNumber < self.section.line < number:
            del self._errors[name]

    def end(self) -> None:
        """Complete the section after its last line.

        Raises:
            SdpSyntaxError: A line that can't be skipped is malformed.
        """
        section = self.section
        usable = not section.is_rejected and section.is_supported
        decisive = DECISIVE.keys() - {"sctp-port" if section.is_rtp else "rtpmap"}
        errors = [error for name, error in self._errors.items() if name in decisive and usable]
        if errors:
            raise min(errors, key=lambda error: error.sdpLineNumber)
        section.ssrc = list(self._sources.values())
        section.msid = MSID_SEPARATOR.join(self._msids) or None
        # A missing role is an empty string, because aiortc can't handle None.
        fingerprints = self._fingerprints or self._inherited_fingerprints
        section.dtls = RTCDtlsParameters(fingerprints, self._role)
        if section.is_rtp:
            self._end_codecs()

    def _end_codecs(self) -> None:
        section = self.section
        numbers = [int(text) for text in section.formats if FORMAT.fullmatch(text)]
        section.fmt = [n for n in dict.fromkeys(numbers) if n in PAYLOAD_TYPES]
        if section.kind == "audio":
            for number in STATIC.keys() - self._codecs.keys():
                self._rtpmap(STATIC[number])
        for number, name, value in self._about_codecs:
            self._try(number, name, value, value)
        # The first line lists them by preference. (RFC 3264 section 5.1)
        section.rtp.codecs = [self._codecs[n] for n in section.fmt if n in self._codecs]

    # The attributes. Each method raises ValueError or LookupError if the value is malformed.

    def _candidate(self, value: str) -> None:
        candidate = read_candidate(value)
        if candidate.type not in TYPES:
            raise ValueError
        self.section.ice_candidates.append(candidate)

    def _end_of_candidates(self, _value: str) -> None:
        self.section.ice_candidates_complete = True

    def _extmap(self, value: str) -> None:
        number, uri = value.split()[:2]
        extension = RTCRtpHeaderExtensionParameters(int(number.partition("/")[0]), uri)
        if extension.id not in EXTENSION_IDS:
            raise ValueError
        self.section.rtp.headerExtensions.append(extension)

    def _fingerprint(self, value: str) -> None:
        algorithm, digest = value.split()
        self._fingerprints.append(RTCDtlsFingerprint(algorithm, digest))

    def _setup(self, value: str) -> None:
        self._role = DTLS_SETUP_ROLE[value.lower()]

    def _bundle_only(self, _value: str) -> None:
        self.section.bundle_only = True

    def _rtcp_mux(self, _value: str) -> None:
        self.section.rtcp_mux = True

    def _ice_lite(self, _value: str) -> None:
        self.section.ice.iceLite = True

    def _ice_options(self, value: str) -> None:
        self.section.ice_options = value or None

    def _ice_pwd(self, value: str) -> None:
        self.section.ice.password = value

    def _ice_ufrag(self, value: str) -> None:
        self.section.ice.usernameFragment = value

    def _mid(self, value: str) -> None:
        self.section.rtp.muxId = value.split(maxsplit=1)[0]

    def _msid(self, value: str) -> None:
        if value:
            self._msids.append(value)

    def _max_message_size(self, value: str) -> None:
        if (size := int(value)) < 0:
            raise ValueError
        self.section.sctpCapabilities = RTCSctpCapabilities(size)

    def _rid(self, value: str) -> None:
        rid, direction = value.split()[:2]
        if direction == "send":
            self.section.rids.append(rid)

    def _rtcp(self, value: str) -> None:
        port, _, address = value.partition(" ")
        if (number := int(port)) in PORTS:
            self.section.rtcp_port = number
            self.section.rtcp_host = read_host(address) if address else None

    def _rtpmap(self, value: str) -> None:
        number, encoding = value.split(None, 1)
        # What follows a blank is passed over, as in libwebrtc.
        name, rate, *channels = (part.split()[0] for part in encoding.split("/"))
        kind = self.section.kind
        default = 1 if kind == "audio" else None
        codec = RTCRtpCodecParameters(
            mimeType=f"{kind}/{name}",
            clockRate=int(rate),
            channels=int(channels[0]) if channels and kind == "audio" else default,
            payloadType=int(number),
        )
        self._codecs[int(number)] = codec

    def _fmtp(self, value: str) -> None:
        number, text = value.split(None, 1)
        parameters = self._codecs[int(number)].parameters
        for part in filter(None, map(str.strip, text.split(";"))):
            name, equals, told = (bit.strip() for bit in part.partition("="))
            if not equals:
                parameters[name] = None
            elif name.lower() not in FMTP_INT_PARAMETERS:
                parameters[name.lower()] = told
            elif told.isascii() and told.isdigit():
                parameters[name.lower()] = int(told)

    def _rtcp_fb(self, value: str) -> None:
        number, kind, *parameter = value.split(None, 2)
        codecs = self._codecs.values() if number == "*" else [self._codecs[int(number)]]
        for codec in codecs:
            feedback = RTCRtcpFeedback(kind, parameter[0] if parameter else None)
            codec.rtcpFeedback.append(feedback)

    def _sctpmap(self, value: str) -> None:
        number, text = value.split(None, 1)
        self.section.sctpmap[int(number)] = text

    def _sctp_init(self, value: str) -> None:
        self.section.sctp_init = value or None

    def _sctp_port(self, value: str) -> None:
        self.section.sctp_port = int(value)

    def _ssrc(self, value: str) -> None:
        number, _, attribute = value.partition(" ")
        name, _, told = attribute.partition(":")
        if int(number) not in SOURCES:
            raise ValueError
        source = self._sources.setdefault(int(number), SsrcDescription(int(number)))
        if name in SSRC_INFO_ATTRS:
            setattr(source, name, told)

    def _ssrc_group(self, value: str) -> None:
        semantic, *items = value.split()
        self.section.ssrc_group.append(GroupDescription(semantic, [*map(int, items)]))
