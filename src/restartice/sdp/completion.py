"""Completes a remote description: mids, directions, and omitted attributes."""

import copy
import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ..ice.credentials import IceCredentials
from ..seam import has_common_codec
from .description import Description, bundled_mids, live_sections, section_credentials
from .section import Section

__all__ = ["complete"]

# The default of an older draft, which libwebrtc uses. RFC 8841 has none.
SCTP_PORT: Final = 5000
NO_CREDENTIALS: Final = IceCredentials("", "")


def complete(
    description: Description,
    before: Sequence[str],
    taken: Collection[str],
    *,
    max_bundle: bool = False,
) -> None:
    """Complete a remote description: mids, directions, and attributes of other sections.

    Args:
        description: The description.
        before: The mids of the previous description, by index.
        taken: The mids that new sections must not have.
        max_bundle: Whether sections of an offer that need another transport than the first one
            can't be used.
    """
    mids = _mids(description, before, taken)
    for section in description.media:
        section.rtp.muxId = section.rtp.muxId or next(mids)
    description.unusable = frozenset(_unusable(description))
    if max_bundle and description.type == "offer":
        description.unusable |= _apart(description)
    _share(description)
    for section in description.media:
        _complete_section(section, answer=description.type != "offer")


def _mids(description: Description, before: Sequence[str], taken: Collection[str]) -> Iterator[str]:
    """Yield a mid for each section that has none. (RFC 9429 section 5.10)."""
    told = {section.rtp.muxId for section in description.media}
    unused = (mid for mid in map(str, itertools.count()) if mid not in told and mid not in taken)
    for place, section in enumerate(description.media):
        if not section.rtp.muxId:
            yield before[place] if place < len(before) else next(unused)


def _unusable(description: Description) -> Iterator[int]:
    """Yield the indices of live sections that we can't use.

    Our answer rejects only these sections, not the whole description. (RFC 9429 section 5.3.1)
    """
    has_data = False
    for place, section in enumerate(description.media):
        if section.is_rejected:
            continue
        if section.is_rtp:
            # Where it is all there is: in mode 0 a frame of ours has more packets.
            usable = has_common_codec(section.kind, section.rtp.codecs)
            section.adapted = not usable
            usable = usable or has_common_codec(section.kind, section.readable_codecs)
        else:
            # There is one SCTP association at most. (RFC 9429 section 5.2.1)
            usable, has_data = section.is_data and not has_data, has_data or section.is_data
        if not usable:
            yield place


def _apart(description: Description) -> frozenset[int]:
    """Return the indices of sections outside the BUNDLE group of the first one that we can use.

    "The BUNDLE policy is "max-bundle", and this is not the first "m=" section or in the same BUNDLE
    group as the first "m=" section." (RFC 9429 section 5.3.1)
    """
    usable = {place: section.rtp.muxId for place, section in live_sections(description)}
    first = next(iter(usable.values()), None)
    groups = [[*map(str, g.items)] for g in description.group if g.semantic == "BUNDLE"]
    together = {first}.union(*(group for group in groups if first in group))
    return frozenset(place for place, mid in usable.items() if mid not in together)


def _share(description: Description) -> None:
    """Copy the transport attributes of the tagged section to all sections of its BUNDLE group.

    These attributes apply to the whole group, and bundle-only sections must not repeat them. (RFC
    9143 section 7.1.3, RFC 8859 section 4.2)
    """
    by_mid = {section.rtp.muxId: section for section in description.media}
    named = [by_mid[mid] for mid in bundled_mids(description) if mid in by_mid]
    group = [section for section in named if not section.is_rejected]
    tagged = next((section for section in group if _has_transport(section)), None)
    if tagged is None:
        return
    muxed = any(section.rtcp_mux for section in group)
    for section in group:
        if section_credentials(section) == NO_CREDENTIALS:
            section.ice = copy.copy(tagged.ice)
            section.ice_candidates = section.ice_candidates or [*tagged.ice_candidates]
        assert section.dtls is not None
        assert tagged.dtls is not None
        section.dtls.fingerprints = section.dtls.fingerprints or [*tagged.dtls.fingerprints]
        section.dtls.role = section.dtls.role or tagged.dtls.role
        section.rtcp_mux = section.rtcp_mux or (muxed and section.is_rtp)


def _has_transport(section: Section) -> bool:
    fingerprints = section.dtls.fingerprints if section.dtls else []
    return bool(section_credentials(section) != NO_CREDENTIALS and fingerprints)


def _complete_section(section: Section, *, answer: bool) -> None:
    # The session level's direction is already applied. The default is sendrecv. (RFC 8866 section
    # 6.7)
    if section.is_rtp:
        section.direction = section.direction or "sendrecv"
    if section.is_rejected or not section.is_supported:
        return
    # Departure: the defaults of RFC 4145 section 4 are the opposite. These are libwebrtc's, which
    # work with peers that omit the attribute.
    assert section.dtls is not None
    section.dtls.role = section.dtls.role or ("client" if answer else "auto")
    if section.is_data and not section.is_old_data and section.sctp_port is None:
        section.sctp_port = SCTP_PORT
