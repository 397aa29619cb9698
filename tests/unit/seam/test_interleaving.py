"""Messages that are interleaved: all come whole, small ones soon, and what is given up is told."""

import asyncio
from typing import Any

import aiortc
import pytest
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    serialize_packet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from restartice.seam.interleaved_chunks import MOST_DATA, IDataChunk, IForwardTsnChunk
from restartice.seam.interleaved_messages import InterleavedMessages
from restartice.seam.outbound import Bundle
from restartice.transports.sctp import RTCSctpTransport
from simulating import Path, connect, simulate

LARGE = 60_000
DATA, FORWARD_TSN, I_DATA, I_FORWARD_TSN = 0, 192, 64, 194
SLOW = Path(round_trip=0.05, rate=500_000, queue=1.0)


def open_channel(sctp: Any, label: str, **options: Any) -> aiortc.RTCDataChannel:
    """Return a new data channel."""
    return aiortc.RTCDataChannel(sctp, RTCDataChannelParameters(label=label, **options))


class Inbox:
    """The messages of one end, by the labels of their channels, and when they came."""

    def __init__(self, sctp: Any) -> None:
        self.got: dict[str, list[bytes]] = {}
        self.times: dict[str, list[float]] = {}
        sctp.on("datachannel", self.listen)

    def listen(self, channel: aiortc.RTCDataChannel) -> None:
        """Listen to a channel."""
        self.got[channel.label], self.times[channel.label] = [], []
        channel.on("message", lambda message: self.take(channel.label, message))

    def take(self, label: str, message: bytes) -> None:
        """Note a message."""
        self.got[label].append(message)
        self.times[label].append(asyncio.get_running_loop().time())

    async def until(self, label: str, count: int) -> None:
        """Wait for so many messages of a channel."""
        async with asyncio.timeout(300):
            while len(self.got.get(label, ())) < count:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)


def numbered(number: int, size: int) -> bytes:
    """Return a message with a content of its own."""
    return (b"%08d" % number * (size // 8 + 1))[:size]


async def open_all(near: Any, far: Any, **options: dict[str, Any]) -> tuple[Any, Inbox]:
    """Return channels with these labels, and what comes in at the other end."""
    inbox = Inbox(far)
    channels = {label: open_channel(near, label, **how) for label, how in options.items()}
    async with asyncio.timeout(60):
        while len(inbox.got) < len(channels):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    return channels, inbox


@pytest.mark.parametrize("interleaving", [True, False])
def test_a_small_message_waits_for_no_large_one(
    monkeypatch: pytest.MonkeyPatch, *, interleaving: bool
) -> None:
    monkeypatch.setattr(
        "restartice.seam.interleaving.Interleaving.offers_interleaving", interleaving
    )

    async def run() -> float:
        near, far = await connect(RTCSctpTransport, RTCSctpTransport, SLOW)
        channels, inbox = await open_all(near, far, bulk={}, quick={})
        for number in range(8):
            channels["bulk"].send(numbered(number, LARGE))
        await asyncio.sleep(0.3)
        sent = asyncio.get_running_loop().time()
        channels["quick"].send(b"now")
        await inbox.until("quick", 1)
        await inbox.until("bulk", 8)
        assert inbox.got["bulk"] == [numbered(number, LARGE) for number in range(8)]
        # Both kinds are used, each by itself.
        kinds = set(near.transport.sent)
        assert (I_DATA in kinds, DATA in kinds) == (interleaving, not interleaving)
        for end in (near, far):
            end.transport.close()
        return inbox.times["quick"][0] - sent

    delay = simulate(run())
    # A message of 60 kB takes 0.12 s.
    assert (delay < 0.06) == interleaving


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([1, 8, 1155, 1156, 1157, 5000, LARGE])),
        min_size=1,
        max_size=40,
    ),
    loss=st.sampled_from([0.0, 0.02, 0.2]),
    seed=st.integers(0, 1000),
)
def test_all_messages_come_once_and_in_order(
    sizes: list[tuple[int, int]], loss: float, seed: int
) -> None:
    async def run() -> None:
        near, far = await connect(RTCSctpTransport, RTCSctpTransport, Path(0.02, loss, seed=seed))
        options = {str(n): {"ordered": n % 2 == 0} for n in range(6)}
        channels, inbox = await open_all(near, far, **options)
        expected: dict[str, list[bytes]] = {label: [] for label in options}
        for number, (channel, size) in enumerate(sizes):
            message = numbered(number, size)
            expected[str(channel)].append(message)
            channels[str(channel)].send(message)
        for label, messages in expected.items():
            await inbox.until(label, len(messages))
        for label, messages in expected.items():
            if options[label]["ordered"]:
                assert inbox.got[label] == messages
            else:
                assert sorted(inbox.got[label]) == sorted(messages)
        # Until the last acknowledgement is through, for which chunks may be repeated several times.
        await asyncio.sleep(60)
        assert near._flight_size == near._core.packets == far._core.held == 0
        assert not near._sent_queue
        assert far._advertised_rwnd == 1 << 20
        for end in (near, far):
            end.transport.close()

    simulate(run())


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from([0.1, 0.3]),
    ordered=st.booleans(),
    limit=st.sampled_from([{"maxRetransmits": 0}, {"maxPacketLifeTime": 100}]),
    seed=st.integers(0, 1000),
)
def test_messages_that_are_given_up_hold_nothing_up(
    loss: float, limit: dict[str, int], seed: int, *, ordered: bool
) -> None:
    async def run() -> None:
        path = Path(0.05, loss, rate=1_000_000, seed=seed)
        near, far = await connect(RTCSctpTransport, RTCSctpTransport, path)
        options: dict[str, Any] = {"lossy": {"ordered": ordered, **limit}, "bulk": {}}
        channels, inbox = await open_all(near, far, **options)
        sent = [numbered(number, 5000) for number in range(60)]
        for message in sent:
            channels["lossy"].send(message)
            channels["bulk"].send(message)
        await inbox.until("bulk", len(sent))
        assert inbox.got["bulk"] == sent
        got = inbox.got["lossy"]
        # Each is whole, comes once, and the given up ones are told of.
        assert set(got) <= set(sent)
        assert len(set(got)) == len(got)
        if ordered:
            assert got == sorted(got)
        assert near._core.given_up > 0
        assert near.transport.sent[I_FORWARD_TSN] > 0
        assert near.transport.sent[FORWARD_TSN] == 0
        # The other side keeps nothing of them, and all that is sent is accounted for.
        await asyncio.sleep(30)
        assert near._flight_size == near._core.packets == far._core.held == 0
        assert channels["lossy"].bufferedAmount == 0
        assert not near._sent_queue
        assert not near._outbound_queue
        assert far._advertised_rwnd == 1 << 20
        for end in (near, far):
            end.transport.close()

    simulate(run())


def test_many_channels_may_begin_large_messages() -> None:
    async def run() -> None:
        near, far = await connect(RTCSctpTransport, RTCSctpTransport, Path(0.01))
        options: dict[str, Any] = {str(n): {} for n in range(40)}
        channels, inbox = await open_all(near, far, **options)
        for channel in channels.values():
            channel.send(numbered(1, LARGE))
            channel.send(numbered(2, LARGE))
        for label in options:
            await inbox.until(label, 2)
            assert inbox.got[label] == [numbered(1, LARGE), numbered(2, LARGE)]
        for end in (near, far):
            end.transport.close()

    simulate(run())


def fragment(number: int, index: int, data: bytes = b"data", flags: int = 0) -> IDataChunk:
    """Return a fragment as it comes in."""
    chunk = IDataChunk(flags)
    chunk.stream_id, chunk.stream_seq, chunk.user_data = 1, number, data
    chunk.protocol = index
    return IDataChunk(flags, bytes(chunk)[4 : 20 + len(data)])


@pytest.mark.parametrize(
    "fragments",
    [
        [fragment(0, 1), fragment(0, 1)],
        [fragment(0, 5), fragment(0, 2, flags=SCTP_DATA_LAST_FRAG)],
        [fragment(0, 2, flags=SCTP_DATA_LAST_FRAG), fragment(0, 3)],
        [fragment(0, 2, flags=SCTP_DATA_LAST_FRAG), fragment(0, 4, flags=SCTP_DATA_LAST_FRAG)],
        [fragment(0, 53, flags=SCTP_DATA_FIRST_FRAG), fragment(0, 53, flags=SCTP_DATA_FIRST_FRAG)],
    ],
)
def test_fragments_that_contradict_each_other_are_refused(fragments: list[IDataChunk]) -> None:
    stream = InterleavedMessages()
    for one in fragments[:-1]:
        stream.add(one)
        assert not list(stream.pop_messages())
    with pytest.raises(ValueError, match=r"fragment|ends"):
        stream.add(fragments[-1])


@pytest.mark.parametrize("unordered", [True, False])
def test_numbers_begin_again_after_the_last(*, unordered: bool) -> None:
    stream = InterleavedMessages()
    stream.sequence_number = first = (1 << 32) - 2
    kind = SCTP_DATA_UNORDERED if unordered else 0
    for number in (0, first, first + 1):
        stream.add(fragment(number, 53, flags=kind | SCTP_DATA_FIRST_FRAG))
    stream.skip(first + 1, unordered=unordered)
    stream.add(fragment(0, 1, b"end", kind | SCTP_DATA_LAST_FRAG))
    assert list(stream.pop_messages()) == [(1, 53, b"dataend")]
    assert not stream.ordered
    assert not stream.unordered


def test_chunks_are_those_of_the_rfc() -> None:
    chunk = IDataChunk(SCTP_DATA_FIRST_FRAG)
    chunk.tsn, chunk.stream_id, chunk.stream_seq = 0x01020304, 0x0506, 0x0708090A
    chunk.protocol, chunk.user_data = 51, b"abcde"
    assert bytes(chunk).hex() == "4002001901020304050600000708090a00000033" + (b"abcde\0\0\0".hex())
    told = IForwardTsnChunk()
    told.cumulative_tsn, told.messages = 0x01020304, [(5, True, 6), (7, False, 8)]
    assert bytes(told).hex() == ("c20000180102030400050001000000060007000000000008")
    assert IForwardTsnChunk(0, told.body).messages == told.messages
    assert MOST_DATA % 4 == 0


@pytest.mark.parametrize("kind", ["fragments", "messages", "interleaved", "interleaved messages"])
def test_what_never_becomes_complete_is_bounded(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A peer sends a byte at a time of messages that don't end, or that another one precedes."""
    interleaves = kind.startswith("interleaved")
    monkeypatch.setattr(
        "restartice.seam.interleaving.Interleaving.offers_interleaving", interleaves
    )

    async def run() -> int:
        near, far = await connect(RTCSctpTransport, RTCSctpTransport, Path(0.01))
        assert far._core.interleaves == interleaves
        count = 0
        while far.state == "connected" and count < 1_000_000:
            chunks: list[Any] = []
            for _ in range(50):
                chunk = IDataChunk() if interleaves else DataChunk()
                chunk.tsn = (far._last_received_tsn + 1 + len(chunks)) % (1 << 32)
                chunk.stream_id, chunk.user_data, chunk.protocol = (
                    1,
                    bytes([count % 256]),
                    1 + count,
                )
                chunk.stream_seq = 1 + count % 60_000 if kind.endswith("messages") else 1
                if kind == "messages":
                    chunk.flags = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
                chunks.append(chunk)
                count += 1
            ports = near._local_port, near._remote_port
            tag = near._remote_verification_tag
            await far._handle_data(serialize_packet(*ports, tag, Bundle(chunks)))
        for end in (near, far):
            end.transport.close()
        return count

    # The association was aborted, after more than a message of the largest size has, and less than
    # 24 MiB.
    assert 10_000 < simulate(run()) < 150_000
