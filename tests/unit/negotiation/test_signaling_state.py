"""The signaling-state table. (W10, W15)."""

import pytest

from restartice.negotiation.signaling_state import (
    DescriptionType,
    Side,
    SignalingState,
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
