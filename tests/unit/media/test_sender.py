"""Senders that belong to no connection, and what a sender sends of its track."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCCertificate, RTCRtpCodecParameters
from av import AudioFrame

from restartice import (
    AudioStreamTrack,
    InvalidStateError,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCRtpSender,
    VideoStreamTrack,
)

OPUS = RTCRtpCodecParameters("audio/opus", 48000, channels=2, payloadType=96)


class Counted(AudioStreamTrack):
    """A track that counts how often it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def recv(self) -> AudioFrame:
        self.reads += 1
        frame: AudioFrame = await super().recv()  # type: ignore[assignment]
        return frame


@pytest.fixture
async def transport() -> AsyncIterator[RTCDtlsTransport]:
    ice = RTCIceTransport(RTCIceGatherer())
    yield RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    await ice.stop()


async def test_a_sender_of_no_connection_has_a_track_and_parameters(
    transport: RTCDtlsTransport,
) -> None:
    sender, track = RTCRtpSender("audio", transport), AudioStreamTrack()
    await sender.replaceTrack(track)
    assert sender.track is track
    parameters = sender.getParameters()
    parameters.encodings[0].active = False
    await sender.setParameters(parameters)
    assert sender.getParameters().encodings[0].active is False
    with pytest.raises(InvalidStateError, match="belongs to no RTCPeerConnection"):
        sender.setStreams()


async def test_without_a_path_the_track_is_read_and_nothing_is_encoded(
    transport: RTCDtlsTransport,
) -> None:
    track = Counted()
    sender = RTCRtpSender(track, transport)
    assert not transport.transport._core.sendable
    assert await sender._next_encoded_frame(OPUS) is None
    assert track.reads == 1
    sender.replaceTrack(None)
    async with asyncio.timeout(60):
        assert await sender._next_encoded_frame(OPUS) is None


async def test_a_sender_has_the_kind_of_its_track(transport: RTCDtlsTransport) -> None:
    assert RTCRtpSender(VideoStreamTrack(), transport).kind == "video"
