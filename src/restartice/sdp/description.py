"""Queries and changes of session descriptions."""

import copy
import re
from collections.abc import Collection
from typing import Final, cast, overload

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
    "remove_candidates",
    "render",
    "sctp_init",
    "section_credentials",
    "sections_in",
    "set_bundle",
    "set_credentials",
    "shape",
    "supports_trickle",
    "takes_early_checks",
    "text_for_aiortc",
]

# The separator of ICE options. libdatachannel writes commas instead of spaces.
BETWEEN_OPTIONS: Final = re.compile(r"[\s,]+")

# "An 'a=ice-options' line, with the 'trickle' and 'ice2' options, MUST be specified at the session
# level." aiortc has no field for it. (RFC 9429 section 5.2.1) The last option is our own: the peer
# may check pairs, and nominate one, before its answer to a restart arrives.
EARLY_CHECKS: Final = "early-checks"
OUR_ICE_OPTIONS: Final = f"trickle ice2 {EARLY_CHECKS}"


def supports_trickle(description: SessionDescription) -> bool:
    """Return whether a description announces trickle ICE. (RFC 8840 section 4.1.3)."""
    return _has_ice_option(description, "trickle")


def takes_early_checks(description: SessionDescription) -> bool:
    """Return whether a description announces that its side takes checks before the answer."""
    return _has_ice_option(description, EARLY_CHECKS)


def sctp_init(description: SessionDescription | None) -> str | None:
    """Return the INIT of SCTP that a description tells, or None."""
    inits = (media.sctp_init for _, media in live_sections(description) if media.is_data)
    return next(inits, None)


def _has_ice_option(description: SessionDescription, option: str) -> bool:
    level = description.ice_options if isinstance(description, Description) else None
    listed = [level, *(media.ice_options for media in description.media)]
    return any(option in BETWEEN_OPTIONS.split(options) for options in listed if options)


def credentials_in(description: SessionDescription | None) -> set[IceCredentials]:
    """Return the ICE credentials of all live sections."""
    return {section_credentials(media) for _, media in live_sections(description)}


def live_sections(description: SessionDescription | None) -> list[tuple[int, Section]]:
    """Return the media sections that neither side rejects, with their indices."""
    if not isinstance(description, Description):
        return [*enumerate(sections_in(description))]
    unusable = description.unusable
    return [
        (n, section)
        for n, section in enumerate(description.media)
        if not (section.is_rejected or n in unusable)
    ]


def sections_in(description: SessionDescription | None) -> list[Section]:
    """Return all media sections of a description that we have parsed."""
    return [] if description is None else cast("list[Section]", description.media)


def rejected_in(description: SessionDescription | None) -> frozenset[int]:
    """Return the indices of the rejected media sections."""
    return description.rejected if isinstance(description, Description) else frozenset()


def rejected_mids(description: SessionDescription | None) -> set[str]:
    """Return the mids of the rejected media sections.

    In an answer, sections that we can't use count as rejected; in an offer they don't, until our
    answer rejects them.
    """
    if not isinstance(description, Description):
        return set()
    places = description.rejected
    if description.type != "offer":
        places |= description.unusable
    return {description.media[place].rtp.muxId for place in places}


@overload
def only(description: Description, places: Collection[int]) -> Description: ...


@overload
def only(description: SessionDescription | None, places: Collection[int]) -> Description | None: ...


def only(description: SessionDescription | None, places: Collection[int]) -> Description | None:
    """Return a description with the sections at these indices only; itself if these are all."""
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
    """Return the text of the sections at these indices, for aiortc to parse."""
    part = only(description, places)
    assert part is not None
    part = part.copy()
    part.ice_options = None
    part.media = [section.for_aiortc() for section in part.media]
    return str(part)


def copied(description: Description, kind: str) -> Description:
    """Return a copy of another type, with copied sections."""
    copy_of_it = description.copy()
    copy_of_it.media = [copy.copy(media) for media in description.media]
    copy_of_it.type = kind
    return copy_of_it


def shape(description: SessionDescription) -> list[tuple[object, ...]]:
    """Return the parts of a created description that the program must not edit."""
    rejected = rejected_in(description)
    return [
        (media.kind, place in rejected, section_credentials(media))
        for place, media in enumerate(description.media)
    ]


def section_credentials(section: MediaDescription) -> IceCredentials:
    """Return the ICE credentials of a media section; empty if it has none."""
    ice = section.ice or RTCIceParameters()
    return IceCredentials(ice.usernameFragment or "", ice.password or "")


def bundled_mids(description: SessionDescription | None) -> list[str]:
    """Return the mids of the BUNDLE group. All its sections use the first one's transport."""
    groups = [] if description is None else description.group
    return next((list(map(str, g.items)) for g in groups if g.semantic == "BUNDLE"), [])


def find_section(
    description: SessionDescription | None, mid: str | None, index: int | None
) -> MediaDescription | None:
    """Return the media section with the mid, or at the index if there is no mid, or None.

    Where there is an index, an empty mid is none: Pion sends it in each candidate, and browsers go
    by the index then.
    """
    if description is None:
        return None
    if mid or (mid is not None and index is None):
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
    """Set new credentials in a media section, and remove the candidates of the old ones."""
    if credentials == section_credentials(media):
        return
    media.ice = RTCIceParameters(credentials.ufrag, credentials.password)
    remove_candidates(media)


def remove_candidates(media: MediaDescription) -> None:
    """Remove the candidates of a media section, and the default destination."""
    media.ice_candidates, media.ice_candidates_complete = [], False
    media.host, media.port = DISCARD_HOST, DISCARD_PORT


def set_bundle(description: SessionDescription, mids: list[str]) -> None:
    """Replace the BUNDLE group by one of these mids; without mids, remove it."""
    description.group = [group for group in description.group if group.semantic != "BUNDLE"]
    if mids:
        description.group.insert(0, GroupDescription("BUNDLE", [*mids]))


def render(description: SessionDescription | None) -> RTCSessionDescription | None:
    """Return a description as text, including the candidates added since."""
    if description is None:
        return None
    if isinstance(description, Description):
        return RTCSessionDescription(description.text_so_far(), str(description.type))
    return RTCSessionDescription(str(description), str(description.type))
