"""Media sections of a description: leaving some out, naming them, rejecting them."""

import copy
import re
from collections.abc import Collection
from typing import Final

from aiortc import RTCIceParameters
from aiortc.sdp import MediaDescription

from ..ice.credentials import IceCredentials

__all__ = [
    "MSID_SEPARATOR",
    "described_streams",
    "is_rejected",
    "is_unknown",
    "mids_of",
    "msid_lines",
    "rejected_section",
    "split",
    "streams_as_msid",
    "with_directions",
    "with_mids",
    "without_sections",
]

GROUP: Final = re.compile(r"^a=group:(\S+)([^\r\n]*)", re.MULTILINE)
MID: Final = re.compile(r"^a=mid:(\S+)", re.MULTILINE)
MSID: Final = re.compile(r"^a=msid:(.*\S)", re.MULTILINE)
DIRECTION: Final = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)
KNOWN: Final = ("m=audio ", "m=video ", "m=application ")
MEDIA: Final = ("m=audio ", "m=video ")
PORT: Final = re.compile(r"m=\S+ (\d+)")
BUNDLE_ONLY: Final = re.compile(r"^a=bundle-only\s*$", re.MULTILINE)
# aiortc has place for one such line, and writes what it is given.
MSID_SEPARATOR: Final = "\r\na=msid:"
NO_STREAM: Final = "-"


def split(sdp: str) -> tuple[str, list[str]]:
    """Return the session level and the media sections as text."""
    session, *sections = sdp.split("\nm=")
    if not sections:
        return session, []
    *whole, last = [f"m={section}" for section in sections]
    return f"{session}\n", [*(f"{section}\n" for section in whole), last]


def mids_of(sdp: str) -> list[str | None]:
    """Return the mid of each media section, or None for one without."""
    matches = [MID.search(section) for section in split(sdp)[1]]
    return [match and match.group(1) for match in matches]


def with_mids(sdp: str, mids: list[str]) -> str:
    """Return the SDP with these mids in the sections that have none."""
    session, sections = split(sdp)
    named = [
        section if MID.search(section) else f"{section.rstrip()}\r\na=mid:{mid}\r\n"
        for section, mid in zip(sections, mids, strict=True)
    ]
    return "".join([session, *named])


def with_directions(sdp: str) -> str:
    """Return the SDP with a direction in each section of media.

    Where none is told that of the session level counts, else it is sendrecv. (RFC 8866 section 6.7)
    """
    session, sections = split(sdp)
    common = DIRECTION.search(session)
    default = "sendrecv" if common is None else common.group(1)
    directed = [
        f"{section.rstrip()}\r\na={default}\r\n"
        if section.startswith(MEDIA) and not DIRECTION.search(section)
        else section
        for section in sections
    ]
    return "".join([session, *directed])


def without_sections(sdp: str, places: Collection[int]) -> str:
    """Return the SDP without the sections at some places, and without their mids in groups."""
    session, sections = split(sdp)
    left_out = {mid for place, mid in enumerate(mids_of(sdp)) if place in places}
    kept = [section for place, section in enumerate(sections) if place not in places]

    def regroup(match: re.Match[str]) -> str:
        items = [mid for mid in match.group(2).split() if mid not in left_out]
        return " ".join([f"a=group:{match.group(1)}", *items])

    return "".join([GROUP.sub(regroup, session), *kept])


def is_rejected(section: str) -> bool:
    """Return whether a section has port zero, but not because it relies on a BUNDLE group.

    (RFC 9143 section 6)
    """
    port = PORT.match(section)
    return port is not None and int(port.group(1)) == 0 and not BUNDLE_ONLY.search(section)


def is_unknown(section: str) -> bool:
    """Return whether a section is of a kind that can only be rejected. (RFC 3264 section 6)."""
    return not section.startswith(KNOWN)


def msid_lines(section: str) -> str | None:
    """Return the values of all msid lines of a section, as one for aiortc, or None."""
    return MSID_SEPARATOR.join(MSID.findall(section)) or None


def described_streams(msid: str | None) -> tuple[str, ...] | None:
    """Return the ids of the streams in these lines, or None without lines. (RFC 9429 4.1.5)."""
    if msid is None:
        return None
    ids = [value.split()[0] for value in msid.split(MSID_SEPARATOR)]
    return tuple(dict.fromkeys(stream_id for stream_id in ids if stream_id != NO_STREAM))


def streams_as_msid(stream_ids: Collection[str], track_id: str) -> str:
    """Return the lines that announce a track in its streams."""
    return MSID_SEPARATOR.join(f"{stream_id} {track_id}" for stream_id in stream_ids or [NO_STREAM])


def rejected_section(model: MediaDescription, credentials: IceCredentials) -> MediaDescription:
    """Return a section like another one, but rejected.

    Everything but the port is there, because plain aiortc reads rejected sections like others.
    """
    media = copy.copy(model)
    media.port, media.host = 0, "0.0.0.0"  # noqa: S104  no address
    media.direction = "inactive" if model.kind != "application" else model.direction
    media.msid = None
    media.ssrc, media.ssrc_group = [], []
    media.ice = RTCIceParameters(credentials.ufrag, credentials.password)
    media.ice_candidates, media.ice_candidates_complete = [], False
    return media
