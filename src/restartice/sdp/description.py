"""What is to be known of session descriptions, and what is changed in them."""

import copy
import re
from collections.abc import Collection
from typing import Final, cast

from aiortc import RTCIceParameters, RTCSessionDescription
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription

from ..ice.candidate import RTCIceCandidate
from ..ice.credentials import IceCredentials
from .model import Description
from .parsing import parse
from .section import DISCARD_HOST, DISCARD_PORT, Section

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
    "sections_in",
    "set_bundle",
    "set_credentials",
    "shape",
    "supports_trickle",
    "text_for_aiortc",
]

# Between ICE options; libdatachannel writes commas instead of spaces.
BETWEEN_OPTIONS: Final = re.compile(r"[\s,]+")

# "An 'a=ice-options' line, with the 'trickle' and 'ice2' options, MUST be specified at the session
# level", for which aiortc has no place. (RFC 9429 section 5.2.1)
OUR_ICE_OPTIONS: Final = "trickle ice2"


def supports_trickle(description: SessionDescription) -> bool:
    """Return whether a description says that its side trickles. (RFC 8840 section 4.1.3)."""
    level = description.ice_options if isinstance(description, Description) else None
    options = [level, *(media.ice_options for media in description.media)]
    return any("trickle" in BETWEEN_OPTIONS.split(option) for option in options if option)


def credentials_in(description: SessionDescription | None) -> set[IceCredentials]:
    """Return all pairs of username fragment and password that a description contains."""
    return {section_credentials(media) for _, media in live_sections(description)}


def live_sections(description: SessionDescription | None) -> list[tuple[int, Section]]:
    """Return the media sections that are in use, and their places: neither side rejects them."""
    dead = rejected_in(description)
    if isinstance(description, Description):
        dead |= description.unusable
    return [(n, section) for n, section in enumerate(sections_in(description)) if n not in dead]


def sections_in(description: SessionDescription | None) -> list[Section]:
    """Return all media sections of a description, which is one that we have parsed."""
    return [] if description is None else cast("list[Section]", description.media)


def rejected_in(description: SessionDescription | None) -> frozenset[int]:
    """Return the places of the media sections that are rejected."""
    return description.rejected if isinstance(description, Description) else frozenset()


def rejected_mids(description: SessionDescription | None) -> set[str]:
    """Return the mids of the media sections that are rejected.

    What only we don't accept isn't rejected before our answer says so; of an answer it is.
    """
    if not isinstance(description, Description):
        return set()
    places = description.rejected
    if description.type != "offer":
        places |= description.unusable
    return {description.media[place].rtp.muxId for place in places}


def only(description: SessionDescription | None, places: Collection[int]) -> Description | None:
    """Return a description of the sections at some places only; itself, if that is all."""
    if not isinstance(description, Description):
        return None
    left_out = {m.rtp.muxId for n, m in enumerate(description.media) if n not in places}
    if not left_out:
        return description
    part = description.copy()
    part.media = [media for n, media in enumerate(description.media) if n in places]
    part.unusable = frozenset()
    part.group = [
        GroupDescription(group.semantic, [mid for mid in group.items if mid not in left_out])
        for group in description.group
    ]
    return part


def text_for_aiortc(description: Description, places: Collection[int]) -> str:
    """Return the text of the sections at some places, for aiortc to parse."""
    part = only(description, places)
    assert part is not None
    part = part.copy()
    part.ice_options = None
    part.media = [section.for_aiortc() for section in part.media]
    return str(part)


def copied(description: Description, kind: str) -> Description:
    """Return a copy whose sections can be completed, as another type of description."""
    copy_of_it = description.copy()
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
