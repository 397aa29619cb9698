"""A data channel opens, or is told to have failed, whatever gets lost while SCTP is set up."""

import asyncio
import dataclasses
from collections.abc import Mapping

import aiortc
import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    negotiate,
    wait_connected,
    wait_for_state,
    without_init,
)
from cutting import QUICK, Cut
from losing import COOKIE_ACK, COOKIE_ECHO, DATA, INIT, INIT_ACK, Losses
from restartice import RTCError
from restartice.transports.sctp import early_delays

FOREVER = 1 << 20
ONCE = [
    {INIT_ACK: 1},
    {INIT: 1},
    {COOKIE_ECHO: 1},
    {COOKIE_ACK: 1},
    {INIT: 1, INIT_ACK: 1},
    {COOKIE_ECHO: 1, COOKIE_ACK: 1},
    {DATA: 1},  # which has DATA_CHANNEL_OPEN and DATA_CHANNEL_ACK in it
    {INIT_ACK: 2, COOKIE_ECHO: 1, DATA: 1},
]


async def open_lossily(
    near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection, lost: Mapping[int, int]
) -> None:
    """Open a data channel, while both ends lose packets."""
    echo = Echo(near, far)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(without_init(near.localDescription))
    losses = Losses(near, lost), Losses(far, lost)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
    # Both have sent one at first, so it is lost at both ends.
    for first in lost.keys() & {INIT, DATA}:
        assert [side.left[first] for side in losses] == [0, 0]


@pytest.mark.parametrize("lost", ONCE, ids=str)
async def test_a_channel_opens_although_packets_get_lost(
    make_pc: Factory, lost: Mapping[int, int]
) -> None:
    await open_lossily(make_pc(), make_pc(), lost)


@pytest.mark.parametrize("ours_offers", [True, False])
@pytest.mark.parametrize("lost", ONCE[:3], ids=str)
async def test_so_it_does_to_plain_aiortc(
    make_pc: Factory, lost: Mapping[int, int], *, ours_offers: bool
) -> None:
    ours, theirs = make_pc(), aiortc.RTCPeerConnection()
    near, far = (ours, theirs) if ours_offers else (theirs, ours)
    try:
        await open_lossily(near, far, lost)
    finally:
        await theirs.close()


def test_the_first_repetitions_follow_the_round_trip() -> None:
    assert early_delays(None) == []
    assert early_delays(0.001) == pytest.approx([0.1, 0.1, 0.2, 0.4, 0.8])
    assert early_delays(0.1) == pytest.approx([0.2, 0.2, 0.4, 0.8])
    assert early_delays(1.0) == []


async def test_a_channel_that_nobody_answers_fails_aloud(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restartice.transports.sctp.FIRST_TIMEOUT", 0.01)
    near, far = make_pc(), make_pc()
    channel, errors = near.createDataChannel("chat"), asyncio.Queue[Exception]()
    channel.on("error", errors.put_nowait)
    await near.setLocalDescription()
    await far.setRemoteDescription(without_init(near.localDescription))
    losses = Losses(far, {INIT: FOREVER, INIT_ACK: FOREVER})
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(DEADLINE):
        error = await errors.get()
    assert isinstance(error, RTCError)
    assert (error.errorDetail, error.sctpCauseCode) == ("sctp-failure", None)
    assert channel.readyState == "closed"
    assert near.sctp is not None
    assert near.sctp.state == "closed"
    assert losses.sent.count(INIT_ACK) == 9  # RFC 9260 section 16: Max.Init.Retransmits is 8
    # Everything else goes on.
    assert near.connectionState == "connected"


async def test_a_path_that_is_lost_meanwhile_is_waited_for(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restartice.transports.sctp.FIRST_TIMEOUT", 0.2)
    settings = dataclasses.replace(QUICK, consent_lifetime=2 * DEADLINE)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(without_init(near.localDescription))
    losses = [Losses(pc, {INIT: FOREVER, INIT_ACK: FOREVER}) for pc in (near, far)]
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)
    cuts = Cut(near), Cut(far)
    for pc in (near, far):
        await wait_for_state(pc, "iceConnectionState", "disconnected")
    # More often than it would be tried if there were a path.
    monkeypatch.setattr("restartice.transports.sctp.LONGEST_DELAY", 0.01)
    async with asyncio.timeout(DEADLINE):
        while any(side.sent.count(INIT) < 20 for side in losses):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    for side, cut in zip(losses, cuts, strict=True):
        side.left.clear()
        cut.heal()
    await echo.check()


async def test_a_channel_that_comes_too_late_fails_aloud(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    assert near.sctp is not None
    await near.sctp.stop()
    for number in (None, 7):
        late = near.createDataChannel("late", negotiated=number is not None, id=number)
        errors = asyncio.Queue[Exception]()
        late.on("error", errors.put_nowait)
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await errors.get(), RTCError)
        assert late.readyState == "closed"


async def test_a_channel_that_was_never_announced_is_closed_with_the_connection(
    make_pc: Factory,
) -> None:
    pc = make_pc()
    channel = pc.createDataChannel("chat")
    await pc.close()
    assert channel.readyState == "closed"
