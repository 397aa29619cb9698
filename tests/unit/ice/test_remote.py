"""Which candidates of the remote side are taken."""

import logging

import pytest

from restartice import RTCIceCandidate
from restartice.ice.remote import LIMIT, RemoteCandidates
from restartice.logs import ObjectLogger

LOG = ObjectLogger(logging.getLogger("restartice.test"), "RTCIceTransport(1/0)")


def candidate(number: int, *, protocol: str = "udp", component: int = 1) -> RTCIceCandidate:
    return RTCIceCandidate(component, "1", "127.0.0.1", number, 1, protocol, "host")


def test_each_is_taken_once() -> None:
    candidates = RemoteCandidates(LOG)
    first, second = candidate(1), candidate(2)
    assert candidates.take([first, candidate(1), candidate(1, protocol="UDP")]) == [first]
    assert candidates.take([first, second]) == [second]
    assert list(candidates) == [first, second]


def test_candidates_for_rtcp_are_left_out() -> None:
    candidates = RemoteCandidates(LOG)
    assert candidates.take([candidate(1, component=2)]) == []
    assert candidates.take([candidate(1)]) == [candidate(1)]


def test_the_first_ones_are_taken_and_the_log_tells_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    candidates = RemoteCandidates(LOG)
    many = [candidate(number) for number in range(LIMIT + 10)]
    with caplog.at_level(logging.WARNING):
        assert candidates.take(many[:LIMIT]) == many[:LIMIT]
        assert not caplog.records
        assert candidates.take(many) == []
        assert candidates.take(many[-3:]) == []
    assert len(caplog.records) == 1
    assert list(candidates) == many[:LIMIT]


def test_those_of_tcp_take_no_room_from_those_of_udp() -> None:
    candidates = RemoteCandidates(LOG)
    candidates.take([candidate(number, protocol="tcp") for number in range(2 * LIMIT)])
    many = [candidate(number) for number in range(LIMIT)]
    assert candidates.take(many) == many
