"""When a track of the remote side is muted."""

import asyncio

from aiortc import AudioStreamTrack
from aiortc.rtp import RtcpByePacket

from conftest import Factory
from connecting import DEADLINE, negotiate


async def test_media_unmutes_a_track_and_negotiation_mutes_it(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sending = near.addTransceiver(AudioStreamTrack(), "sendonly")
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    track = far.getReceivers()[0]._core.track
    told: asyncio.Queue[str] = asyncio.Queue()
    track.on("mute", lambda: told.put_nowait("mute"))
    track.on("unmute", lambda: told.put_nowait("unmute"))
    assert track.muted
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    for _ in range(2):
        async with asyncio.timeout(DEADLINE):
            assert await told.get() == "unmute"
        assert not track.muted
        sending.direction = "inactive"
        await negotiate(near, far)
        assert track.muted
        assert told.get_nowait() == "mute"
        sending.direction = "sendonly"
        await negotiate(near, far)
    await far.close()
    assert "mute" not in [told.get_nowait() for _ in range(told.qsize())]


async def test_an_offer_mutes_a_track_before_it_is_answered(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    track = far.getReceivers()[0]._core.track
    unmuted = asyncio.Event()
    track.on("unmute", unmuted.set)
    if track.muted:
        async with asyncio.timeout(DEADLINE):
            await unmuted.wait()
    near.removeTrack(sender)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    assert track.muted


async def test_a_goodbye_mutes_a_track_until_media_comes_again(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    track = far.getReceivers()[0]._core.track
    told: asyncio.Queue[str] = asyncio.Queue()
    for event in ("mute", "unmute", "ended"):
        track.on(event, lambda event=event: told.put_nowait(event))
    async with asyncio.timeout(DEADLINE):
        assert await told.get() == "unmute"
        # It is known whose goodbye that is once a packet was received.
        await track.recv()
        await sender.transport._send_rtp(bytes(RtcpByePacket(sources=[sender._ssrc])))
        assert [await told.get(), await told.get()] == ["mute", "unmute"]
        await track.recv()
    assert track.readyState == "live"
