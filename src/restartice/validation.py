"""What a remote description must say, beyond being SDP."""

from collections.abc import Collection

from aiortc.sdp import MediaDescription, SessionDescription

from . import description as sdp
from .exceptions import InvalidContentError

__all__ = ["check_remote"]


def check_remote(
    description: sdp.Description,
    continued: SessionDescription | None,
    recyclable: Collection[int],
) -> None:
    """Check the content of a remote description.

    Args:
        description: The description.
        continued: For an offer the current one, for an answer the offer that it answers.
        recyclable: Places of sections which an offer may use for something else.

    Raises:
        InvalidContentError: It can't be applied. The remote side's mistake.
    """
    answer = description.type != "offer"
    for _, media in sdp.live_sections(description):
        _check_section(media, answer=answer)
    before = [(m.kind, m.rtp.muxId) for m in continued.media] if continued else []
    after = [(m.kind, m.rtp.muxId) for m in description.media]
    if answer and after != before:
        raise InvalidContentError("Media sections in answer do not match offer")
    if not answer and not _continues(after, before, recyclable):
        # "The number of m= sections never decreases." (RFC 9429 section 5.2.2)
        raise InvalidContentError("Media sections in offer do not match those negotiated")
    _check_mids(description)


def _continues(
    after: list[tuple[str, str]], before: list[tuple[str, str]], recyclable: Collection[int]
) -> bool:
    alike = all(
        place in recyclable or section == old
        for place, (section, old) in enumerate(zip(after, before, strict=False))
    )
    return alike and len(after) >= len(before)


def _check_section(media: MediaDescription, *, answer: bool) -> None:
    if "" in (sdp.section_credentials(media).ufrag, sdp.section_credentials(media).password):
        raise InvalidContentError("ICE username fragment or password is missing")
    if media.dtls is None:
        raise InvalidContentError("DTLS setup attribute is missing")
    if answer and media.dtls.role not in {"client", "server"}:
        raise InvalidContentError(
            "DTLS setup attribute must be 'active' or 'passive' for an answer"
        )
    if media.kind in {"audio", "video"} and not media.rtcp_mux:
        raise InvalidContentError("RTCP mux is not enabled")


def _check_mids(description: sdp.Description) -> None:
    mids = [media.rtp.muxId for media in description.media]
    if len(set(mids)) != len(mids):
        raise InvalidContentError("Two media sections have the same mid")
    # A group of which nothing is known says nothing; programs that rename mids leave one behind.
    group = set(sdp.bundled_mids(description))
    if group & set(mids) and (unknown := group - set(mids)):
        names = ", ".join(sorted(map(repr, unknown)))
        raise InvalidContentError(f"The BUNDLE group contains {names}, which is no section")
