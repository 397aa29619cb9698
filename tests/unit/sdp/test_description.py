"""Reading and writing session descriptions. (I4)."""

from contextlib import suppress

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from restartice import RTCIceCandidate, RTCSessionDescription
from restartice.ice.credentials import IceCredentials
from restartice.sdp import description as sdp


async def test_ice_options_stand_at_session_level(offer: RTCSessionDescription) -> None:
    head, *sections = offer.sdp.split("\r\nm=")
    assert "a=ice-options:trickle ice2" in head
    assert not any("ice-options" in section for section in sections)
    assert sdp.render(sdp.parse(offer)) == offer


async def test_syntax_errors_name_the_line(offer: RTCSessionDescription) -> None:
    lines = offer.sdp.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(("m=", "a=rtpmap", "a=setup", "a=fingerprint")):
            start = line[: max(2, line.find(":") + 1)]
            broken = [*lines[:number], f"{start}\N{SNOWMAN}", *lines[number + 1 :]]
            with pytest.raises(ValueError, match=f"in line {number + 1}: "):
                sdp.parse(RTCSessionDescription("\r\n".join(broken), "offer"))


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for candidate in (text, f"v=0\r\n{text}", f"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na={text}"):
        with suppress(ValueError):
            sdp.parse(RTCSessionDescription(candidate, "offer"))


async def test_what_is_added_to_a_description_shows(offer: RTCSessionDescription) -> None:
    description = sdp.parse(offer)
    section = description.media[1]
    texts = [shown(description)]
    for port in (5001, 5002):
        candidate = RTCIceCandidate.fromJSON(
            {"candidate": f"candidate:1 1 udp 1 10.0.0.1 {port} typ host", "sdpMid": "1"}
        )
        assert candidate is not None
        sdp.add_candidate(section, candidate)
        texts.append(shown(description))
    section.ice_candidates_complete = True
    texts.append(shown(description))
    assert texts[-1] == shown(description) == str(description)
    assert len(set(texts)) == 4
    assert len(SessionDescription.parse(texts[-1]).media[1].ice_candidates) == 2
    # A copy doesn't follow what it was copied from, nor the other way round.
    copied = sdp.copied(description, "offer")
    copied.media[1].direction = "inactive"
    assert shown(copied) == str(copied) != shown(description)


def shown(description: sdp.Description) -> str:
    session = sdp.render(description)
    assert session is not None
    return session.sdp


async def test_other_credentials_take_the_candidates_along(offer: RTCSessionDescription) -> None:
    with_candidate = offer.sdp + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n"
    description = sdp.parse(RTCSessionDescription(with_candidate, "offer"))
    second = description.media[1]
    sdp.set_credentials(second, sdp.section_credentials(second))
    assert len(second.ice_candidates) == 1
    fresh = IceCredentials.generate()
    sdp.set_credentials(second, fresh)
    one, other = SessionDescription.parse(str(description)).media
    assert sdp.section_credentials(one) != fresh
    assert sdp.section_credentials(other) == fresh
    assert other.ice_candidates == []
    assert other.port == 9


async def test_sections_are_found_by_mid_and_by_index(offer: RTCSessionDescription) -> None:
    description = sdp.parse(offer)
    assert sdp.find_section(description, "1", None) is description.media[1]
    assert sdp.find_section(description, None, 0) is description.media[0]
    assert sdp.find_section(description, "7", 0) is None
    assert sdp.find_section(description, None, 2) is None
    assert sdp.find_section(description, None, -1) is None
    assert sdp.find_section(None, "1", None) is None
