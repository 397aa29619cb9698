"""Session descriptions: reading them with errors that help, finishing those aiortc makes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import randbits
from typing import Final, Generic, Self, TypeVar

from aiortc import RTCIceParameters, RTCSessionDescription
from aiortc.sdp import MediaDescription, SessionDescription

from .candidate import RTCIceCandidate
from .credentials import IceCredentials
from .exceptions import SdpSyntaxError
from .negotiation import Section

__all__ = [
    "OUR_ICE_OPTIONS",
    "CreatedDescription",
    "Description",
    "Origin",
    "add_candidate",
    "bundled_mids",
    "credentials_in",
    "find_section",
    "parse",
    "render",
    "restart",
    "section_credentials",
    "sections",
    "supports_trickle",
    "without_candidates",
]

T = TypeVar("T")

LINE: Final = re.compile(r"[a-z]=")
ICE_OPTIONS: Final = re.compile(r"^a=ice-options:(.*\S)", re.MULTILINE)
CANDIDATES: Final = re.compile(r"^a=(candidate:.*|end-of-candidates)\r?\n?", re.MULTILINE)
# What differs between two descriptions of the same thing: the version itself, and what is gathered.
VARIABLE: Final = re.compile(
    r"^(o=.*|c=.*|a=candidate:.*|a=end-of-candidates|a=rtcp:.*)\r\n|(?<=^m=)(\w+ \d+)", re.MULTILINE
)
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
    """aiortc's description, with the ICE options of its session level."""

    ice_options: str | None = None

    @classmethod
    def extend(cls, description: SessionDescription, ice_options: str | None) -> Self:
        """Make one of aiortc's, which has given every section the options of the session level."""
        extended = cls()
        vars(extended).update(vars(description))
        extended.ice_options = ice_options
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


@dataclass(frozen=True)
class CreatedDescription(Generic[T]):
    """What createOffer or createAnswer returned last, and the credentials made for it."""

    sdp: str
    description: Description
    credentials: Mapping[T, IceCredentials] = field(default_factory=dict)


class Origin:
    """The `o=` line of a connection's own descriptions.

    The session id stays the same; the version rises by one with each description that differs
    from the one before. (RFC 9429 section 5.2.1 and 5.2.2)
    """

    def __init__(self) -> None:
        self._session_id = randbits(62)
        self._version = 0
        self._content = ""
        self._stamped: tuple[SessionDescription | None, str] = (None, "")

    def stamp(self, description: SessionDescription) -> None:
        """Write the line into a description that was created."""
        content = _content(description)
        version = self._version + (self._content != content)
        description.origin = f"- {self._session_id} {version} IN IP4 0.0.0.0"
        self._stamped = description, content

    def applied(self, description: SessionDescription) -> None:
        """Note that a description was set locally."""
        # Rendering takes long, and is done already for a description that was created last.
        stamped, content = self._stamped
        if description is not stamped:
            content = _content(description)
        if self._content != content:
            self._version += 1
            self._content = content


def _content(description: SessionDescription) -> str:
    return VARIABLE.sub("", str(description))


def parse(description: RTCSessionDescription) -> Description:
    """Parse the SDP.

    Raises:
        SdpSyntaxError: The message names the line. The sender's mistake.
    """
    lines = description.sdp.splitlines()
    if not lines or lines[0] != "v=0":
        raise _syntax_error(lines, 0)
    for number, line in enumerate(lines):
        if line and not LINE.match(line):
            raise _syntax_error(lines, number)
    try:
        parsed = SessionDescription.parse(description.sdp)
    except PARSE_ERRORS:
        raise _syntax_error(lines, _first_bad_line(lines)) from None
    parsed.type = description.type
    options = ICE_OPTIONS.search(description.sdp.partition("\nm=")[0])
    return Description.extend(parsed, None if options is None else options.group(1))


def _syntax_error(lines: list[str], number: int) -> SdpSyntaxError:
    text = lines[number] if number < len(lines) else ""
    return SdpSyntaxError(f"SDP syntax error in line {number + 1}: {text[:80]!r}", number + 1)


def _first_bad_line(lines: list[str]) -> int:
    """Return the index of the line that the parser stumbles over, by bisection."""
    good, bad = 0, len(lines)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            SessionDescription.parse("\r\n".join(lines[:middle]))
        except PARSE_ERRORS:
            bad = middle
        else:
            good = middle
    return bad - 1


def without_candidates(sdp: str) -> str:
    """Return the SDP without candidates, and without the end of them."""
    return CANDIDATES.sub("", sdp)


def supports_trickle(description: SessionDescription) -> bool:
    """Return whether a description says that its side trickles. (RFC 8840 section 4.1.3)."""
    level = description.ice_options if isinstance(description, Description) else None
    options = [level, *(media.ice_options for media in description.media)]
    return any("trickle" in option.split() for option in options if option)


def credentials_in(description: SessionDescription | None) -> set[IceCredentials]:
    """Return all pairs of username fragment and password that a description contains."""
    media = [] if description is None else description.media
    return {section_credentials(section) for section in media}


def section_credentials(section: MediaDescription) -> IceCredentials:
    """Return the ICE credentials of a media section, empty ones if it has none."""
    ice = section.ice or RTCIceParameters()
    return IceCredentials(ice.usernameFragment or "", ice.password or "")


def sections(description: SessionDescription | None) -> dict[str, Section]:
    """Return what is to be known of the media sections to tell if negotiation is needed."""
    media = [] if description is None else description.media
    return {m.rtp.muxId: Section(m.kind, m.direction or "sendrecv", m.msid) for m in media}


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


def restart(
    description: SessionDescription,
    transport_at: Callable[[int], T | None],
    credentials: Mapping[T, IceCredentials],
) -> None:
    """Put the credentials of a restart into the sections of the transports that restart."""
    for index, media in enumerate(description.media):
        transport = transport_at(index)
        if transport is not None and (fresh := credentials.get(transport)) is not None:
            media.ice = RTCIceParameters(fresh.ufrag, fresh.password)
            media.ice_candidates, media.ice_candidates_complete = [], False
            media.host, media.port = DISCARD_HOST, DISCARD_PORT


def render(description: SessionDescription | None) -> RTCSessionDescription | None:
    """Return a description as text, with the candidates added meanwhile."""
    if description is None:
        return None
    return RTCSessionDescription(sdp=str(description), type=str(description.type))
