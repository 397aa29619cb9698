"""Limits the size of a description, so that parsing doesn't block the event loop for long."""

import itertools
from typing import Final

from ..exceptions import InvalidContentError

__all__ = ["check_size"]

# In characters. An offer of Chromium's with 100 videos has about 600,000.
LENGTH: Final = 1 << 20
LINES: Final = 1 << 16
SECTIONS: Final = 500
# Payload types have seven bits. (RFC 3550 section 5.1)
CODECS: Final = 128
# aiortc's parser searches all codecs of a section for each line about a codec, and all sources for
# each line about a source. This much work takes about 0.2 s. An offer of 150 videos with all codecs
# of Chromium takes a tenth of it; 100 simulcasts of six sources in one section take half.
WORK: Final = 10_000_000
PER_CODEC: Final = 5
PER_FEEDBACK_FOR_ALL: Final = 50


def check_size(sdp: str) -> None:
    """Check the length of a description, and its numbers of lines and media sections.

    Raises:
        InvalidContentError: The description is too large.
    """
    if len(sdp) > LENGTH:
        line = sdp.count("\n", 0, LENGTH) + 1
        raise InvalidContentError(_excess(LENGTH, "characters", len(sdp)), line)
    if (count := sdp.count("\n")) > LINES:
        raise InvalidContentError(_excess(LINES, "lines", count), LINES + 1)
    head, *sections = sdp.split("\nm=")
    # The number of the line that begins each section.
    lines = [*itertools.accumulate([head, *sections], _next, initial=1)][1:-1]
    if len(sections) > SECTIONS:
        message = _excess(SECTIONS, "media sections", len(sections))
        raise InvalidContentError(message, lines[SECTIONS])
    work = 0
    for line, section in zip(lines, sections, strict=True):
        if (count := section.count("\na=rtpmap:")) > CODECS:
            raise InvalidContentError(_excess(CODECS, "codecs in a media section", count), line)
        work += _work(section)
        if work > WORK:
            steps = f"{work} steps to read, at most {WORK} allowed"
            raise InvalidContentError(
                f"The description has too many lines for codecs or sources: {steps}", line
            )


def _excess(limit: int, what: str, count: int) -> str:
    return f"The description has more than {limit} {what}: {count}"


def _next(line: int, section: str) -> int:
    return line + 1 + section.count("\n")


def _work(section: str) -> int:
    codecs, sources = section.count("\na=rtpmap:"), section.count("\na=ssrc:")
    for_all = section.count("\na=rtcp-fb:*")
    for_one = section.count("\na=rtcp-fb:") + section.count("\na=fmtp:")
    about_codecs = PER_CODEC * for_one + PER_FEEDBACK_FOR_ALL * for_all
    return codecs * about_codecs + sources * sources // 2
