"""Session descriptions: reading them with errors that help, finishing those aiortc makes."""

import copy
import ipaddress
import re
from collections.abc import Collection
from typing import Final, Self

from aiortc import RTCIceParameters, RTCSessionDescription
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription

from ..exceptions import SdpSyntaxError
from ..ice.candidate import RTCIceCandidate, has_usable_port, is_unicode
from ..ice.credentials import IceCredentials
from .limits import check_size
from .text import is_rejected, is_unknown, msid_lines, split

__all__ = [
    "OUR_ICE_OPTIONS",
    "Description",
    "add_candidate",
    "bundled_mids",
    "copied",
    "credentials_in",
    "find_section",
    "live_sections",
    "only",
    "parse",
    "rejected_in",
    "rejected_mids",
    "render",
    "section_credentials",
    "set_bundle",
    "set_credentials",
    "shape",
    "supports_trickle",
    "without_candidates",
]

LINE: Final = re.compile(r"[a-z]=")
# Between ICE options; libdatachannel writes commas instead of spaces.
BETWEEN_OPTIONS: Final = re.compile(r"[\s,]+")
ICE_OPTIONS: Final = re.compile(r"^a=ice-options:(.*\S)", re.MULTILINE)
CANDIDATES: Final = re.compile(r"^a=(candidate:.*|end-of-candidates)\r?\n?", re.MULTILINE)
DISCARD_HOST, DISCARD_PORT = "0.0.0.0", 9  # noqa: S104  means "no address yet" (RFC 9429)
PARSE_ERRORS = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    StopIteration,
    RuntimeError,
)


# "An 'a=ice-options' line, with the 'trickle' and 'ice2' options, MUST be specified at the session
# level", for which aiortc has no place. (RFC 9429 section 5.2.1)
OUR_ICE_OPTIONS: Final = "trickle ice2"


class Description(SessionDescription):
    """aiortc's description, with what that has no place for.

    Attributes:
        ice_options: The ICE options of the session level.
        rejected: The places of the media sections that are rejected, or that only we do not know.
    """

    ice_options: str | None = None
    rejected: frozenset[int] = frozenset()
    _rendered: tuple[object, str] = None, ""

    @classmethod
    def extend(cls, description: SessionDescription, ice_options: str | None) -> Self:
        """Make one of aiortc's, which has given every section the options of the session level."""
        extended = cls()
        vars(extended).update(vars(description))
        extended.ice_options = ice_options
        extended._rendered = None, ""
        for media in extended.media:
            if media.ice_options == ice_options:
                media.ice_options = None
        return extended

    def __str__(self) -> str:
        text = super().__str__()
        if self.ice_options is not None:
            head, time, rest = text.partition(f"t={self.time}\r\n")
            text = f"{head}{time}a=ice-options:{self.ice_options}\r\n{rest}"
        return text

    def text_so_far(self) -> str:
        """Return the text of a description that was applied, to which only candidates are added."""
        # Programs and ourselves ask for it again and again, and rendering takes long.
        added = [(m.port, len(m.ice_candidates), m.ice_candidates_complete) for m in self.media]
        if self._rendered[0] != added:
            self._rendered = added, str(self)
        return self._rendered[1]


def parse(description: RTCSessionDescription) -> Description:
    """Parse the SDP.

    Raises:
        SdpSyntaxError: The message names the line. The sender's mistake.
        InvalidContentError: It is too long.
    """
    check_size(description.sdp)
    lines = description.sdp.splitlines()
    if not lines or lines[0] != "v=0":
        raise _syntax_error(lines, 0)
    for number, line in enumerate(lines):
        if line and not (LINE.match(line) and has_usable_port(line) and is_unicode(line)):
            raise _syntax_error(lines, number)
    try:
        parsed = SessionDescription.parse(description.sdp)
    except PARSE_ERRORS:
        raise _syntax_error(lines, _first_bad_line(lines)) from None
    parsed.type = description.type
    session, sections = split(description.sdp)
    options = ICE_OPTIONS.search(session)
    if len(sections) != len(parsed.media):
        raise SdpSyntaxError("SDP syntax error: its lines must end with CR and LF", 1)
    extended = Description.extend(parsed, None if options is None else options.group(1))
    extended.rejected = frozenset(
        n for n, text in enumerate(sections) if is_rejected(text) or is_unknown(text)
    )
    for media, text in zip(extended.media, sections, strict=True):
        media.msid = msid_lines(text)
    _leave_out_names(extended)
    return extended


def _leave_out_names(description: Description) -> None:
    """Put "no address yet" where a name is, or nonsense, which aiortc reads, but doesn't write."""
    description.host = _address_or_none_yet(description.host)
    for media in description.media:
        media.host = _address_or_none_yet(media.host)
        media.rtcp_host = _address_or_none_yet(media.rtcp_host)


def _address_or_none_yet(host: str | None) -> str | None:
    try:
        if host is not None:
            ipaddress.ip_address(host)
    except ValueError:
        return DISCARD_HOST
    return host


def _syntax_error(lines: list[str], number: int) -> SdpSyntaxError:
    text = lines[number] if number < len(lines) else ""
    return SdpSyntaxError(f"SDP syntax error in line {number + 1}: {text[:80]!r}", number + 1)


def _first_bad_line(lines: list[str]) -> int:
    """Return the index of the line that the parser stumbles over, by bisection.

    What is known to be good isn't read again, but for the lines that later ones need.
    """
    needed: list[str] = []
    good, bad = 0, len(lines)
    while bad - good > 1:
        middle = (good + bad) // 2
        if _parses([*needed, *lines[good:middle]]):
            needed = _needed([*needed, *lines[good:middle]])
            good = middle
        else:
            bad = middle
    return bad - 1


def _parses(lines: list[str]) -> bool:
    try:
        SessionDescription.parse("\r\n".join(lines))
    except PARSE_ERRORS:
        return False
    return True


def _needed(lines: list[str]) -> list[str]:
    """Return the beginning of the last media section, and its codecs."""
    starts = [n for n, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        return []
    first, *others = lines[starts[-1] :]
    return [first, *(line for line in others if line.startswith("a=rtpmap:"))]


def without_candidates(sdp: str) -> str:
    """Return the SDP without candidates, and without the end of them."""
    return CANDIDATES.sub("", sdp)


def supports_trickle(description: SessionDescription) -> bool:
    """Return whether a description says that its side trickles. (RFC 8840 section 4.1.3)."""
    level = description.ice_options if isinstance(description, Description) else None
    options = [level, *(media.ice_options for media in description.media)]
    return any("trickle" in BETWEEN_OPTIONS.split(option) for option in options if option)


def credentials_in(description: SessionDescription | None) -> set[IceCredentials]:
    """Return all pairs of username fragment and password that a description contains."""
    return {section_credentials(media) for _, media in live_sections(description)}


def live_sections(
    description: SessionDescription | None,
) -> list[tuple[int, MediaDescription]]:
    """Return the media sections that aren't rejected, and their places."""
    if description is None:
        return []
    rejected = rejected_in(description)
    return [(n, media) for n, media in enumerate(description.media) if n not in rejected]


def rejected_in(description: SessionDescription | None) -> frozenset[int]:
    """Return the places of the media sections that are rejected."""
    return description.rejected if isinstance(description, Description) else frozenset()


def rejected_mids(description: SessionDescription | None) -> set[str]:
    """Return the mids of the media sections that are rejected."""
    rejected = rejected_in(description)
    return {description.media[place].rtp.muxId for place in rejected} if description else set()


def only(description: SessionDescription | None, places: Collection[int]) -> Description | None:
    """Return a description of the sections at some places only; itself, if that is all."""
    if description is None:
        return None
    everything = all(place in places for place in range(len(description.media)))
    if everything and isinstance(description, Description) and not description.rejected:
        return description
    copied = Description.extend(description, None)
    copied.media = [media for n, media in enumerate(description.media) if n in places]
    copied.rejected = frozenset()
    return copied


def copied(description: Description, kind: str) -> Description:
    """Return a copy whose sections can be completed, as another type of description."""
    copy_of_it = Description.extend(description, description.ice_options)
    copy_of_it.media = [copy.copy(media) for media in description.media]
    copy_of_it.type = kind
    return copy_of_it


def shape(description: SessionDescription) -> list[tuple[object, ...]]:
    """Return what a description that was created must still say when it is set."""
    rejected = rejected_in(description)
    return [
        (media.kind, place in rejected, section_credentials(media))
        for place, media in enumerate(description.media)
    ]


def section_credentials(section: MediaDescription) -> IceCredentials:
    """Return the ICE credentials of a media section, empty ones if it has none."""
    ice = section.ice or RTCIceParameters()
    return IceCredentials(ice.usernameFragment or "", ice.password or "")


def bundled_mids(description: SessionDescription | None) -> list[str]:
    """Return the mids of the BUNDLE group, of which the first one's transport is shared."""
    groups = [] if description is None else description.group
    return next((list(map(str, g.items)) for g in groups if g.semantic == "BUNDLE"), [])


def find_section(
    description: SessionDescription | None, mid: str | None, index: int | None
) -> MediaDescription | None:
    """Return the media section with the mid, or else at the index, or None."""
    if description is None:
        return None
    if mid is not None:
        return next((m for m in description.media if m.rtp.muxId == mid), None)
    if index is not None and 0 <= index < len(description.media):
        return description.media[index]
    return None


def add_candidate(section: MediaDescription, candidate: RTCIceCandidate) -> None:
    """Add a candidate; the first one is the default destination. (RFC 8839 section 4.2.1.2)."""
    if not section.ice_candidates:
        section.host, section.port = candidate.ip, candidate.port
    section.ice_candidates.append(candidate)


def set_credentials(media: MediaDescription, credentials: IceCredentials) -> None:
    """Put other credentials into a media section, for which no candidate was gathered yet."""
    if credentials == section_credentials(media):
        return
    media.ice = RTCIceParameters(credentials.ufrag, credentials.password)
    media.ice_candidates, media.ice_candidates_complete = [], False
    media.host, media.port = DISCARD_HOST, DISCARD_PORT


def set_bundle(description: SessionDescription, mids: list[str]) -> None:
    """Put the sections with these mids into the one BUNDLE group, or into none."""
    description.group = [group for group in description.group if group.semantic != "BUNDLE"]
    if mids:
        description.group.insert(0, GroupDescription("BUNDLE", [*mids]))


def render(description: SessionDescription | None) -> RTCSessionDescription | None:
    """Return a description as text, with the candidates added meanwhile."""
    if description is None:
        return None
    if isinstance(description, Description):
        return RTCSessionDescription(description.text_so_far(), str(description.type))
    return RTCSessionDescription(str(description), str(description.type))
