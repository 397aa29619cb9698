"""The reasons for tests that aren't passed."""

import re
from typing import Any

import pytest

from .reasons import as_table, read_reasons, reason_of


def page(file: str, *statuses: str) -> dict[str, Any]:
    tests = [{"name": f"test {number}", "status": status} for number, status in enumerate(statuses)]
    return {"file": f"webrtc/{file}", "tests": tests}


def test_each_rule_has_a_known_reason_and_patterns() -> None:
    reasons = read_reasons()
    for rule in reasons["rule"]:
        assert rule["reason"] in reasons["reasons"]
        assert re.compile(rule["files"] + rule.get("tests", ""))


@pytest.mark.parametrize(
    ("file", "test", "reason"),
    [
        ("RTCDTMFSender-ontonechange.https.html", "insertDTMF()", "dtmf"),
        ("RTCPeerConnection-restartIce.https.html", "a partial restart", "outdated"),
        ("RTCPeerConnection-restartIce.https.html", "another", "open"),
    ],
)
def test_the_first_rule_that_fits_counts(file: str, test: str, reason: str) -> None:
    assert reason_of(read_reasons(), file, test) == reason


def test_what_cannot_apply_is_counted_apart() -> None:
    ours = [
        page("RTCPeerConnection-addTrack.https.html", "PASS", "PASS", "FAIL"),
        page("simulcast/vp8.https.html", "FAIL", "PASS"),
        page("idlharness.https.window.js"),
    ]
    theirs = [page("RTCPeerConnection-addTrack.https.html", "PASS", "FAIL", "FAIL")]

    lines = as_table(ours, theirs).splitlines()

    assert "| negotiation | 3 | 0 | 3 | 2 | 66.7 % |" in lines
    assert "| the rest | 2 | 1 | 1 | 1 | 100.0 % |" in lines
    assert "| RTCPeerConnection-addTrack | 3 | 1 | 2 | open 1 |" in lines
    assert "| simulcast/vp8 | 2 |  | 1 | simulcast 1 |" in lines
    assert "| idlharness | 0 |  | 0 | not run: window |" in lines
