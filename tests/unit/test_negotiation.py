"""Is negotiation needed?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice.negotiation import (
    DIRECTIONS,
    REVERSED,
    NegotiationSnapshot,
    Section,
    TransceiverSnapshot,
    is_negotiation_needed,
)

directions = st.sampled_from(sorted(DIRECTIONS))


def test_not_for_nothing() -> None:
    assert not is_negotiation_needed(NegotiationSnapshot())


def test_for_a_restart() -> None:
    assert is_negotiation_needed(NegotiationSnapshot(restart_requested=True))


def test_for_the_first_data_channel_only() -> None:
    created = NegotiationSnapshot(data_channel_created=True)
    assert is_negotiation_needed(created)
    assert not is_negotiation_needed(replace(created, local={"0": Section("application")}))


def test_for_a_transceiver_without_section() -> None:
    new = TransceiverSnapshot(None, "inactive")
    assert is_negotiation_needed(NegotiationSnapshot(transceivers=(new,)))
    stopped = replace(new, stopped=True)
    assert not is_negotiation_needed(NegotiationSnapshot(transceivers=(stopped,)))


def test_for_another_stream() -> None:
    transceiver = TransceiverSnapshot("0", "sendrecv", stream_id="s2")
    snapshot = NegotiationSnapshot(
        transceivers=(transceiver,),
        local={"0": Section("audio", "sendrecv", "s1 t1")},
        remote={"0": Section("audio", "sendrecv")},
    )
    assert is_negotiation_needed(snapshot)
    receives = replace(transceiver, direction="recvonly")
    described = {"0": Section("audio", "recvonly", "s1 t1")}
    remote = {"0": Section("audio", "sendonly")}
    assert not is_negotiation_needed(
        NegotiationSnapshot(transceivers=(receives,), local=described, remote=remote)
    )


@given(direction=directions, local=directions, remote=directions)
def test_directions_after_our_offer(direction: str, local: str, remote: str) -> None:
    snapshot = NegotiationSnapshot(
        transceivers=(TransceiverSnapshot("0", direction),),
        local={"0": Section("audio", local)},
        remote={"0": Section("audio", remote)},
        we_offered=True,
    )
    expected = direction not in {local, REVERSED.get(remote, remote)}
    assert is_negotiation_needed(snapshot) == expected


@pytest.mark.parametrize(
    ("direction", "offered", "answered", "needed"),
    [
        ("sendrecv", "sendonly", "recvonly", False),
        ("sendrecv", "sendrecv", "sendrecv", False),
        ("sendrecv", "sendrecv", "recvonly", True),
        ("recvonly", "sendrecv", "sendrecv", True),
        ("inactive", "sendrecv", "inactive", False),
        ("sendonly", "sendonly", "inactive", False),
    ],
)
def test_directions_after_our_answer(
    direction: str, offered: str, answered: str, *, needed: bool
) -> None:
    snapshot = NegotiationSnapshot(
        transceivers=(TransceiverSnapshot("0", direction),),
        local={"0": Section("audio", answered)},
        remote={"0": Section("audio", offered)},
        we_offered=False,
    )
    assert is_negotiation_needed(snapshot) == needed
