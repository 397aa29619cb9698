"""Offers keep the numbers that were negotiated."""

import copy

import pytest
from aiortc.sdp import SessionDescription

from restartice.sdp.numbering import RID, Numbering

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


def section(mid: str, kind: str, codecs: dict[int, str], extensions: dict[int, str]) -> str:
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, codecs or [0]))}", f"a=mid:{mid}"]
    lines += [f"a=extmap:{number} {uri}" for number, uri in extensions.items()]
    for number, codec in codecs.items():
        name, _, base = codec.partition(" apt=")
        lines.append(f"a=rtpmap:{number} {name}")
        lines += [f"a=fmtp:{number} apt={base}"] if base else []
    return "".join(f"{line}\r\n" for line in lines)


def description(*sections: str) -> SessionDescription:
    return SessionDescription.parse(HEAD + "".join(sections))


def codecs(description: SessionDescription, place: int = 0) -> dict[int | None, str]:
    found = {}
    for codec in description.media[place].rtp.codecs:
        base = codec.parameters.get("apt")
        found[codec.payloadType] = codec.name + (f" apt={base}" if base else "")
    return found


def extensions(description: SessionDescription, place: int = 0) -> dict[int | None, str]:
    return {e.id: e.uri for e in description.media[place].rtp.headerExtensions}


VP8, RTX, H264 = "VP8/90000", "rtx/90000", "H264/90000"
OURS = section("0", "video", {97: VP8, 98: f"{RTX} apt=97"}, {1: "mid", 3: "time"})
NEGOTIATED = section("0", "video", {96: VP8, 97: f"{RTX} apt=96"}, {2: "time", 9: "mid"})


def test_a_first_offer_stays_as_it_is() -> None:
    offer = description(OURS)
    before = copy.deepcopy(offer)
    Numbering().number(offer)
    assert str(offer) == str(before)


def test_what_was_negotiated_keeps_its_numbers() -> None:
    numbering = Numbering()
    numbering.learn(description(NEGOTIATED), description(NEGOTIATED))
    offer = description(OURS)
    numbering.number(offer)
    assert codecs(offer) == {96: "VP8", 97: "rtx apt=96"}
    assert extensions(offer) == {9: "mid", 2: "time"}
    assert offer.media[0].fmt == [96, 97]


def test_a_new_section_shares_them() -> None:
    numbering = Numbering()
    numbering.learn(description(NEGOTIATED), description(NEGOTIATED))
    offer = description(OURS, OURS.replace("mid:0", "mid:1"))
    numbering.number(offer)
    assert codecs(offer, 1) == codecs(offer, 0) == {96: "VP8", 97: "rtx apt=96"}
    assert extensions(offer, 1) == extensions(offer, 0)


def test_what_is_new_gets_a_number_that_nobody_uses() -> None:
    numbering = Numbering()
    numbering.learn(description(NEGOTIATED), description(NEGOTIATED))
    offer = description(section("0", "video", {97: H264, 98: f"{RTX} apt=97"}, {2: "new"}))
    numbering.number(offer)
    numbers = codecs(offer)
    assert list(numbers.values()) == ["H264", f"rtx apt={next(iter(numbers))}"]
    assert not numbers.keys() & {96, 97}
    assert not extensions(offer).keys() & {2, 9}


def test_numbers_that_only_the_remote_side_uses_are_taken_too() -> None:
    numbering = Numbering()
    theirs = section("0", "video", {96: VP8, 97: f"{RTX} apt=96", 99: "VP9/90000"}, {4: "theirs"})
    numbering.learn(description(NEGOTIATED), description(theirs))
    offer = description(section("1", "video", {99: H264}, {4: "ours"}))
    numbering.number(offer)
    assert 99 not in codecs(offer)
    assert 4 not in extensions(offer)


def test_what_has_no_number_left_is_not_offered() -> None:
    numbering = Numbering()
    full = section("0", "video", {n: f"X{n}/90000" for n in range(96, 128)}, {})
    numbering.learn(description(full), description(full))
    offer = description(section("1", "video", {97: VP8, 98: f"{RTX} apt=97"}, {}))
    numbering.number(offer)
    assert codecs(offer) == {}


MID, TIME, LEVEL = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
)


def test_extensions_of_a_first_offer_have_numbers_that_browsers_give_to_nothing_else() -> None:
    offer = description(
        section("0", "audio", {}, {1: MID, 2: LEVEL, 5: "program's"}),
        section("1", "video", {}, {1: MID, 3: TIME, 12: "another"}),
    )
    Numbering().number(offer)
    assert extensions(offer) == {9: MID, 12: LEVEL, 5: "program's"}
    assert extensions(offer, 1) == {9: MID, 2: TIME, 1: "another"}


def test_the_numbers_of_an_offer_that_was_rolled_back_do_not_count() -> None:
    numbering = Numbering()
    numbering.number(description(section("0", "video", {97: VP8}, {3: "time"})))
    negotiated = description(section("1", "audio", {97: "opus/48000"}, {3: "mid"}))
    numbering.learn(negotiated, negotiated)
    offer = description(
        section("1", "audio", {96: "opus/48000"}, {1: "mid"}),
        section("0", "video", {97: VP8}, {1: "mid", 3: "time"}),
    )
    numbering.number(offer)
    assert codecs(offer) == {97: "opus"}
    assert 97 not in codecs(offer, 1)
    assert extensions(offer, 1) == {3: "mid", 1: "time"}


def test_a_section_keeps_the_extensions_of_its_encodings() -> None:
    numbering = Numbering()
    negotiated = description(section("0", "video", {}, {10: RID[0], 11: RID[1]}))
    numbering.learn(negotiated, negotiated)
    offer = description(section("0", "video", {}, {1: MID}), section("1", "video", {}, {1: MID}))
    numbering.number(offer)
    assert extensions(offer) == {9: MID, 10: RID[0], 11: RID[1]}
    assert extensions(offer, 1) == {9: MID}


def test_sections_that_are_not_bundled_may_have_other_numbers() -> None:
    numbering = Numbering()
    negotiated = description(
        section("0", "video", {}, {3: "time"}), section("1", "audio", {}, {3: "mid"})
    )
    numbering.learn(negotiated, negotiated)
    offer = description(
        section("0", "video", {}, {1: "mid", 3: "time"}),
        section("2", "video", {}, {1: "mid", 3: "time"}),
    )
    numbering.number(offer)
    for place in (0, 1):
        assert sorted(extensions(offer, place).values()) == ["mid", "time"]


@pytest.mark.parametrize("later", [96, 120])
def test_the_latest_negotiation_counts(later: int) -> None:
    numbering = Numbering()
    numbering.number(description(OURS))  # as when it was rolled back
    negotiated = description(section("0", "video", {later: VP8}, {}))
    numbering.learn(negotiated, negotiated)
    offer = description(section("0", "video", {97: VP8}, {}))
    numbering.number(offer)
    assert codecs(offer) == {later: "VP8"}


def test_static_payload_types_and_data_are_left_alone() -> None:
    numbering = Numbering()
    audio = section("0", "audio", {0: "PCMU/8000"}, {})
    numbering.learn(description(audio), description(audio))
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=sctp-port:5000\r\n"
    offer = description(audio, data)
    before = str(offer)
    numbering.number(offer)
    assert str(offer) == before
