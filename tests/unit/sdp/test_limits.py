"""How much a description may say."""

import re
from pathlib import Path

import pytest

from processortime import processor_time
from restartice import RTCSessionDescription, SdpSyntaxError
from restartice.exceptions import InvalidContentError
from restartice.sdp import description as sdp
from restartice.sdp.limits import CODECS, LENGTH, LINES, SECTIONS, check_size

SAMPLE = Path(__file__).parents[2] / "data" / "descriptions" / "chromium.sdp"
# How much longer than another description one may take that is as long, but has an error.
RATIO = 8


@pytest.fixture
def offer() -> str:
    return SAMPLE.read_bytes().decode().replace("\r\n", "\n").replace("\n", "\r\n")


def lines(count: int, line: str) -> str:
    return "".join(f"{line.format(number)}\r\n" for number in range(count))


def test_a_hundred_videos_of_chromium(offer: str) -> None:
    """With twice the lines for codecs that it has now."""
    video = "m=video" + offer.split("\r\nm=video")[1].split("\r\nm=", 1)[0] + "\r\n"
    video += "".join(re.findall(r"a=(?:rtcp-fb|fmtp).*\r\n", video))
    many = "".join(video.replace("a=mid:1", f"a=mid:v{n}") for n in range(100))
    parsed = sdp.parse(RTCSessionDescription(offer + many, "offer"))
    assert len(parsed.media) == 103


def test_a_conference_in_one_section(offer: str) -> None:
    sources = "".join(lines(4, f"a=ssrc:{source} cname:{{}}") for source in range(100 * 6))
    parsed = sdp.parse(
        RTCSessionDescription(offer.replace("a=mid:1", f"a=mid:1\r\n{sources}a=x"), "offer")
    )
    assert len(parsed.media[1].ssrc) > 600 - 1


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("a=x:" + "y" * LENGTH + "\r\n", f"{LENGTH} characters"),
        ("\r\n" * LINES, f"{LINES} lines"),
        (lines(SECTIONS + 1, "m=audio 0 UDP/TLS/RTP/SAVPF {}"), f"{SECTIONS} media sections"),
        (lines(CODECS + 1, "a=rtpmap:96 VP{}/90000"), f"{CODECS} codecs"),
        (lines(CODECS, "a=rtcp-fb:* x{}") * 200, "too many lines"),
        (lines(5000, "a=ssrc:{} cname:x"), "too many lines"),
    ],
)
def test_what_is_too_much(offer: str, what: str, message: str) -> None:
    text = offer.replace("a=mid:1\r\n", f"a=mid:1\r\n{what}")
    with pytest.raises(InvalidContentError, match=message) as raised:
        sdp.parse(RTCSessionDescription(text, "offer"))
    assert raised.value.sdpLineNumber is not None
    assert 1 < raised.value.sdpLineNumber <= text.count("\n")
    if "codecs" in message:
        assert text.splitlines()[raised.value.sdpLineNumber - 1].startswith("m=video")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("line", ["a=setup:x", "a=fingerprint:x", "a=sctp-port:x"])
def test_the_bad_one_of_many_lines(offer: str, place: float, line: str) -> None:
    """It is found without reading all the others again and again.

    The other lines are of the last section, which is of data.
    """
    many = (offer + lines(50_000, "a=x:{}")).splitlines()
    number = int(len(many) * place)
    broken = "\r\n".join([*many[:number], line, *many[number:]])
    good_text = "\r\n".join(many)

    def refuse() -> None:
        with pytest.raises(SdpSyntaxError, match=f"in line {number + 1}: "):
            sdp.parse(RTCSessionDescription(broken, "offer"))

    usual, _ = processor_time(lambda: sdp.parse(RTCSessionDescription(good_text, "offer")))
    took, _ = processor_time(refuse)
    assert took < RATIO * usual


@pytest.mark.parametrize(
    "line", ["a=fmtp:99999 apt=96", "a=candidate:1", "a=ssrc:x", "a=rtcp-fb:1"]
)
def test_many_bad_lines_that_are_passed_over(offer: str, line: str) -> None:
    good, bad = (
        RTCSessionDescription(offer + lines(2000, each), "offer") for each in ("a=x:{}", line)
    )
    usual, parsed = processor_time(lambda: sdp.parse(good))
    took, parsed_too = processor_time(lambda: sdp.parse(bad))
    assert str(parsed) == str(parsed_too)
    assert took < RATIO * usual


def test_what_is_short(offer: str) -> None:
    check_size(offer)
    check_size("")
