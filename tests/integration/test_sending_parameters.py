"""What is sent can be looked at, and paused, without negotiation."""

import asyncio
from typing import Any

import pytest
from aiortc import AudioStreamTrack, InvalidAccessError, InvalidStateError

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected
from restartice import (
    InvalidModificationError,
    RangeError,
    RTCPeerConnection,
    RTCRtpEncodingParameters,
    RTCRtpReceiver,
    RTCRtpSender,
    VideoStreamTrack,
)


class Sound(AudioStreamTrack):
    """A track that tells when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self._reads: asyncio.Queue[None] = asyncio.Queue()

    async def recv(self) -> Any:
        frame = await super().recv()
        self._reads.put_nowait(None)
        return frame

    async def read(self, count: int) -> None:
        """Return when the sender has read so many more frames."""
        while not self._reads.empty():
            self._reads.get_nowait()
        async with asyncio.timeout(DEADLINE):
            for _ in range(count):
                await self._reads.get()


def add_audio(pc: RTCPeerConnection) -> tuple[RTCRtpSender, Sound]:
    track = Sound()
    sender = pc.addTrack(track)
    assert isinstance(sender, RTCRtpSender)
    return sender, track


async def packets_sent(sender: RTCRtpSender) -> int:
    report = await sender.getStats()
    return next(int(s.packetsSent) for s in report.values() if s.type == "outbound-rtp")


async def wait_sending(sender: RTCRtpSender, track: Sound) -> None:
    """Return when packets go out that hadn't before."""
    before = await packets_sent(sender)
    async with asyncio.timeout(DEADLINE):
        while await packets_sent(sender) == before:
            await track.read(1)


async def set_active(sender: RTCRtpSender, *, active: bool) -> None:
    parameters = sender.getParameters()
    parameters.encodings[0].active = active
    await sender.setParameters(parameters)


async def test_a_sender_pauses_and_goes_on(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender, track = add_audio(near)
    await negotiate(near, far)
    await wait_connected(near, far)
    await wait_sending(sender, track)

    await set_active(sender, active=False)
    assert sender.getParameters().encodings[0].active is False
    await track.read(2)  # the frame that was under way is sent
    before = await packets_sent(sender)
    await track.read(10)
    assert await packets_sent(sender) == before

    await set_active(sender, active=True)
    await wait_sending(sender, track)


async def test_parameters_say_what_is_negotiated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender, track = add_audio(near)
    assert sender.getParameters().codecs == []
    await negotiate(near, far)
    await wait_connected(near, far)
    await wait_sending(sender, track)
    receiver = far.getReceivers()[0]
    assert isinstance(receiver, RTCRtpReceiver)
    sent, received = sender.getParameters(), receiver.getParameters()
    assert sent.codecs
    assert sent.codecs == received.codecs
    assert sent.muxId == received.muxId == near.getTransceivers()[0].mid
    assert sent.rtcp.cname


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_parameters_follow_the_negotiation_without_a_path(
    make_pc: Factory, kind: str
) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTransceiver(kind).sender
    cname = sender.getParameters().rtcp.cname
    assert cname
    await near.setLocalDescription()
    assert sender.getParameters().codecs == []
    await far.setRemoteDescription(near.localDescription)
    assert far.getReceivers()[0].getParameters().codecs == []
    await far.setLocalDescription()
    received = far.getReceivers()[0].getParameters()
    await near.setRemoteDescription(far.localDescription)
    sent = sender.getParameters()

    assert sent.codecs
    assert sent.codecs == received.codecs
    assert sent.headerExtensions == received.headerExtensions
    assert (sent.rtcp.cname, received.rtcp.cname) == (cname, None)


async def test_parameters_can_be_set_again_until_the_event_loop_goes_on(make_pc: Factory) -> None:
    sender, _ = add_audio(make_pc())
    parameters = sender.getParameters()
    await asyncio.gather(sender.setParameters(parameters), sender.setParameters(parameters))
    with pytest.raises(InvalidStateError):
        await sender.setParameters(parameters)


async def test_parameters_are_changed_only_after_they_were_asked_for(make_pc: Factory) -> None:
    sender, _ = add_audio(make_pc())
    parameters = sender.getParameters()
    await sender.setParameters(parameters)
    with pytest.raises(InvalidStateError):
        await sender.setParameters(parameters)
    other = sender.getParameters()
    assert other.transactionId != parameters.transactionId
    with pytest.raises(InvalidModificationError):
        await sender.setParameters(parameters)


async def test_statistics_of_a_track(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender, track = add_audio(near)
    add_audio(near)
    await negotiate(near, far)
    await wait_connected(near, far)
    await wait_sending(sender, track)
    report = await near.getStats(track)
    assert [s.type for s in report.values()].count("outbound-rtp") == 1
    assert len(await near.getStats()) > len(report)
    received = far.getReceivers()[0].track
    assert {s.type for s in (await far.getStats(received)).values()} >= {"inbound-rtp"}


async def test_statistics_of_a_track_of_nobody(make_pc: Factory) -> None:
    with pytest.raises(InvalidAccessError):
        await make_pc().getStats(AudioStreamTrack())


async def test_a_transceiver_may_begin_inactive(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    track = Sound()
    paused = [RTCRtpEncodingParameters(active=False)]
    sender = near.addTransceiver(track, sendEncodings=paused).sender
    await negotiate(near, far)
    await wait_connected(near, far)
    await track.read(10)
    assert sender.getParameters().encodings == paused
    assert await packets_sent(sender) == 0


async def test_a_malformed_name_adds_no_transceiver(make_pc: Factory) -> None:
    pc = make_pc()
    with pytest.raises(TypeError, match="rid"):
        pc.addTransceiver("audio", sendEncodings=[RTCRtpEncodingParameters(rid="not one")])
    assert pc.getTransceivers() == []


async def test_parameters_of_a_stopped_sender_are_not_changed(make_pc: Factory) -> None:
    transceiver = make_pc().addTransceiver("audio")
    parameters = transceiver.sender.getParameters()
    transceiver.stop()
    with pytest.raises(InvalidStateError, match="stopped"):
        await transceiver.sender.setParameters(parameters)


async def test_a_video_is_scaled_down_and_up_again_during_a_call(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    halved = [RTCRtpEncodingParameters(scaleResolutionDownBy=2)]
    sender = near.addTransceiver(VideoStreamTrack(), sendEncodings=halved).sender
    await negotiate(near, far)
    await wait_connected(near, far)
    track: Any = far.getReceivers()[0].track
    async with asyncio.timeout(DEADLINE):
        frame = await track.recv()
        assert (frame.width, frame.height) == (320, 240)
        for scale in (None, 4, 1):
            parameters = sender.getParameters()
            parameters.encodings[0].scaleResolutionDownBy = scale
            await sender.setParameters(parameters)
            width = 640 // (scale or 1)
            while (await track.recv()).width != width:
                pass
    assert sender.getParameters().encodings == [RTCRtpEncodingParameters(scaleResolutionDownBy=1)]


async def test_a_rate_of_zero_frames_sends_nothing(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTransceiver(VideoStreamTrack()).sender
    await negotiate(near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        while not await packets_sent(sender):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)
        parameters = sender.getParameters()
        parameters.encodings[0].maxFramerate = 0
        await sender.setParameters(parameters)
        before = -1
        while (now := await packets_sent(sender)) != before:  # what is under way is sent
            before = now
            await asyncio.sleep(0.2)


async def test_impossible_limits_change_nothing(make_pc: Factory) -> None:
    pc = make_pc()
    with pytest.raises(RangeError):
        pc.addTransceiver("video", sendEncodings=[RTCRtpEncodingParameters(maxFramerate=-1)])
    assert pc.getTransceivers() == []
    sender = pc.addTransceiver("video").sender
    parameters = sender.getParameters()
    parameters.encodings[0].scaleResolutionDownBy = 0.5
    with pytest.raises(RangeError):
        await sender.setParameters(parameters)
    parameters.encodings[0].scaleResolutionDownBy = 2
    await sender.setParameters(parameters)
    assert sender.getParameters().encodings[0].scaleResolutionDownBy == 2
