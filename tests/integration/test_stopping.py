"""What becomes of a transceiver that one side stops."""

import asyncio

import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    assert_ends_later,
    negotiate,
    transports,
    ufrags,
    wait_connected,
    wait_for_state,
)
from restartice import AudioStreamTrack


async def test_the_track_of_a_stopped_transceiver_ends_later(make_pc: Factory) -> None:
    transceiver = make_pc().addTransceiver("audio")
    await_end = transceiver.stop()
    assert transceiver.direction == "stopped"
    await assert_ends_later(transceiver)
    await await_end


async def test_what_the_remote_side_stops_is_associated_until_the_answer(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio").stop()
    kept, stopped = near.addTransceiver("video"), near.addTransceiver("audio")
    await negotiate(near, far)
    assert len(far.getTransceivers()) == 2
    theirs = far.getTransceivers()[1]
    mid = theirs.mid
    assert mid is not None
    stopped.stop()
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    assert (theirs.mid, theirs.direction, theirs.currentDirection) == (mid, "stopped", "stopped")
    await assert_ends_later(theirs)
    assert theirs in far.getTransceivers()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert theirs.mid is stopped.mid is None
    assert theirs not in far.getTransceivers()
    assert near.getTransceivers() == [kept]


async def test_what_one_side_stops_is_listed_until_both_know(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    stopped, kept = near.addTransceiver("audio"), near.addTransceiver("video")
    await negotiate(near, far)
    theirs, _ = far.getTransceivers()
    stopped.stop()
    assert near.getSenders() == [stopped.sender, kept.sender]
    assert near.getReceivers() == [stopped.receiver, kept.receiver]
    await near.setLocalDescription()
    assert near.getSenders() == [stopped.sender, kept.sender]
    await far.setRemoteDescription(near.localDescription)
    # What the remote side has stopped is stopped at once.
    assert theirs in far.getTransceivers()
    assert theirs.sender not in far.getSenders()
    assert theirs.receiver not in far.getReceivers()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert near.getSenders() == [kept.sender]
    assert near.getReceivers() == [kept.receiver]
    await near.close()
    assert near.getSenders() == []
    assert near.getReceivers() == []


async def test_what_is_stopped_during_the_handshake_is_never_started(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    near.addTrack(AudioStreamTrack())
    stopped = near.getTransceivers()[0]
    transport = stopped.sender.transport
    await negotiate(near, far)
    await wait_for_state(transport, "state", "connecting")
    stopped.stop()
    await wait_connected(near, far)
    await negotiate(near, far)
    assert near.getTransceivers() == []
    # The end of the test looks for tasks that nobody would end.


@pytest.mark.parametrize("restart", [False, True])
async def test_what_is_added_after_all_was_stopped_gets_a_new_transport(
    make_pc: Factory, restart: bool
) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    old, before = transports(near), ufrags(near)
    # It rides on the transport that is there, until nothing negotiated is left on that.
    echo = Echo(near, far)
    near.getTransceivers()[0].stop()
    if restart:
        near.restartIce()
    await negotiate(near, far)
    await echo.check()
    assert near.getTransceivers() == far.getTransceivers() == []
    assert not set(old) & set(transports(near))
    assert old[0].state == "closed"
    assert not set(before) & set(ufrags(near))
    # A restart is over when the credentials are gone, and this one is.
    assert not near._core.state.local_ice_credentials_to_replace
    await negotiate(far, near)
    await echo.check("after")


async def test_what_waits_while_the_remote_side_stops_all_gets_a_new_transport(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    old = transports(near)
    near.addTrack(AudioStreamTrack())
    far.getTransceivers()[0].stop()
    await negotiate(far, near)
    await negotiate(near, far)
    assert not set(old) & set(transports(near))
    async with asyncio.timeout(DEADLINE):
        await far.getReceivers()[0].track.recv()


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_what_is_added_in_place_of_all_gets_a_new_transport_on_both_sides(
    make_pc: Factory, kind: str
) -> None:
    near, far = make_pc(), make_pc()
    far.addTransceiver("audio")
    await negotiate(far, near)
    await wait_connected(near, far)
    old = [*transports(near), *transports(far)]
    # Ours waits on the transport that the remote side leaves.
    echo = Echo(near, far)
    far.getTransceivers()[0].stop()
    far.addTransceiver(kind)
    await negotiate(far, near)
    await negotiate(near, far)
    await echo.check()
    new = [*transports(near), *transports(far)]
    assert len(new) == 2
    assert not set(old) & set(new)
