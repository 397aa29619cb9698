"""The signaling-state table and the aggregated states. (W10, W15, W24)."""

import pytest

from restartice.states import (
    DescriptionType,
    Side,
    SignalingState,
    aggregate_connection_state,
    aggregate_gathering_state,
    aggregate_ice_connection_state,
    has_failed,
    next_signaling_state,
)

# https://w3c.github.io/webrtc-pc/#rtcsignalingstate-enum, as its figure shows it.
LEGAL = """
stable                local   offer     have-local-offer
stable                remote  offer     have-remote-offer
have-local-offer      local   offer     have-local-offer
have-local-offer      remote  answer    stable
have-local-offer      remote  pranswer  have-remote-pranswer
have-local-offer      local   rollback  stable
have-remote-offer     remote  offer     have-remote-offer
have-remote-offer     local   answer    stable
have-remote-offer     local   pranswer  have-local-pranswer
have-remote-offer     remote  rollback  stable
have-remote-offer     local   rollback  stable
have-local-pranswer   local   pranswer  have-local-pranswer
have-local-pranswer   local   answer    stable
have-remote-pranswer  remote  pranswer  have-remote-pranswer
have-remote-pranswer  remote  answer    stable
"""
EXPECTED = {
    (state, side, kind): target
    for state, side, kind, target in (line.split() for line in LEGAL.strip().splitlines())
}


@pytest.mark.parametrize("state", SignalingState)
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", DescriptionType)
def test_each_transition(state: SignalingState, side: Side, kind: DescriptionType) -> None:
    assert next_signaling_state(state, side, kind) == EXPECTED.get((state, side, kind))


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
