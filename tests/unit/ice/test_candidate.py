"""Candidates in the browser's form and in SDP."""

from typing import Any

import aiortc
import pytest
from aiortc.exceptions import OperationError
from aiortc.sdp import candidate_from_sdp

from restartice import CandidateSyntaxError, RTCIceCandidate
from restartice.ice.candidate import belongs_nowhere, checked

LINE = (
    "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.5 rport 5000 "
    "generation 0 ufrag EsAw network-cost 999"
)


def test_browsers_form_there_and_back() -> None:
    init = {"candidate": LINE, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "EsAw"}
    candidate = RTCIceCandidate.fromJSON(init)
    assert candidate is not None
    assert isinstance(candidate, aiortc.RTCIceCandidate)
    assert (candidate.ip, candidate.port, candidate.relatedPort) == ("203.0.113.7", 46154, 5000)
    assert RTCIceCandidate.fromJSON(candidate.toJSON()) == candidate
    assert candidate.toJSON()["candidate"].endswith(" ufrag EsAw")


def test_those_of_aiortc_are_candidates_to_isinstance() -> None:
    # As in a program that reads aiortc's signaling and has moved its imports here.
    assert isinstance(candidate_from_sdp(LINE), RTCIceCandidate)
    assert not isinstance(LINE, RTCIceCandidate)

    class Special(RTCIceCandidate):
        pass

    assert not isinstance(candidate_from_sdp(LINE), Special)


def test_username_fragment_of_the_line_counts() -> None:
    candidate = RTCIceCandidate.fromJSON({"candidate": LINE, "sdpMid": "0"})
    assert candidate is not None
    assert candidate.usernameFragment == "EsAw"


@pytest.mark.parametrize("init", [{}, {"candidate": ""}, {"candidate": None, "sdpMid": None}])
def test_empty_means_the_end(init: dict[str, Any]) -> None:
    assert RTCIceCandidate.fromJSON(init) is None


@pytest.mark.parametrize(
    "init",
    [
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "EsAw"},
        {"candidate": "", "sdpMid": None, "sdpMLineIndex": None, "usernameFragment": "EsAw"},
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": None, "usernameFragment": None},
    ],
)
def test_the_end_of_a_generation_there_and_back(init: dict[str, Any]) -> None:
    end = RTCIceCandidate.fromJSON(init)
    assert end is not None
    assert end.candidate == ""
    assert end.address is None
    assert end.toJSON() == init


@pytest.mark.parametrize(
    "init",
    [
        {"candidate": 5},
        {"candidate": "candidate:1 1 udp"},
        {"candidate": "candidate:1 one udp 1 10.0.0.1 9 typ host"},
        {"candidate": "candidate:1 1 udp 1 10.0.0.1 99999 typ host"},
        {"candidate": LINE, "sdpMid": 0},
        {"candidate": LINE, "sdpMLineIndex": "0"},
        {"candidate": LINE, "sdpMLineIndex": True},
        {"candidate": LINE, "usernameFragment": []},
    ],
)
def test_malformed_is_refused(init: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"candidate|must be"):
        RTCIceCandidate.fromJSON(init)


@pytest.mark.parametrize("init", [None, "candidate:1", [LINE]], ids=repr)
def test_what_is_no_mapping_is_refused(init: Any) -> None:
    with pytest.raises(TypeError, match="expected a mapping"):
        RTCIceCandidate.fromJSON(init)


@pytest.mark.parametrize("line", ["nonsense", "candidate:1 1 udp 1 10.0.0.1 9 typ", "candidate:"])
def test_malformed_line_is_the_senders_mistake(line: str) -> None:
    with pytest.raises(CandidateSyntaxError) as caught:
        RTCIceCandidate.fromJSON({"candidate": line, "sdpMid": "0"})
    assert isinstance(caught.value, OperationError)


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ({"candidate": LINE}, True),
        ({"candidate": LINE, "sdpMid": None, "sdpMLineIndex": None}, True),
        ({"candidate": LINE, "sdpMid": ""}, False),
        ({"candidate": LINE, "sdpMLineIndex": 0}, False),
        ({"candidate": ""}, False),
        ({}, False),
    ],
)
def test_belongs_nowhere(init: dict[str, Any], expected: bool) -> None:
    assert belongs_nowhere(init) is expected
    candidate = RTCIceCandidate.fromJSON(init)
    assert belongs_nowhere(candidate) is expected


def split(line: str) -> aiortc.RTCIceCandidate:
    """Return a candidate as programs make it that split the browser's text themselves."""
    foundation, component, protocol, priority, ip, port, _, kind = line.split(":")[1].split()[:8]
    return aiortc.RTCIceCandidate(
        component,  # type: ignore[arg-type]
        foundation,
        ip,
        port,  # type: ignore[arg-type]
        priority,  # type: ignore[arg-type]
        protocol,
        kind,
        sdpMid="0",
    )


def test_numbers_may_be_strings_of_digits() -> None:
    given = split(LINE)
    candidate = checked(given)
    assert candidate is not None
    assert (candidate.component, candidate.port, candidate.priority) == (1, 46154, 1677729535)
    assert given.port == "46154"  # type: ignore[comparison-overlap]  # it is the program's


@pytest.mark.parametrize("port", ["", "port", "-1", "65536", "4_6", "46154.0", "9" * 5000])
def test_other_strings_are_no_numbers(port: str) -> None:
    given = split(LINE)
    given.port = port  # type: ignore[assignment]
    with pytest.raises((ValueError, CandidateSyntaxError)):
        checked(given)
