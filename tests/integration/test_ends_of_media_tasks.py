"""Whatever becomes of the tasks that send, receive and report, close() returns."""

import asyncio
import time
from typing import Any

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, is_rtcp
from aiortc.stats import RTCRemoteInboundRtpStreamStats

from conftest import Factory
from connecting import DEADLINE, negotiate, wait_connected
from restartice import AudioStreamTrack, RTCPeerConnection
from restartice.seam import media

# The smallest MTU that IPv6 allows, and so what is assumed of any path.
MTU = 1280


async def connect_media(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    """Connect by audio from one side, and return when that comes in."""
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    await wait_connected(near, far)
    async with asyncio.timeout(DEADLINE):
        await far.getReceivers()[0].track.recv()


async def close_soon(pc: RTCPeerConnection) -> None:
    async with asyncio.timeout(DEADLINE):
        await pc.close()


async def test_a_report_of_many_sources_fits_the_path_and_arrives(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect_media(near, far)
    sender, receiver = near.getSenders()[0], far.getReceivers()[0]
    sources = [*range(1, 100), sender._ssrc]
    # The last one is told by an unlikely number.
    report = [RtcpReceiverInfo(ssrc, 0, 0, 0, 12345, 0, 0) for ssrc in sources]
    sent = packets_sent_by(receiver)
    await receiver._send_rtcp(RtcpRrPacket(receiver_ssrc(far), report))
    assert [block.ssrc for packet in sent for block in blocks(packet)] == sources
    assert max(map(len, sent)) < MTU - 100
    async with asyncio.timeout(DEADLINE):
        while 12345 not in await jitters(near):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


def packets_sent_by(receiver: Any) -> list[bytes]:
    """Return where the packets of RTCP go which one sends from now on, beside to the network."""
    sent: list[bytes] = []
    transport, send = receiver.transport, receiver.transport._send_rtp

    async def note(packet: bytes) -> None:
        if is_rtcp(packet) and blocks(packet)[0].jitter == 12345:
            sent.append(packet)
        await send(packet)

    transport._send_rtp = note
    return sent


def blocks(packet: bytes) -> list[RtcpReceiverInfo]:
    """Return the blocks of a report."""
    (report,) = RtcpPacket.parse(packet)
    assert isinstance(report, RtcpRrPacket)
    return report.reports


def receiver_ssrc(pc: RTCPeerConnection) -> int:
    return int(pc.getSenders()[0]._ssrc)


async def jitters(pc: RTCPeerConnection) -> list[int]:
    report = await pc.getStats()
    return [s.jitter for s in report.values() if isinstance(s, RTCRemoteInboundRtpStreamStats)]


async def test_a_report_that_cannot_be_sent_ends_nothing(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await connect_media(near, far)
    failures: asyncio.Queue[bytes] = asyncio.Queue()
    for user in (near.getSenders()[0], far.getReceivers()[0]):
        fail_reports(user, failures)
    async with asyncio.timeout(DEADLINE):
        for _ in range(6):
            await failures.get()
    for task in (near.getSenders()[0]._core.rtcp_task, far.getReceivers()[0]._core.rtcp_task):
        assert task is not None
        assert not task.done()
    for pc in (near, far):
        await close_soon(pc)


def fail_reports(user: Any, failures: asyncio.Queue[bytes]) -> None:
    send = user.transport._send_rtp

    async def fail(packet: bytes) -> None:
        if is_rtcp(packet):
            failures.put_nowait(packet)
            raise ValueError("a report that doesn't fit")
        await send(packet)

    user.transport._send_rtp = fail


@pytest.mark.parametrize("turns", [0, 100])
async def test_a_task_that_has_died_is_not_waited_for(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, turns: int
) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    await negotiate(near, far)
    sender, receiver = near.getSenders()[0], far.getReceivers()[0]
    async with asyncio.timeout(DEADLINE):
        while sender._core.rtcp_task is None or receiver._core.rtcp_task is None:  # noqa: ASYNC110
            await asyncio.sleep(0)  # they may have to be ended in their first turn
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in (sender._core.rtp_task, sender._core.rtcp_task, receiver._core.rtcp_task):
        assert task is not None
        task.cancel()
    for pc in (near, far):
        await close_soon(pc)
    assert "gave up waiting for" not in caplog.text


async def test_a_report_that_fails_to_be_made_is_told(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await connect_media(near, far)
    receiver = far.getReceivers()[0]
    receiver._core.statistics.clear()
    receiver._core.statistics[1] = None  # type: ignore[assignment]
    assert receiver._core.rtcp_task is not None
    async with asyncio.timeout(DEADLINE):
        await asyncio.wait([receiver._core.rtcp_task])
    await close_soon(far)
    assert "a task of RTP has failed" in caplog.text


class Stubborn(AudioStreamTrack):
    """A track that holds on although it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = asyncio.Event()
        self.free = asyncio.Event()

    async def recv(self) -> Any:
        self.holding.set()
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                continue
        raise ConnectionError("it lets go")


async def test_a_track_that_does_not_let_go_is_not_waited_for(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    track = Stubborn()
    near.addTrack(track)
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        await track.holding.wait()
    begun = time.monotonic()
    await close_soon(near)
    assert time.monotonic() - begun >= media.END_TIMEOUT
    assert "gave up waiting for" in caplog.text
    track.free.set()


class Forgetful(AudioStreamTrack):
    """A track that doesn't end at the first cancellation, as wait_for() may do in Python 3.11."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = asyncio.Event()
        self.swallowed = False

    async def recv(self) -> Any:
        self.holding.set()
        try:
            return await super().recv()
        except asyncio.CancelledError:
            if self.swallowed:
                raise
            self.swallowed = True
            return await super().recv()


async def test_a_cancellation_that_is_swallowed_is_repeated(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    track = Forgetful()
    near.addTrack(track)
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        await track.holding.wait()
    await close_soon(near)
    assert "gave up waiting for" not in caplog.text


def test_what_is_too_much_is_forgotten_oldest_first() -> None:
    sources = media.Recent(3, lambda heard: heard)
    for n in range(5):
        sources[n] = -n if n == 1 else n
    assert len(sources) == 5
    assert list(sources.items()) == [(2, 2), (3, 3), (4, 4)]
    sources[0] = 9
    assert list(sources.keys()) == [3, 4, 0]
