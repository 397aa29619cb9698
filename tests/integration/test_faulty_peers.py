"""What a peer gets wrong in SCTP, DCEP, RTP or RTCP ends no more than that.

The faults here are harmless in themselves: where a harmful packet would be needed, what handles it
raises its error. `RESTARTICE_EXAMPLES` is how many packets are changed at random.
"""

import asyncio
import os
import random
from struct import pack
from typing import Any

import aiortc
import pytest
from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import (
    HeartbeatChunk,
    InitChunk,
    serialize_packet,
)

from conftest import Factory
from connecting import DEADLINE, Echo, connect, negotiate, without_init
from losing import COOKIE_ECHO, I_DATA, I_FORWARD_TSN, INIT, Losses
from restartice import AudioStreamTrack, RTCError, RTCPeerConnection
from restartice.transports.sctp import MOST_CHANNELS
from restartice.transports.sctp_chunks import Cause

UNKNOWN_PROTOCOL, TEXT, CONTROL = 60, 51, 50
MANY = 500
SMALL_MESSAGES = 3000
CHANGES = int(os.environ.get("RESTARTICE_EXAMPLES", "200"))
PACKET = 1189


def sctp_of(pc: aiortc.RTCPeerConnection) -> Any:
    """Return the SCTP transport, whose private methods tests use."""
    assert pc.sctp is not None
    return pc.sctp


def errors_of(channel: aiortc.RTCDataChannel) -> asyncio.Queue[Exception]:
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    channel.on("error", errors.put_nowait)
    return errors


async def next_error(errors: asyncio.Queue[Exception]) -> RTCError:
    async with asyncio.timeout(DEADLINE):
        error = await errors.get()
    assert isinstance(error, RTCError)
    return error


async def wait_closed(channel: aiortc.RTCDataChannel) -> None:
    closed = asyncio.Event()
    channel.on("close", closed.set)
    if channel.readyState != "closed":
        async with asyncio.timeout(DEADLINE):
            await closed.wait()


async def hear(pc: aiortc.RTCPeerConnection, frames: int = 5) -> None:
    """Return when some sound has come in."""
    async with asyncio.timeout(DEADLINE):
        for _ in range(frames):
            await pc.getReceivers()[0].track.recv()


async def call(
    near: aiortc.RTCPeerConnection, far: aiortc.RTCPeerConnection
) -> tuple[Echo, list[aiortc.RTCDataChannel]]:
    """Connect by sound each way and a data channel, of which both ends are returned."""
    theirs: list[aiortc.RTCDataChannel] = []
    far.on("datachannel", theirs.append)
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    return echo, [echo.channel, *theirs]


@pytest.mark.parametrize("plain", [False, True])
async def test_a_packet_that_cannot_be_handled_ends_sctp_only(
    make_pc: Factory, *, plain: bool
) -> None:
    near, far = make_pc(), aiortc.RTCPeerConnection() if plain else make_pc()
    try:
        _, channels = await call(near, far)
        errors = [errors_of(channel) for channel in channels]
        handle = sctp_of(near)._core.receive_chunk

        async def fail(chunk: object) -> None:
            if isinstance(chunk, HeartbeatChunk):
                raise KeyError("what nobody has thought of")
            await handle(chunk)

        sctp_of(near)._core.receive_chunk = fail
        await sctp_of(far)._send_chunk(HeartbeatChunk())
        for told in errors[: 1 if plain else 2]:
            error = await next_error(told)
            assert (error.errorDetail, error.sctpCauseCode) == ("sctp-failure", 13)
        for channel in channels:
            await wait_closed(channel)
        for pc in (near, far):
            assert sctp_of(pc).transport.state == "connected"
            assert pc.connectionState == "connected"
            await hear(pc)
    finally:
        await far.close()


@pytest.mark.parametrize("kind", ["text", "protocol"])
async def test_a_faulty_message_ends_its_channel_only(make_pc: Factory, kind: str) -> None:
    near, far = make_pc(), make_pc()
    echo, channels = await call(near, far)
    errors = [errors_of(channel) for channel in channels]
    other = Echo(near, far)
    await other.check()
    if kind == "text":
        deliver = sctp_of(far)._core.deliver

        async def fail(stream: int, protocol: int, message: bytes) -> None:
            if message == b"not UTF-8":
                raise UnicodeDecodeError("utf-8", message, 0, 1, "invalid start byte")
            await deliver(stream, protocol, message)

        sctp_of(far)._core.deliver = fail
        echo.channel.send("not UTF-8")
    else:
        await sctp_of(near)._send(echo.channel.id, UNKNOWN_PROTOCOL, b"what?")
    error = await next_error(errors[1])
    assert (error.errorDetail, error.sctpCauseCode) == ("data-channel-failure", None)
    for channel in channels:
        await wait_closed(channel)
    await other.check()


async def test_messages_on_streams_without_channel_are_ignored(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    for protocol in (TEXT, UNKNOWN_PROTOCOL):
        await sctp_of(near)._send(99, protocol, b"hello?")
    for message in (bytes([2]), bytes([77]), b""):  # an acknowledgement of nothing, and less
        await sctp_of(near)._send(99, CONTROL, message)
    await echo.check()


async def test_a_stream_that_was_not_negotiated_is_refused(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    assert far.sctp is not None
    told: list[int] = []
    send_error = sctp_of(far)._core.send_error

    async def note(cause: int, value: bytes) -> None:
        told.append(cause)
        await send_error(cause, value)

    sctp_of(far)._core.send_error = note
    await sctp_of(near)._send(65535, TEXT, b"hello?")
    await echo.check()
    assert told == [Cause.INVALID_STREAM]


async def test_a_channel_that_is_opened_wrongly_is_refused(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    made: list[aiortc.RTCDataChannel] = []
    far.on("datachannel", made.append)
    reset = asyncio.Event()
    receive = sctp_of(near)._receive_reconfig_param

    async def note(parameter: object) -> None:
        await receive(parameter)
        reset.set()

    sctp_of(near)._receive_reconfig_param = note
    wrong = pack("!BBHLHH", 3, 0, 0, 0, 9, 0) + b"chat"
    await sctp_of(near)._send(98, CONTROL, wrong)
    async with asyncio.timeout(DEADLINE):
        await reset.wait()
    await echo.check()
    assert made == []


@pytest.mark.parametrize("ours", [(True, True), (True, False), (False, True)])
async def test_names_of_channels_need_not_be_ascii(
    make_pc: Factory, ours: tuple[bool, bool]
) -> None:
    near, far = (make_pc() if is_ours else aiortc.RTCPeerConnection() for is_ours in ours)
    try:
        made: asyncio.Queue[aiortc.RTCDataChannel] = asyncio.Queue()
        far.on("datachannel", made.put_nowait)
        near.createDataChannel("über", protocol="naïv")
        await negotiate(near, far)
        async with asyncio.timeout(DEADLINE):
            channel = await made.get()
        assert (channel.label, channel.protocol) == ("über", "naïv")
    finally:
        await asyncio.gather(near.close(), far.close())


async def test_a_name_that_is_too_long_leaves_no_trace(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    for _ in range(2):
        with pytest.raises(TypeError, match="65535"):
            near.createDataChannel("x" * 65536)
    await connect(near, far)


async def test_an_old_cookie_is_replaced(make_pc: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(without_init(near.localDescription))
    # Only one side sets up, so that its cookie counts.
    losses = Losses(near, {}), Losses(far, {INIT: MANY})
    monkeypatch.setattr(rtcsctptransport, "COOKIE_LIFETIME", -1)
    refused = asyncio.Event()
    again = sctp_of(near)._core.set_up_again

    def note() -> None:
        monkeypatch.undo()
        refused.set()
        again()

    sctp_of(near)._core.set_up_again = note
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(DEADLINE):
        await refused.wait()
    await echo.check()
    assert losses[0].sent.count(COOKIE_ECHO) >= 2


async def test_acknowledgements_fit_a_packet(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    sctp, sizes = sctp_of(near), []
    send = sctp.transport._send_data

    async def note(packet: bytes) -> None:
        sizes.append(len(packet))
        await send(packet)

    sctp.transport._send_data = note
    missing = sctp._sack_misordered
    sctp._sack_misordered = {(sctp._last_received_tsn + 2 * n) % 2**32 for n in range(1, 3000)}
    sctp._sack_duplicates = list(range(3000))
    await sctp._send_sack()
    sctp._sack_misordered = missing
    assert sizes == [PACKET // 4 * 4]
    await echo.check()


async def test_hundreds_of_channels_are_opened_and_closed(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    made: list[aiortc.RTCDataChannel] = []
    done = asyncio.Event()

    @far.on("datachannel")
    def take(channel: aiortc.RTCDataChannel) -> None:
        made.append(channel)
        if len(made) == MANY:
            done.set()

    channels = [near.createDataChannel(str(n)) for n in range(MANY)]
    async with asyncio.timeout(DEADLINE):
        await done.wait()
    assert [channel.label for channel in made] == [channel.label for channel in channels]
    for channel in made:
        channel.close()
    for channel in channels:
        await wait_closed(channel)
    await echo.check()


async def test_channels_of_the_other_side_are_limited(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)  # with one channel
    made: list[aiortc.RTCDataChannel] = []
    far.on("datachannel", made.append)
    channels = [near.createDataChannel(str(n)) for n in range(MOST_CHANNELS + 9)]
    for channel in channels[MOST_CHANNELS - 1 :]:
        await wait_closed(channel)
    assert [channel.label for channel in made] == [str(n) for n in range(MOST_CHANNELS - 1)]
    assert caplog.text.count(f"the other side has {MOST_CHANNELS} already") == 1
    # Its own are no reason to refuse the other side's, and one that is closed makes room.
    back = far.createDataChannel("back")
    await wait_open(back)
    channels[0].close()
    await wait_closed(channels[0])
    await wait_closed(made[0])
    await wait_open(near.createDataChannel("another"))
    await echo.check()


async def wait_open(channel: aiortc.RTCDataChannel) -> None:
    opened = asyncio.Event()
    channel.on("open", opened.set)
    if channel.readyState != "open":
        async with asyncio.timeout(DEADLINE):
            await opened.wait()


async def test_a_channel_that_is_opened_once_more_is_closed(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo, channels = await call(near, far)
    errors = errors_of(channels[1])
    other = Echo(near, far)
    await other.check()
    opening = pack("!BBHLHH", 3, 0, 0, 0, 4, 0) + b"echo"
    await sctp_of(near)._send(echo.channel.id, CONTROL, opening)
    assert (await next_error(errors)).errorDetail == "data-channel-failure"
    for channel in channels:
        await wait_closed(channel)
    await other.check()


@pytest.mark.parametrize("stream", [400, 401])
async def test_a_peer_may_open_odd_and_even_streams(make_pc: Factory, stream: int) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    made: asyncio.Queue[aiortc.RTCDataChannel] = asyncio.Queue()
    far.on("datachannel", made.put_nowait)
    opening = pack("!BBHLHH", 3, 0, 0, 0, 4, 0) + b"chat"
    await sctp_of(near)._send(stream, CONTROL, opening)
    async with asyncio.timeout(DEADLINE):
        channel = await made.get()
    assert (channel.id, channel.label, channel.readyState) == (stream, "chat", "open")
    await echo.check()


async def test_a_late_init_changes_nothing(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    late = InitChunk()
    late.initiate_tag, late.advertised_rwnd, late.initial_tsn = 1234, 2000, 5678
    late.outbound_streams = late.inbound_streams = 1
    packet = serialize_packet(5000, 5000, 0, late)
    looked = asyncio.Event()
    handle = sctp_of(far)._handle_data

    async def note(data: bytes) -> None:
        await handle(data)
        if data == packet:
            looked.set()

    sctp_of(far)._handle_data = note
    await sctp_of(near).transport._send_data(packet)
    async with asyncio.timeout(DEADLINE):
        await looked.wait()
    await echo.check()
    await wait_open(far.createDataChannel("back"))


async def test_messages_given_up_on_hundreds_of_channels_are_told_in_packets_that_fit(
    make_pc: Factory,
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    got: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    @far.on("datachannel")
    def take(channel: aiortc.RTCDataChannel) -> None:
        channel.on("message", lambda text: got.put_nowait((channel.label, text)))

    labels = [str(n) for n in range(MANY)]
    channels = [near.createDataChannel(label, maxRetransmits=0) for label in labels]
    for channel in channels:
        await wait_open(channel)
    sctp, told, losing = sctp_of(near), [], True
    send = sctp.transport._send_data

    async def lose(packet: bytes) -> None:
        if packet[12] == I_FORWARD_TSN:
            told.append(packet)
        if not (losing and packet[12] in {I_DATA, I_FORWARD_TSN}):
            await send(packet)

    sctp.transport._send_data = lose
    for channel in channels:
        channel.send("lost")
    async with asyncio.timeout(DEADLINE):
        while len(sctp._forward_tsn_streams) < MANY:
            await asyncio.sleep(0.01)
            sctp._t3_expired()
            await sctp._data_channel_flush()
    losing = False
    sctp._t3_expired()
    async with asyncio.timeout(DEADLINE):
        while sctp._forward_tsn_streams:
            await asyncio.sleep(0.01)
            await sctp._data_channel_flush()
    for channel in channels:
        channel.send("after")
    async with asyncio.timeout(DEADLINE):
        assert sorted([await got.get() for _ in labels]) == sorted((n, "after") for n in labels)
    assert PACKET - 12 < max(map(len, told)) <= PACKET
    await echo.check()


async def test_thousands_of_small_messages_do_not_overflow_a_socket(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    got: asyncio.Queue[object] = asyncio.Queue()
    far_channel: asyncio.Queue[aiortc.RTCDataChannel] = asyncio.Queue()
    far.on("datachannel", far_channel.put_nowait)
    channel = near.createDataChannel("many")
    async with asyncio.timeout(DEADLINE):
        (await far_channel.get()).on("message", got.put_nowait)
    await wait_open(channel)
    most = 0
    sctp = sctp_of(near)
    send, held = sctp.transport._send_data, []

    async def hold(packet: bytes) -> None:
        # The other side takes none for now.
        held.append(packet)

    sctp.transport._send_data = hold
    for number in range(SMALL_MESSAGES):
        channel.send(str(number))
        # Each in a turn, and a packet, of its own.
        await asyncio.sleep(0)
        most = max(most, sum(sent.leads for sent in sctp._sent_queue if sent._in_flight))
    sctp.transport._send_data = send
    for packet in held:
        await send(packet)
    for number in range(SMALL_MESSAGES):
        # Each, as a host that holds this process up for seconds makes SCTP repeat all in flight.
        async with asyncio.timeout(DEADLINE):
            assert await got.get() == str(number)
    # More than that, of the smallest of packets, don't fit the buffer of a socket on Linux.
    assert 100 < most <= 212992 // 768
    await echo.check()


async def test_media_that_cannot_be_handled_is_dropped(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    await call(near, far)
    receiver: Any = near.getReceivers()[0]
    failed = asyncio.Event()
    count = 0

    async def fail(packet: Any, arrival_time_ms: int) -> None:
        nonlocal count
        count += 1
        if count < 4:
            raise KeyError("what nobody has thought of")
        failed.set()
        await type(receiver)._handle_rtp_packet(receiver, packet, arrival_time_ms)

    receiver._handle_rtp_packet = fail
    async with asyncio.timeout(DEADLINE):
        await failed.wait()
    await hear(near)
    assert near.connectionState == "connected"
    assert caplog.text.count("dropped a packet that couldn't be handled") == 1


async def test_no_change_to_packets_ends_a_call(make_pc: Factory) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    changes = 0
    while changes < CHANGES:
        near, far = make_pc(), make_pc()
        await call(near, far)
        changes += await scramble(near, far, chance)
        await hear(near, 1)
        for pc in (near, far):
            assert (pc.connectionState, sctp_of(pc).transport.state) == ("connected", "connected")
        await asyncio.gather(near.close(), far.close())


async def scramble(near: RTCPeerConnection, far: RTCPeerConnection, chance: random.Random) -> int:
    """Change a byte or two of what comes in in SCTP, until it has ended; return how often."""
    receiver = sctp_of(near)
    receive = receiver._handle_data
    changes = 0

    async def change(packet: bytes) -> None:
        nonlocal changes
        changes += 1
        changed = bytearray(packet[12:])
        for _ in range(chance.randint(1, 2)):
            changed[chance.randrange(min(len(changed), 40))] = chance.choice([0, 1, 3, 128, 255])
        await receive(sealed(bytes(changed), receiver._core.local_tag))

    receiver._handle_data = change
    async with asyncio.timeout(DEADLINE):
        while receiver.state == "connected" and changes < 500:
            for channel in sctp_of(far)._core.channels:
                if channel.readyState == "open":
                    channel.send("x" * chance.randint(1, 3000))
            if sctp_of(far).state == "connected" and len(sctp_of(far)._core.channels) < 10:
                far.createDataChannel("more")
            # What is held up by a change is sent again, but no sooner than after a second.
            sctp_of(far)._t3_expired()
            await sctp_of(far)._send_chunk(HeartbeatChunk())
            await asyncio.sleep(0.001)
    return changes


def sealed(chunks: bytes, tag: int) -> bytes:
    """Return a packet with the right checksum."""

    class Chunks:
        def __bytes__(self) -> bytes:
            return chunks

    return serialize_packet(5000, 5000, tag, Chunks())  # type: ignore[arg-type]
