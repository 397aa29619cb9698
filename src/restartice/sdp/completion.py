"""What a remote description needn't say, because it goes without saying."""

import copy
import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ..ice.credentials import IceCredentials
from ..seam import has_common_codec
from .description import Description, bundled_mids, section_credentials
from .section import Section

__all__ = ["complete"]

# "The default is 5000", in an older draft, which libwebrtc goes by; RFC 8841 has none.
SCTP_PORT: Final = 5000
NO_CREDENTIALS: Final = IceCredentials("", "")


def complete(description: Description, before: Sequence[str], taken: Collection[str]) -> None:
    """Complete a remote description: mids, directions, and what is told elsewhere.

    Args:
        description: The description.
        before: The mids of the sections that it goes on with, by place.
        taken: The mids that no new section can have.
    """
    mids = _mids(description, before, taken)
    for section in description.media:
        section.rtp.muxId = section.rtp.muxId or next(mids)
    description.unusable = frozenset(_unusable(description))
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
    """Yield the places of sections that aren't rejected, but can't be used by us.

    They are rejected by themselves. (RFC 9429 section 5.3.1)
    """
    has_data = False
    for place, section in enumerate(description.media):
        if section.is_rejected:
            continue
        if section.is_rtp:
            usable = has_common_codec(section)
        else:
            # There is one SCTP association at most. (RFC 9429 section 5.2.1)
            usable, has_data = section.is_data and not has_data, has_data or section.is_data
        if not usable:
            yield place


def _share(description: Description) -> None:
    """Give the sections of a BUNDLE group what only one of them tells of their transport.

    "The attributes of the tagged section count for all", and bundle-only ones must not repeat them.
    (RFC 9143 section 7.1.3, RFC 8859 section 4.2)
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
    # That of the session level has been read, else it is sendrecv. (RFC 8866 section 6.7)
    if section.is_rtp:
        section.direction = section.direction or "sendrecv"
    if section.is_rejected or not section.is_supported:
        return
    # Departure: the defaults of RFC 4145 section 4 are the other way round. These are libwebrtc's,
    # which works with those peers that leave the attribute out.
    assert section.dtls is not None
    section.dtls.role = section.dtls.role or ("client" if answer else "auto")
    if section.is_data and not section.is_old_data and section.sctp_port is None:
        section.sctp_port = SCTP_PORT
