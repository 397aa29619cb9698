"""What getStats() reports. (W28)."""

import asyncio
from typing import Any

from conftest import Factory
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    transports,
    ufrags,
    wait_connected,
    wait_sending_on_new_pair,
)
from restartice import (
    AudioStreamTrack,
    IceSettings,
    RTCIceCandidatePairStats,
    RTCIceCandidateStats,
    RTCInboundRtpStreamStats,
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
    assert await pc.getStats() == {}
    pc.createDataChannel("x")
    (transport,) = (await pc.getStats()).values()
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
