"""Ids, events and errors of data channels, as the specification says."""

import asyncio

import aiortc
import pytest
from aiortc.exceptions import OperationError

from conftest import Factory
from connecting import DEADLINE, connect, negotiate, wait_until
from restartice import RTCPeerConnection, RTCSessionDescription

LAST = 65534


class Events:
    """The events of a channel, in order, with the state in which each comes."""

    def __init__(self, channel: aiortc.RTCDataChannel) -> None:
        self.seen: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        for name in ("open", "closing", "close"):
            channel.on(name, lambda name=name: self.seen.append((name, channel.readyState)))
        channel.on("error", self._fail)

    def _fail(self, error: Exception) -> None:
        self.errors.append(error)
        self.seen.append(("error", ""))


async def closed(channel: aiortc.RTCDataChannel) -> None:
    await wait_until(channel, "close", lambda: channel.readyState == "closed")


async def connected(make_pc: Factory) -> tuple[RTCPeerConnection, RTCPeerConnection]:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    return near, far


async def test_ids_are_given_when_the_dtls_role_is_negotiated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channels = [near.createDataChannel("a"), far.createDataChannel("b")]
    assert [channel.id for channel in channels] == [None, None]

    await negotiate(near, far)

    # The answerer is the DTLS client, which has the even ones.
    assert [channel.id for channel in channels] == [1, 0]
    assert [pc.createDataChannel("").id for pc in (near, far)] == [3, 2]


@pytest.mark.parametrize("remote", [False, True], ids=["ours", "theirs"])
async def test_a_first_offer_that_is_taken_back_gives_no_ids(
    make_pc: Factory, remote: bool
) -> None:
    near, far = make_pc(), make_pc()
    channels = [near.createDataChannel("a"), far.createDataChannel("b")]
    await near.setLocalDescription()
    offer = near.localDescription
    if remote:
        # That the offerer is the DTLS client, which the rollback takes back, too.
        sdp = offer.sdp.replace("a=setup:actpass", "a=setup:active")
        await far.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await far.setRemoteDescription(RTCSessionDescription("", "rollback"))
    await near.setLocalDescription(RTCSessionDescription("", "rollback"))
    assert [channel.id for channel in channels] == [None, None]
    assert [pc.createDataChannel("").id for pc in (near, far)] == [None, None]

    await connect(far, near)

    # The answerer is the DTLS client, which has the even ones.
    assert [channel.id for channel in channels] == [0, 1]


async def test_an_id_is_ignored_unless_both_programs_create_the_channel(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    channel = near.createDataChannel("numbered", id=42)
    assert channel.id is None
    await connect(near, far)
    assert channel.id == 1


async def test_an_id_in_use_is_an_error(make_pc: Factory) -> None:
    near, _ = await connected(make_pc)
    near.createDataChannel("first", negotiated=True, id=42)
    used = near.createDataChannel("second").id

    for number in (42, used):
        with pytest.raises(OperationError, match=f"ID {number} already") as caught:
            near.createDataChannel("third", negotiated=True, id=number)
        assert isinstance(caught.value, ValueError)  # as in aiortc


async def test_there_may_be_no_id_left(make_pc: Factory) -> None:
    near, far = await connected(make_pc)
    last, _ = [pc.createDataChannel("", negotiated=True, id=LAST - 1) for pc in (near, far)]
    sctp = near.sctp
    assert isinstance(sctp, aiortc.RTCSctpTransport)
    sctp._data_channel_id = LAST - 1

    with pytest.raises(OperationError, match="all ids"):
        near.createDataChannel("one more")

    last.close()
    await closed(last)
    assert near.createDataChannel("one more").id == LAST - 1


@pytest.mark.parametrize("name", ["label", "protocol"])
def test_long_names_are_refused_of_negotiated_channels_too(name: str) -> None:
    async def create() -> None:
        names = {"label": "", name: "µ" * 32768}
        pc = RTCPeerConnection()
        with pytest.raises(TypeError, match="65535 bytes"):
            pc.createDataChannel(negotiated=True, id=1, **names)  # type: ignore[arg-type]
        assert pc.sctp is None
        await pc.close()

    asyncio.run(create())


async def test_a_negotiated_channel_emits_open_when_its_maker_listens(make_pc: Factory) -> None:
    near, _ = await connected(make_pc)
    channel = near.createDataChannel("late", negotiated=True, id=42)
    events = Events(channel)
    assert channel.readyState == "open"  # as in aiortc

    await wait_until(channel, "open", lambda: bool(events.seen))

    assert events.seen == [("open", "open")]


async def test_closing_is_emitted_where_the_other_side_closes(make_pc: Factory) -> None:
    near, far = await connected(make_pc)
    announced: asyncio.Queue[aiortc.RTCDataChannel] = asyncio.Queue()
    far.on("datachannel", announced.put_nowait)
    channel = near.createDataChannel("short")
    async with asyncio.timeout(DEADLINE):
        other = await announced.get()
    ours, theirs = Events(channel), Events(other)

    channel.close()
    await closed(channel)
    await closed(other)

    assert [event for event in ours.seen if event[0] != "open"] == [("close", "closed")]
    assert theirs.seen[-2:] == [("closing", "closing"), ("close", "closed")]


async def test_the_end_of_the_other_connection_is_an_error_of_its_channels(
    make_pc: Factory,
) -> None:
    near, far = await connected(make_pc)
    channels = [pc.createDataChannel("", negotiated=True, id=42) for pc in (near, far)]
    ours, theirs = map(Events, channels)

    await near.close()
    await closed(channels[1])

    assert theirs.seen[-2:] == [("error", ""), ("close", "closed")]
    (error,) = theirs.errors
    assert vars(error) == {"errorDetail": "sctp-failure", "sctpCauseCode": None}
    assert not ours.errors
