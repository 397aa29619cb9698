"""How much a description may say, so that reading it doesn't stop the event loop for long."""

from typing import Final

from ..exceptions import InvalidContentError

__all__ = ["check_size"]

# In characters. An offer of Chromium's with 100 videos has some 600,000.
LENGTH: Final = 1 << 20
LINES: Final = 1 << 16
SECTIONS: Final = 500
# Payload types have seven bits. (RFC 3550 section 5.1)
CODECS: Final = 128
# aiortc's parser looks through the codecs of a section for each line about one, and through the
# sources for each line about one. This is what takes about 0.2 s; offers of 150 videos with all
# codecs of Chromium, or of 100 simulcasts of six sources each in one section, take a tenth or half.
WORK: Final = 10_000_000
PER_CODEC: Final = 5
PER_FEEDBACK_FOR_ALL: Final = 50


def check_size(sdp: str) -> None:
    """Check how long a description is, and of how many lines and media sections.

    Raises:
        InvalidContentError: The description says more than can be read in reasonable time. The
            sender's mistake.
    """
    if len(sdp) > LENGTH:
        raise InvalidContentError(f"The description has more than {LENGTH} characters")
    if sdp.count("\n") > LINES:
        raise InvalidContentError(f"The description has more than {LINES} lines")
    sections = sdp.split("\nm=")[1:]
    if len(sections) > SECTIONS:
        raise InvalidContentError(f"The description has more than {SECTIONS} media sections")
    if any(section.count("\na=rtpmap:") > CODECS for section in sections):
        raise InvalidContentError(f"A media section has more than {CODECS} codecs")
    if sum(map(_work, sections)) > WORK:
        raise InvalidContentError("The description has too many lines for codecs or sources")


def _work(section: str) -> int:
    codecs, sources = section.count("\na=rtpmap:"), section.count("\na=ssrc:")
    for_all = section.count("\na=rtcp-fb:*")
    for_one = section.count("\na=rtcp-fb:") + section.count("\na=fmtp:")
    about_codecs = PER_CODEC * for_one + PER_FEEDBACK_FOR_ALL * for_all
    return codecs * about_codecs + sources * sources // 2
