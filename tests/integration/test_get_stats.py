"""What getStats() reports. (W28)."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest
from aiortc import MediaStreamError
from av.frame import Frame

from conftest import Factory
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    transports,
    ufrags,
    wait_connected,
    wait_sending_on_new_pair,
    wait_until,
)
from restartice import (
    AudioStreamTrack,
    IceSettings,
    RTCCertificateStats,
    RTCCodecStats,
    RTCIceCandidatePairStats,
    RTCIceCandidateStats,
    RTCInboundRtpStreamStats,
    RTCMediaSourceStats,
    RTCPeerConnection,
    RTCTransportStats,
    VideoStreamTrack,
)


async def stats_of(pc: RTCPeerConnection, kind: str) -> list[Any]:
    return [stats for stats in (await pc.getStats()).values() if stats.type == kind]


async def selected_pair(pc: RTCPeerConnection) -> RTCIceCandidatePairStats:
    report = await pc.getStats()
    (transport,) = [s for s in report.values() if isinstance(s, RTCTransportStats)]
    assert transport.selectedCandidatePairId is not None
    pair = report[transport.selectedCandidatePairId]
    assert isinstance(pair, RTCIceCandidatePairStats)
    assert pair.transportId == transport.id
    return pair


async def test_transport_and_the_pair_in_use(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    await echo.check()
    report = await near.getStats()
    (transport,) = [s for s in report.values() if isinstance(s, RTCTransportStats)]
    assert transport.iceState == "completed"
    assert transport.dtlsState == "connected"
    assert transport.iceRole == "controlling"
    assert [transport.iceLocalUsernameFragment] == ufrags(near)
    assert transport.selectedCandidatePairChanges == 1
    assert transport.iceRestarts == 0

    pair = await selected_pair(near)
    assert (pair.state, pair.nominated) == ("succeeded", True)
    assert 0 < pair.bytesSent <= transport.bytesSent
    assert 0 < pair.bytesReceived <= transport.bytesReceived
    assert 0 < pair.packetsSent <= transport.packetsSent
    assert 0 < pair.packetsReceived <= transport.packetsReceived
    assert pair.currentRoundTripTime is not None
    assert 0 < pair.currentRoundTripTime <= pair.totalRoundTripTime
    assert pair.requestsSent >= pair.responsesReceived >= 1
    assert pair.requestsReceived == pair.responsesSent

    local, remote = report[pair.localCandidateId], report[pair.remoteCandidateId]
    assert isinstance(local, RTCIceCandidateStats)
    assert isinstance(remote, RTCIceCandidateStats)
    assert (local.type, remote.type) == ("local-candidate", "remote-candidate")
    assert [local.usernameFragment] == ufrags(near)
    assert [remote.usernameFragment] == ufrags(far)
    (ice,) = transports(near)
    chosen = ice.getSelectedCandidatePair()
    assert chosen is not None
    assert (local.address, local.port) == (chosen.local.ip, chosen.local.port)
    assert (remote.address, remote.port) == (chosen.remote.ip, chosen.remote.port)
    assert (local.candidateType, local.protocol) == ("host", "udp")


async def test_restarts_are_counted_and_each_pair_has_its_own_traffic(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    before = await selected_pair(near)
    for _ in range(3):
        near.restartIce()
        await negotiate(near, far)
        await wait_sending_on_new_pair(near, far)
    await echo.check("after")
    (transport,) = await stats_of(near, "transport")
    assert transport.iceRestarts == 3
    assert transport.selectedCandidatePairChanges == 4
    assert transport.iceState == "completed"
    after = await selected_pair(near)
    assert after.id != before.id
    assert 0 < after.bytesSent <= transport.bytesSent - before.bytesSent


async def test_consent_is_counted_and_measured(make_pc: Factory) -> None:
    settings = IceSettings(consent_interval=0.05, consent_lifetime=30)
    near, far = make_pc(iceSettings=settings), make_pc()
    echo = await connect(near, far)
    before = await selected_pair(near)
    (transport,) = transports(near)
    pair = transport._core.selected_pair
    assert pair is not None
    checks = transport._core.generations[0].connection.checks_of(pair)
    # Messages go round until enough requests have been answered.
    async with asyncio.timeout(DEADLINE):
        while checks.responses_received < before.responsesReceived + 3:
            await echo.check("tick")
    after = await selected_pair(near)
    assert after.consentRequestsSent >= 3
    assert after.requestsSent > before.requestsSent
    assert after.totalRoundTripTime > before.totalRoundTripTime


async def test_media_has_the_same_transport(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    report = await near.getStats()
    (outbound,) = [s for s in report.values() if s.type == "outbound-rtp"]
    assert isinstance(report[outbound.transportId], RTCTransportStats)


async def test_before_and_after_a_connection(make_pc: Factory) -> None:
    pc = make_pc()
    assert [s.type for s in (await pc.getStats()).values()] == ["peer-connection"]
    pc.createDataChannel("x")
    (transport,) = await stats_of(pc, "transport")
    assert isinstance(transport, RTCTransportStats)
    assert (transport.iceState, transport.selectedCandidatePairId) == ("new", None)
    await pc.close()
    await pc.getStats()


async def sources_of(pc: RTCPeerConnection) -> dict[int, RTCInboundRtpStreamStats]:
    """Return the statistics of what is received, by the source, each under its own id."""
    report = await pc.getReceivers()[0].getStats()
    received = {s.id: s for s in report.values() if isinstance(s, RTCInboundRtpStreamStats)}
    complete = await pc.getStats()
    assert received.keys() == {s.id for s in complete.values() if s.type == "inbound-rtp"}
    return {s.ssrc: s for s in received.values()}


async def test_repeated_packets_are_counted_beside_those_of_the_video(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender: Any = near.addTrack(VideoStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    video, repeated = sender._ssrc, sender._rtx_ssrc
    async with asyncio.timeout(DEADLINE):
        await far.getReceivers()[0].track.recv()
        assert set(await sources_of(far)) == {video}
        (sent, *_) = vars(sender)["_RTCRtpSender__rtp_history"].values()
        await sender._retransmit(sent.sequence_number)
        while repeated not in (sources := await sources_of(far)):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
        before = sources[video].packetsReceived
        while (sources := await sources_of(far))[video].packetsReceived == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert set(sources) == {video, repeated}
    assert sources[repeated].packetsReceived == 1
    assert {s.kind for s in sources.values()} == {"video"}
    assert sources[video].id != sources[repeated].id


async def test_certificates_and_what_dtls_has_negotiated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("x")
    (before,) = await stats_of(near, "transport")
    assert (before.dtlsRole, before.tlsVersion, before.remoteCertificateId) == (
        *("unknown", None, None),
    )
    await connect(near, far)
    reports = [await pc.getStats() for pc in (near, far)]
    ours, theirs = (
        next(s for s in report.values() if isinstance(s, RTCTransportStats)) for report in reports
    )
    assert (ours.dtlsRole, theirs.dtlsRole) == ("server", "client")
    assert ours.tlsVersion == theirs.tlsVersion == "FEFD"
    assert ours.dtlsCipher == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert ours.srtpCipher == theirs.srtpCipher
    assert str(ours.srtpCipher).startswith("SRTP_AE")
    for mine, other in ((0, 1), (1, 0)):
        transport = (ours, theirs)[mine]
        local = reports[mine][str(transport.localCertificateId)]
        remote = reports[other][str((ours, theirs)[other].remoteCertificateId)]
        assert isinstance(local, RTCCertificateStats)
        assert isinstance(remote, RTCCertificateStats)
        assert local.fingerprint == remote.fingerprint
        der = base64.b64decode(local.base64Certificate)
        assert local.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
        description = (near, far)[mine].localDescription.sdp
        assert f"a=fingerprint:{local.fingerprintAlgorithm} {local.fingerprint}" in description


async def test_data_channels_count_messages(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    channels = [pc.createDataChannel("a", negotiated=True, id=7) for pc in (near, far)]
    arrived = asyncio.Event()
    received: list[object] = []

    @channels[1].on("message")
    def take(message: object) -> None:
        received.append(message)
        if len(received) == 3:
            arrived.set()

    for message in ("äb", b"", bytes(10_000)):
        channels[0].send(message)
    async with asyncio.timeout(DEADLINE):
        await arrived.wait()
    await echo.check()

    found = [
        next(s for s in await stats_of(pc, "data-channel") if s.label == "a") for pc in (near, far)
    ]
    assert [(s.dataChannelIdentifier, s.state, s.protocol) for s in found] == [(7, "open", "")] * 2
    counts = [(s.messagesSent, s.bytesSent, s.messagesReceived, s.bytesReceived) for s in found]
    assert counts == [(3, 10_003, 0, 0), (0, 0, 3, 10_003)]

    (before,) = await stats_of(near, "peer-connection")
    channels[0].close()
    await wait_until(channels[0], "close", lambda: channels[0].readyState == "closed")
    (after,) = await stats_of(near, "peer-connection")
    assert (before.dataChannelsOpened, before.dataChannelsClosed) == (2, 0)
    assert (after.dataChannelsOpened, after.dataChannelsClosed) == (2, 1)
    assert [s.label for s in await stats_of(near, "data-channel")] != ["a"]


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_streams_name_their_codec_track_and_reports(make_pc: Factory, kind: str) -> None:
    near, far = make_pc(), make_pc()
    track = AudioStreamTrack() if kind == "audio" else VideoStreamTrack()
    near.addTrack(track)
    assert not await stats_of(near, "outbound-rtp")
    await negotiate(near, far)
    assert await stats_of(near, "outbound-rtp")
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        while not await stats_of(near, "remote-inbound-rtp"):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)
        while not await stats_of(far, "remote-outbound-rtp"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    sent, received = await near.getStats(), await far.getStats()
    (outbound,) = await stats_of(near, "outbound-rtp")
    (inbound,) = await stats_of(far, "inbound-rtp")

    codecs = sent[outbound.codecId], received[inbound.codecId]
    assert all(isinstance(codec, RTCCodecStats) for codec in codecs)
    parameters = near.getSenders()[0].getParameters().codecs[0]
    for codec in codecs:
        assert isinstance(codec, RTCCodecStats)
        assert (codec.mimeType, codec.payloadType) == (parameters.mimeType, parameters.payloadType)
    source = sent[outbound.mediaSourceId]
    assert isinstance(source, RTCMediaSourceStats)
    assert (source.trackIdentifier, source.kind) == (track.id, kind)
    assert inbound.trackIdentifier == far.getReceivers()[0].track.id
    assert outbound.mid == inbound.mid == near.getTransceivers()[0].mid
    told = sent[outbound.remoteId], received[inbound.remoteId]
    assert [t.localId for t in told] == [outbound.id, inbound.id]
    # Those of a sender or receiver have the transport, with its pairs, too.
    alone = await near.getSenders()[0].getStats(), await far.getReceivers()[0].getStats()
    for report in alone:
        types = {s.type for s in report.values()}
        assert types >= {"transport", "candidate-pair", "certificate", "codec"}


class FewPictures(VideoStreamTrack):
    """A video of a few pictures."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count
        self.over = asyncio.Event()

    async def recv(self) -> Frame:
        if not self.left:
            self.over.set()
            raise MediaStreamError
        self.left -= 1
        return await super().recv()


async def test_the_frames_of_a_video_are_counted(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    sender = near.addTransceiver("video").sender
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    video = FewPictures(7)
    await sender.replaceTrack(video)
    async with asyncio.timeout(DEADLINE):
        await video.over.wait()
    found = {s.kind: (s.framesEncoded, s.framesSent) for s in await stats_of(near, "outbound-rtp")}
    assert found == {"video": (7, 7), "audio": (None, None)}


async def test_what_is_stopped_has_no_streams(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    (sender,), (receiver,) = near.getSenders(), far.getReceivers()
    async with asyncio.timeout(DEADLINE):
        while not await stats_of(far, "inbound-rtp"):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)
    near.getTransceivers()[0].stop()
    await far.close()
    for report in (await sender.getStats(), await receiver.getStats()):
        assert not [s.type for s in report.values() if s.type.endswith("bound-rtp")]
