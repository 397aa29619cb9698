"""Checks the content of descriptions, beyond their syntax."""

import re
from collections.abc import Collection
from typing import Final

from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, RTCDtlsFingerprint
from aiortc.sdp import MediaDescription, SessionDescription
from cryptography.hazmat.primitives import hashes

from ..exceptions import InvalidContentError
from ..logs import ObjectLogger
from . import description as sdp
from .section import Section

__all__ = ["check_local", "check_remote", "decisive_fingerprints"]

# Departure: 0 is no port of SCTP, but libwebrtc takes it, too. (RFC 9260 section 3.1)
SCTP_PORTS = range(1 << 16)
# The hash functions of fingerprints. aiortc has only the strong ones.
WEAK_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha-1": hashes.SHA1(),  # noqa: S303  all that some gateways write
    "sha-224": hashes.SHA224(),
}
HASHES: Final = {**WEAK_HASHES, **X509_DIGEST_ALGORITHMS}
BYTES = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2})*", re.IGNORECASE)


def check_remote(
    description: sdp.Description,
    continued: SessionDescription | None,
    recyclable: Collection[int],
    before: SessionDescription | None,
    log: ObjectLogger,
) -> None:
    """Check the content of a remote description.

    Args:
        description: The description.
        continued: For an offer the current remote description, for an answer its offer.
        recyclable: The indices of sections that an offer may reuse.
        before: The peer's previous description.
        log: The log of the connection.

    Raises:
        InvalidContentError: The description can't be applied, by a mistake of its sender.
    """
    answer = description.type != "offer"
    for media in description.media:
        # Also of a section that isn't used, as no peer means anything by them.
        if not media.is_rejected and not sdp.section_credentials(media).well_formed:
            raise InvalidContentError(
                "expected an ICE username fragment and password of letters, digits, '+' and '/'",
                media.line,
            )
    for _, media in sdp.live_sections(description):
        _check_section(media, answer=answer)
    _check_fingerprints(description, before, log)
    _check_sections(description, continued, () if answer else recyclable)
    _check_mids(description)


def check_local(description: sdp.Description, offer: SessionDescription | None) -> None:
    """Check a program's edits of a local description.

    Args:
        description: The description, with as many sections as were created.
        offer: The offer that it answers, or None.

    Raises:
        InvalidContentError: The description can't be applied, by a mistake of the program.
    """
    answer = description.type != "offer"
    for place, media in sdp.live_sections(description):
        if not media.is_supported or not media.fmt:
            found = f"m={media.kind} {media.profile} with {len(media.fmt)} formats"
            raise InvalidContentError(
                f"expected RTP with codecs, or data channels, got {found}", media.line
            )
        _check_attributes(media, answer=answer)
        if answer and offer is not None and offer.media[place].rtp.muxId != media.rtp.muxId:
            raise InvalidContentError("Media sections in answer do not match offer", media.line)


def _check_sections(
    description: sdp.Description, before: SessionDescription | None, recyclable: Collection[int]
) -> None:
    """Check that all previous sections are there, in order. An offer may have more."""
    offer = description.type == "offer"
    expected = [(m.kind, m.rtp.muxId) for m in before.media] if before else []
    found = [(m.kind, m.rtp.muxId) for m in description.media]
    differing = (
        place
        for place in range(len(found))
        if found[place : place + 1] != expected[place : place + 1]
        and place not in recyclable
        and not (offer and place >= len(expected))
    )
    place = next(differing, None)
    # "The number of m= sections never decreases." (RFC 9429 section 5.2.2)
    if place is None and len(found) >= len(expected):
        return
    line = description.media[-1 if place is None else place].line if found else 1
    if offer:
        raise InvalidContentError("Media sections in offer do not match those negotiated", line)
    raise InvalidContentError("Media sections in answer do not match offer", line)


def _check_section(media: Section, *, answer: bool) -> None:
    credentials = sdp.section_credentials(media)
    if "" in (credentials.ufrag, credentials.password):
        raise InvalidContentError("ICE username fragment or password is missing", media.line)
    if media.dtls is not None and not media.dtls.fingerprints:
        raise InvalidContentError("DTLS fingerprint is missing", media.line)
    _check_digests(media)
    _check_attributes(media, answer=answer)
    if media.kind == "application" and _sctp_port(media) not in SCTP_PORTS:
        port = _sctp_port(media)
        raise InvalidContentError(
            f"SCTP port is missing or out of range: expected 0 to 65535, got {port}", media.line
        )


def decisive_fingerprints(
    fingerprints: list[RTCDtlsFingerprint],
) -> list[tuple[hashes.HashAlgorithm, str]]:
    """Return the hash functions and values of the fingerprints that all must match.

    Those with a weak hash function count only if there are no others; libwebrtc takes them, too.
    (RFC 8122 section 5)
    """
    known = [(f.algorithm.lower(), f.value) for f in fingerprints if f.algorithm.lower() in HASHES]
    strong = [(name, value) for name, value in known if name not in WEAK_HASHES]
    return [(HASHES[name], value) for name, value in strong or known]


def _check_digests(media: Section) -> None:
    """Check that fingerprints can be those of a certificate."""
    told = media.dtls.fingerprints if media.dtls else []
    decisive = decisive_fingerprints(told)
    if told and not decisive:
        raise InvalidContentError(
            f"expected a DTLS fingerprint by {', '.join(HASHES)}, got {told[0].algorithm[:20]!r}",
            media.line,
        )
    for function, value in decisive:
        if len(value) != 3 * function.digest_size - 1 or not BYTES.fullmatch(value):
            raise InvalidContentError(
                f"expected {function.digest_size} bytes in a fingerprint by {function.name}, as "
                f"hexadecimal numbers with colons, got {len(value)} characters: {value[:20]!r}",
                media.line,
            )


def _sctp_port(media: Section) -> int | None:
    if not media.is_old_data:
        return media.sctp_port
    # In the old form, "DTLS/SCTP 5000", the port is a format. (RFC 8841 section 5)
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


def _check_fingerprints(
    description: sdp.Description, before: SessionDescription | None, log: ObjectLogger
) -> None:
    known = {media.rtp.muxId: media for _, media in sdp.live_sections(before)}
    lives_on = [
        (m, known[m.rtp.muxId]) for _, m in sdp.live_sections(description) if m.rtp.muxId in known
    ]
    changed = [pair for pair in lives_on if _has_other_certificate(*pair)]
    # A new fingerprint means a new DTLS association, which needs a restart. (RFC 9429 section 5.11)
    for now, was in changed:
        if sdp.section_credentials(now) == sdp.section_credentials(was):
            raise InvalidContentError(
                "A DTLS fingerprint has changed without an ICE restart", now.line
            )
    if changed:
        log.warning(
            "the remote certificate changed; a second DTLS handshake isn't supported, so no media "
            "will flow"
        )


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
    mids: set[str] = set()
    for media in description.media:
        if media.rtp.muxId in mids:
            raise InvalidContentError(
                f"expected a mid for each media section, got {media.rtp.muxId!r} twice", media.line
            )
        mids.add(media.rtp.muxId)
    # A group of unknown mids only is ignored: programs that rename mids leave such a group.
    group = set(sdp.bundled_mids(description))
    if group & mids and (unknown := group - mids):
        names = ", ".join(sorted(map(repr, unknown)))
        raise InvalidContentError(
            f"The BUNDLE group contains {names}, but no media section has this mid",
            description.group_line,
        )
