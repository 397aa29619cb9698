"""What gets lost of data is repeated soon, and what was only late isn't."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiortc
import pytest
from aiortc.rtcsctptransport import USERDATA_MAX_LENGTH

from connecting import DEADLINE, negotiate
from cutting import Cut, connect_measured
from losing import DATA, I_DATA
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]
PIECE = bytes(USERDATA_MAX_LENGTH - 4)  # which fits into a chunk of I-DATA, too
STALL = 1.2
MESSAGES = 3000


def sctp_of(pc: aiortc.RTCPeerConnection) -> Any:
    """Return the SCTP transport, whose private methods tests use."""
    assert pc.sctp is not None
    return pc.sctp


async def open_channel(
    near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection
) -> tuple[aiortc.RTCDataChannel, asyncio.Queue[Any]]:
    """Return a channel, and what arrives on it, when a round trip was measured."""
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    far.on("datachannel", lambda channel: channel.on("message", arrived.put_nowait))
    channel = near.createDataChannel("data")
    await negotiate(near, far)
    sctp = sctp_of(near)
    await eventually(lambda: channel.readyState == "open")
    channel.send("first")
    async with asyncio.timeout(DEADLINE):
        assert await arrived.get() == "first"
    await eventually(lambda: not sctp._sent_queue and sctp._srtt is not None)
    return channel, arrived


class Loss:
    """Lets packets of data get lost, which are counted from 0."""

    def __init__(self, pc: aiortc.RTCPeerConnection, lost: set[int]) -> None:
        self.sent: list[bytes] = []
        self._lost = lost
        transport = sctp_of(pc).transport
        self._send = transport._send_data
        transport._send_data = self._lose

    async def _lose(self, packet: bytes) -> None:
        if packet[12] in {DATA, I_DATA}:
            self.sent.append(packet)
            if len(self.sent) - 1 in self._lost:
                return
        await self._send(packet)


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.005)


def forbid_timer(pc: aiortc.RTCPeerConnection) -> None:
    """Let the timer do nothing that would repeat all that is in flight."""
    sctp_of(pc)._t3_expired = lambda: None


@pytest.mark.parametrize("other", ["restartice", "aiortc"])
@pytest.mark.parametrize("lost", [{0}, {9}, {7, 8, 9}, {3, 9}, {3, 4, 10}])
async def test_what_is_lost_is_repeated_without_waiting_for_the_timer(
    make_pc: Factory, lost: set[int], other: str
) -> None:
    near = make_pc()
    far: Any = make_pc() if other == "restartice" else aiortc.RTCPeerConnection()
    try:
        channel, arrived = await open_channel(near, far)
        sctp_of(near)._cwnd = 20 * USERDATA_MAX_LENGTH
        loss = Loss(near, lost)
        forbid_timer(near)
        for _ in range(10):
            channel.send(PIECE)
        async with asyncio.timeout(DEADLINE):
            for _ in range(10):
                assert await arrived.get() == PIECE
    finally:
        await far.close()
    # Each of them, and those that the other side was asked with.
    assert len(loss.sent) <= 10 + 2 * len(lost)


async def test_a_single_message_that_is_lost_is_repeated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel, arrived = await open_channel(near, far)
    loss = Loss(near, {0})
    forbid_timer(near)
    channel.send("lost at first")
    async with asyncio.timeout(DEADLINE):
        assert await arrived.get() == "lost at first"
    assert len(loss.sent) == 2


async def test_a_message_that_may_be_sent_once_only_is_not_repeated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    _, arrived = await open_channel(near, far)
    channel = near.createDataChannel("once", maxRetransmits=0)
    await eventually(lambda: channel.readyState == "open" and not sctp_of(near)._sent_queue)
    loss = Loss(near, {0})
    channel.send("lost")
    await eventually(lambda: sctp_of(near)._core.given_up == 1)
    async with asyncio.timeout(DEADLINE):
        channel.send("after")
        assert await arrived.get() == "after"
    assert len(loss.sent) == 2


async def test_a_program_that_holds_the_event_loop_up_repeats_little(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel, arrived = await open_channel(near, far)
    loss = Loss(near, set())

    async def stall() -> None:
        for _ in range(3):
            await asyncio.sleep(0.02)
            time.sleep(STALL)  # noqa: ASYNC251  as a program does that computes something

    stalling = asyncio.ensure_future(stall())
    for number in range(MESSAGES):
        channel.send(str(number))
        await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        assert [await arrived.get() for _ in range(MESSAGES)] == [*map(str, range(MESSAGES))]
        await stalling
    least = sum(len(str(number)) + 3 & ~3 for number in range(MESSAGES)) + 16 * MESSAGES
    assert sum(len(packet) - 12 for packet in loss.sent) < 2 * least


async def test_a_timer_that_has_expired_too_early_changes_nothing(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel, arrived = await open_channel(near, far)
    sctp = sctp_of(near)
    sctp._cwnd = window = 20 * USERDATA_MAX_LENGTH
    send, held = sctp.transport._send_data, []

    async def hold(packet: bytes) -> None:
        held.append(packet)

    sctp.transport._send_data = hold
    for _ in range(10):
        channel.send(PIECE)
    await eventually(lambda: len(held) >= 10)
    # Now it expires, while all are under way. ICE may have changed the window meanwhile.
    sctp._cwnd = window
    sctp._t3_cancel()
    sctp._t3_expired()
    assert sctp._cwnd == len(PIECE)
    sctp.transport._send_data = send
    for packet in held:
        await send(packet)
    async with asyncio.timeout(DEADLINE):
        for _ in range(10):
            assert await arrived.get() == PIECE
    await eventually(lambda: not sctp._sent_queue)
    assert sctp._cwnd >= window
    assert sctp._core.packets == sctp._flight_size == 0


async def test_a_path_that_is_back_is_used_at_once(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect_measured(near, far)
    sctp = sctp_of(near)
    cuts = [Cut(near), Cut(far)]
    lost_path = asyncio.Event()

    def note() -> None:
        if near.iceConnectionState in {"disconnected", "failed"}:
            lost_path.set()

    near.on("iceconnectionstatechange", note)
    note()
    for number in range(200):
        echo.channel.send(f"{number}:" + "x" * 1000)
    async with asyncio.timeout(DEADLINE):
        await lost_path.wait()
        windows: list[int] = []
        expire = sctp._t3_expired

        def resume() -> None:
            expire()
            asyncio.get_running_loop().call_soon(lambda: windows.append(sctp._cwnd))

        sctp._t3_expired = resume
        for each in cuts:
            each.heal()
        for number in range(200):
            assert (await echo.received.get()).startswith(f"{number}:")
    assert max(windows) >= 10 * USERDATA_MAX_LENGTH


async def test_a_closed_connection_probes_no_more(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel, _ = await open_channel(near, far)
    Loss(near, set(range(100)))
    channel.send("lost")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    core = sctp_of(near)._core
    assert core.probing is not None
    await near.close()
    assert core.probing is None
