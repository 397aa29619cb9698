"""The states aggregated from those of the transports. (W24)."""

import pytest

from restartice.transports.states import (
    aggregate_connection_state,
    aggregate_gathering_state,
    aggregate_ice_connection_state,
    has_failed,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "new"),
        (["new", "closed"], "new"),
        (["new", "completed"], "checking"),
        (["checking", "completed"], "checking"),
        (["connected", "completed"], "connected"),
        (["completed", "closed"], "completed"),
        (["disconnected", "checking"], "disconnected"),
        (["failed", "disconnected"], "failed"),
    ],
)
def test_ice_connection_state(states: list[str], expected: str) -> None:
    assert aggregate_ice_connection_state(states) == expected


@pytest.mark.parametrize(
    ("ice", "dtls", "expected"),
    [
        ([], [], "new"),
        (["new"], ["new"], "new"),
        (["checking"], ["new"], "connecting"),
        (["completed"], ["new"], "connecting"),
        (["completed"], ["connecting"], "connecting"),
        (["completed", "connected"], ["connected"], "connected"),
        (["completed"], ["connected", "closed"], "connected"),
        (["disconnected"], ["connected"], "disconnected"),
        (["failed"], ["connected"], "failed"),
        (["completed"], ["failed"], "failed"),
    ],
)
def test_connection_state(ice: list[str], dtls: list[str], expected: str) -> None:
    assert aggregate_connection_state(ice, dtls) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "new"),
        (["new"], "new"),
        (["new", "completed"], "new"),
        (["gathering", "completed"], "gathering"),
        (["completed"], "complete"),
    ],
)
def test_gathering_state(states: list[str], expected: str) -> None:
    assert aggregate_gathering_state(states) == expected


@pytest.mark.parametrize(
    ("transports", "failed"),
    [
        ([], False),
        ([("new", "new")], False),
        ([("failed", "new")], True),
        ([("failed", "connected")], True),
        ([("completed", "failed")], True),
        ([("failed", "connected"), ("completed", "connected")], False),
        ([("failed", "connected"), ("disconnected", "connected")], False),
        ([("failed", "connected"), ("checking", "new")], False),
        ([("failed", "connected"), ("completed", "closed")], True),
        ([("failed", "connected"), ("new", "new")], True),
        ([("completed", "connected"), ("completed", "failed")], False),
        ([("closed", "closed")], False),
    ],
)
def test_a_connection_has_failed_when_nothing_works(
    transports: list[tuple[str, str]], failed: bool
) -> None:
    assert has_failed(transports) is failed
