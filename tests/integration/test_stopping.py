"""What becomes of a transceiver that one side stops."""

import asyncio

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected, wait_for_state
from restartice import AudioStreamTrack


async def test_the_track_of_a_stopped_transceiver_ends_later(make_pc: Factory) -> None:
    transceiver = make_pc().addTransceiver("audio")
    track = transceiver.receiver.track
    ended = asyncio.Event()
    track.on("ended", ended.set)
    await_end = transceiver.stop()
    assert (transceiver.direction, track.readyState) == ("stopped", "live")
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert track.readyState == "ended"
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
    assert theirs.receiver.track.readyState == "ended"
    assert theirs in far.getTransceivers()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    assert theirs.mid is stopped.mid is None
    assert theirs not in far.getTransceivers()
    assert near.getTransceivers() == [kept]


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
