"""What data channels send: in how few packets, by turns, and what they say of it."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import aiortc
import pytest

from connecting import DEADLINE, negotiate
from restartice import RTCPeerConnection

Factory = Callable[..., RTCPeerConnection]
SACK, RECONFIG = 3, 130


def sctp_of(pc: aiortc.RTCPeerConnection) -> Any:
    """Return the SCTP transport, whose private methods tests use."""
    assert pc.sctp is not None
    return pc.sctp


class Inbox:
    """The messages of all channels of one end, in the order in which they come."""

    def __init__(self, pc: aiortc.RTCPeerConnection) -> None:
        self.messages: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        pc.on("datachannel", self.listen)

    def listen(self, channel: aiortc.RTCDataChannel) -> None:
        """Listen to a channel."""
        label = channel.label
        channel.on("message", lambda message: self.messages.put_nowait((label, message)))

    async def take(self, count: int) -> list[tuple[str, object]]:
        """Return the next messages."""
        async with asyncio.timeout(DEADLINE):
            return [await self.messages.get() for _ in range(count)]


async def open_channels(
    near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection, *labels: str
) -> list[aiortc.RTCDataChannel]:
    """Return channels that are open at both ends."""
    channels = [near.createDataChannel(label) for label in labels]
    inbox: asyncio.Queue[object] = asyncio.Queue()
    far.on("datachannel", inbox.put_nowait)
    await negotiate(near, far)
    async with asyncio.timeout(DEADLINE):
        for _ in channels:
            await inbox.get()
    return channels


def note_packets(pc: aiortc.RTCPeerConnection) -> list[bytes]:
    """Return a list to which each packet of SCTP is added that is sent."""
    transport, packets = sctp_of(pc).transport, []
    send = transport._send_data

    async def note(packet: bytes) -> None:
        packets.append(packet)
        await send(packet)

    transport._send_data = note
    return packets


@pytest.mark.parametrize("other", ["restartice", "aiortc"])
async def test_small_messages_share_packets(make_pc: Factory, other: str) -> None:
    near = make_pc()
    far: aiortc.RTCPeerConnection = (
        make_pc() if other == "restartice" else aiortc.RTCPeerConnection()
    )
    inbox = Inbox(far)
    try:
        (channel,) = await open_channels(near, far, "small")
        packets = note_packets(near)
        for number in range(1000):
            channel.send(b"%064d" % number)
        got = await inbox.take(1000)
    finally:
        await far.close()
    assert [message for _, message in got] == [b"%064d" % number for number in range(1000)]
    # 14 of them fit. Some packets may be sent twice, and some are full of them only in part.
    assert len(packets) < 150
    assert max(map(len, packets)) <= 1189


async def test_a_message_does_not_wait_for_all_of_another_channel(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    bulk, quick = await open_channels(near, far, "bulk", "quick")
    for _ in range(256):
        bulk.send(bytes(4096))
    quick.send("first")
    quick.send("second")
    labels = [label for label, _ in await inbox.take(258)]
    assert labels.index("quick") < 20
    assert labels.count("quick") == 2


async def test_the_buffered_amount_is_what_was_not_sent(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    (channel,) = await open_channels(near, far, "counted")
    amounts = []
    channel.send("")
    channel.send(b"")
    assert channel.bufferedAmount == 0
    channel.send("ä")
    channel.send(bytes(100_000))
    assert channel.bufferedAmount == 100_002
    sctp = sctp_of(near)
    send = sctp._send_chunk

    async def note(chunk: object) -> None:
        waiting = sum(c._book_size for c in sctp._outbound_queue)
        waiting += sum(len(content) for _, _, content in sctp._data_channel_queue)
        amounts.append((channel.bufferedAmount, waiting))
        await send(chunk)

    sctp._send_chunk = note
    low = asyncio.Event()
    channel.on("bufferedamountlow", low.set)
    async with asyncio.timeout(DEADLINE):
        await low.wait()
    assert channel.bufferedAmount == 0
    assert len(await inbox.take(4)) == 4
    # What waits is divided into chunks, of which some were sent.
    assert all(told == waiting for told, waiting in amounts)
    assert any(0 < told < 100_000 for told, _ in amounts)


async def test_a_listener_that_sends_more_when_little_waits_goes_on(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    (channel,) = await open_channels(near, far, "steady")
    left = 200

    def send() -> None:
        nonlocal left
        if left:
            left -= 1
            channel.send(bytes(2000))

    channel.on("bufferedamountlow", send)
    send()
    assert len(await inbox.take(200)) == 200


def kinds(packets: list[bytes]) -> list[int]:
    """Return the type of the first chunk of each packet."""
    return [packet[12] for packet in packets]


async def test_every_second_packet_is_acknowledged(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    (channel,) = await open_channels(near, far, "bulk")
    sent, answers = note_packets(near), note_packets(far)
    for _ in range(20):
        channel.send(bytes(100_000))
    await inbox.take(20)
    # After each gap, which a full buffer of a socket leaves, each packet is, for a while.
    assert kinds(answers).count(SACK) < 0.9 * len(sent)


async def test_a_single_packet_is_acknowledged_soon(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    (channel,) = await open_channels(near, far, "single")
    sctp = sctp_of(near)
    for number in range(3):
        channel.send(str(number))
        assert await inbox.take(1) == [("single", str(number))]
        async with asyncio.timeout(sctp._rto / 2):
            while sctp._sent_queue:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.001)


async def test_no_timer_is_left_when_the_connection_is_closed(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    (channel,) = await open_channels(near, far, "last")
    channel.send("last")
    await inbox.take(1)
    ends = [sctp_of(pc)._core for pc in (near, far)]
    await near.close()
    await far.close()
    assert [end.acknowledging for end in ends] == [None, None]


def reset_streams(packets: list[bytes]) -> list[int]:
    """Return the streams whose reset is requested. (RFC 6525 section 4.1)."""
    streams: list[int] = []
    for packet in packets:
        if packet[12] == RECONFIG and packet[16:18] == b"\0\x0d":
            (size,) = struct.unpack_from("!H", packet, 18)
            streams += struct.unpack_from(f"!{(size - 16) // 2}H", packet, 32)
    return streams


async def test_a_stream_is_reset_once_its_messages_are_acknowledged(make_pc: Factory) -> None:
    """Some stacks drop what is under way by then. Streams without any don't wait for that."""
    near, far = make_pc(), make_pc()
    inbox = Inbox(far)
    busy, idle = await open_channels(near, far, "busy", "idle")
    packets = note_packets(near)
    transport, held = sctp_of(far).transport, asyncio.Queue[bytes]()
    send, transport._send_data = transport._send_data, held.put
    message = "x" * 3000
    busy.send(message)
    busy.close()
    idle.close()
    async with asyncio.timeout(DEADLINE):
        while not reset_streams(packets):  # noqa: ASYNC110  no event says so
            await asyncio.sleep(0.01)
    assert await inbox.take(1) == [("busy", message)]
    assert set(reset_streams(packets)) == {idle.id}
    closed = asyncio.Event(), asyncio.Event()
    for channel, event in zip((busy, idle), closed, strict=True):
        channel.on("close", event.set)
    transport._send_data = send
    while not held.empty():
        await send(held.get_nowait())
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(event.wait() for event in closed))
    assert set(reset_streams(packets)) == {busy.id, idle.id}
