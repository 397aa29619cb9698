"""Is negotiation needed? That is W18."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restartice.negotiation.needed import (
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


def test_for_a_transceiver_that_is_to_be_stopped() -> None:
    described = {"0": Section("audio", "inactive")}
    transceiver = TransceiverSnapshot("0", "inactive")
    snapshot = NegotiationSnapshot(transceivers=(transceiver,), local=described)
    assert not is_negotiation_needed(replace(snapshot, remote=described))
    stopping = replace(transceiver, stopping=True)
    assert is_negotiation_needed(replace(snapshot, transceivers=(stopping,)))


@pytest.mark.parametrize(
    ("described", "wanted", "needed"),
    [
        (("s1",), ("s1",), False),
        (("s1",), ("s2",), True),
        (("s1", "s2"), ("s2", "s1"), False),
        (("s1", "s2"), ("s1",), True),
        ((), (), False),
        ((), ("s1",), True),
        # No msid line at all.
        (None, (), True),
    ],
)
def test_for_other_streams(
    described: tuple[str, ...] | None, wanted: tuple[str, ...], *, needed: bool
) -> None:
    sends = TransceiverSnapshot("0", "sendrecv", streams=wanted)
    snapshot = NegotiationSnapshot(
        transceivers=(sends,),
        local={"0": Section("audio", "sendrecv", described)},
        remote={"0": Section("audio", "sendrecv")},
    )
    assert is_negotiation_needed(snapshot) == needed
    receives = replace(sends, direction="recvonly")
    local = {"0": Section("audio", "recvonly", described)}
    remote = {"0": Section("audio", "sendonly")}
    assert not is_negotiation_needed(
        NegotiationSnapshot(transceivers=(receives,), local=local, remote=remote)
    )


@given(direction=directions, local=directions, remote=directions)
def test_directions_after_our_offer(direction: str, local: str, remote: str) -> None:
    snapshot = NegotiationSnapshot(
        transceivers=(TransceiverSnapshot("0", direction),),
        local={"0": Section("audio", local, ())},
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
        local={"0": Section("audio", answered, ())},
        remote={"0": Section("audio", offered)},
        we_offered=False,
    )
    assert is_negotiation_needed(snapshot) == needed
