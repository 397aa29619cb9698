"""What a remote description must say, beyond being SDP."""

import logging
from collections.abc import Collection

from aiortc.sdp import MediaDescription, SessionDescription

from ..exceptions import InvalidContentError
from . import description as sdp
from .section import Section

__all__ = ["check_local", "check_remote"]

SCTP_PORTS = range(1, 1 << 16)

logger = logging.getLogger(__name__)


def check_remote(
    description: sdp.Description,
    continued: SessionDescription | None,
    recyclable: Collection[int],
    before: SessionDescription | None,
) -> None:
    """Check the content of a remote description.

    Args:
        description: The description.
        continued: For an offer the current one, for an answer the offer that it answers.
        recyclable: Places of sections which an offer may use for something else.
        before: What the remote side said last.

    Raises:
        InvalidContentError: It can't be applied. The remote side's mistake.
    """
    answer = description.type != "offer"
    for _, media in sdp.live_sections(description):
        _check_section(media, answer=answer)
    _check_fingerprints(description, before)
    expected = [(m.kind, m.rtp.muxId) for m in continued.media] if continued else []
    found = [(m.kind, m.rtp.muxId) for m in description.media]
    if answer and found != expected:
        raise InvalidContentError("Media sections in answer do not match offer")
    if not answer and not _continues(found, expected, recyclable):
        # "The number of m= sections never decreases." (RFC 9429 section 5.2.2)
        raise InvalidContentError("Media sections in offer do not match those negotiated")
    _check_mids(description)


def check_local(description: sdp.Description, offer: SessionDescription | None) -> None:
    """Check what a program may have edited in a local description.

    Args:
        description: The description, with as many sections as were created.
        offer: What it answers, if it isn't an offer itself.

    Raises:
        InvalidContentError: It can't be applied. The program's mistake.
    """
    answer = description.type != "offer"
    for place, media in sdp.live_sections(description):
        if not media.is_supported or not media.fmt:
            raise InvalidContentError("Neither RTP with codecs nor data channels", media.line)
        _check_attributes(media, answer=answer)
        if answer and offer is not None and offer.media[place].rtp.muxId != media.rtp.muxId:
            raise InvalidContentError("Media sections in answer do not match offer")


def _continues(
    after: list[tuple[str, str]], before: list[tuple[str, str]], recyclable: Collection[int]
) -> bool:
    alike = all(
        place in recyclable or section == old
        for place, (section, old) in enumerate(zip(after, before, strict=False))
    )
    return alike and len(after) >= len(before)


def _check_section(media: Section, *, answer: bool) -> None:
    credentials = sdp.section_credentials(media)
    if "" in (credentials.ufrag, credentials.password):
        raise InvalidContentError("ICE username fragment or password is missing", media.line)
    if not credentials.well_formed:
        raise InvalidContentError(
            "ICE username fragment or password has other than ICE's characters", media.line
        )
    if media.dtls is not None and not media.dtls.fingerprints:
        raise InvalidContentError("DTLS fingerprint is missing", media.line)
    _check_attributes(media, answer=answer)
    if media.kind == "application" and _sctp_port(media) not in SCTP_PORTS:
        raise InvalidContentError("SCTP port is missing or out of range", media.line)


def _sctp_port(media: Section) -> int | None:
    if not media.is_old_data:
        return media.sctp_port
    # In this old form, "DTLS/SCTP 5000", the port stands in another place. (RFC 8841 section 5)
    try:
        return int(media.fmt[0])
    except (ValueError, LookupError):
        return None


def _check_attributes(media: Section, *, answer: bool) -> None:
    if media.dtls is None or not media.dtls.role:
        raise InvalidContentError("DTLS setup attribute is missing", media.line)
    if answer and media.dtls.role not in {"client", "server"}:
        raise InvalidContentError(
            "DTLS setup attribute must be 'active' or 'passive' for an answer", media.line
        )
    if media.is_rtp and not media.rtcp_mux:
        raise InvalidContentError("RTCP mux is not enabled", media.line)


def _check_fingerprints(description: sdp.Description, before: SessionDescription | None) -> None:
    known = {media.rtp.muxId: media for _, media in sdp.live_sections(before)}
    lives_on = [
        (m, known[m.rtp.muxId]) for _, m in sdp.live_sections(description) if m.rtp.muxId in known
    ]
    changed = [pair for pair in lives_on if _has_other_certificate(*pair)]
    # Another fingerprint means another DTLS association, which needs a restart. (RFC 9429
    # section 5.11)
    if any(sdp.section_credentials(now) == sdp.section_credentials(was) for now, was in changed):
        raise InvalidContentError("A DTLS fingerprint has changed without an ICE restart")
    if changed:
        logger.warning("Another peer takes over, with which there will be no new DTLS handshake")


def _has_other_certificate(now: MediaDescription, was: MediaDescription) -> bool:
    new, old = _fingerprints(now), _fingerprints(was)
    return any(new[algorithm].isdisjoint(old[algorithm]) for algorithm in new.keys() & old.keys())


def _fingerprints(media: MediaDescription) -> dict[str, set[str]]:
    fingerprints: dict[str, set[str]] = {}
    for fingerprint in media.dtls.fingerprints if media.dtls else []:
        values = fingerprints.setdefault(fingerprint.algorithm.lower(), set())
        values.add(fingerprint.value.upper())
    return fingerprints


def _check_mids(description: sdp.Description) -> None:
    mids = [media.rtp.muxId for media in description.media]
    if len(set(mids)) != len(mids):
        raise InvalidContentError("Two media sections have the same mid")
    # A group of which nothing is known says nothing; programs that rename mids leave one behind.
    group = set(sdp.bundled_mids(description))
    if group & set(mids) and (unknown := group - set(mids)):
        names = ", ".join(sorted(map(repr, unknown)))
        raise InvalidContentError(f"The BUNDLE group contains {names}, which is no section")
