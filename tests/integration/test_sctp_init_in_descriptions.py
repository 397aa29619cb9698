"""SCTP needs no handshake where both descriptions tell its INIT. (draft-hancke-tsvwg-snap)."""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from struct import pack

import aiortc
import pytest
from aiortc import rtcsctptransport

from conftest import Factory
from connecting import DEADLINE, Echo, negotiate, without_init
from losing import COOKIE_ACK, COOKIE_ECHO, DATA, INIT, INIT_ACK, Losses

INIT_LINE = re.compile(r"a=sctp-init:(\S+)\r\n")
ALL = 1 << 30
HANDSHAKE = {INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK}
# Another one than ours, of Chromium's.
ANOTHER = "a=sctp-init:AQAAHGVPFd8AEAAA/////9tAK2qACAAIgsBAwg==\r\n"

Description = aiortc.RTCSessionDescription


def told(description: Description) -> list[str]:
    return INIT_LINE.findall(description.sdp)


def unchanged(description: Description) -> Description:
    return description


def with_nonsense(description: Description) -> Description:
    return Description(INIT_LINE.sub("a=sctp-init:x\r\n", description.sdp), description.type)


def of_another_call(description: Description) -> Description:
    return Description(INIT_LINE.sub(ANOTHER, description.sdp), description.type)


def with_long_parameter(description: Description) -> Description:
    (line,) = told(description)
    init = b64decode(line)
    # A parameter that would end behind the chunk.
    chunk = init[:2] + pack("!H", 24) + init[4:20] + pack("!HH", 0x8000, 8)
    sdp = description.sdp.replace(line, b64encode(chunk).decode())
    return Description(sdp, description.type)


async def call(
    near: aiortc.RTCPeerConnection,
    far: aiortc.RTCPeerConnection,
    offered: Callable[[Description], Description] = unchanged,
    answered: Callable[[Description], Description] = unchanged,
) -> tuple[Losses, Losses]:
    """Connect two peers, whose descriptions change under way; return what either side sends."""
    echo = Echo(near, far)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(offered(near.localDescription))
    sent = Losses(near, {}), Losses(far, {})
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(answered(far.localDescription))
    await echo.check()
    return sent


async def test_there_is_no_handshake(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    for sent in await call(near, far):
        assert DATA in sent.sent
        assert not HANDSHAKE & set(sent.sent)


async def test_what_is_told_stays_the_same(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await call(near, far)
    before = [told(pc.localDescription) for pc in (near, far)]
    assert [len(lines) for lines in before] == [1, 1]
    assert before[0] != before[1]
    near.addTransceiver("audio")
    echo = Echo(near, far)
    await negotiate(near, far)
    assert [told(pc.localDescription) for pc in (near, far)] == before
    await negotiate(far, near)
    assert [told(pc.localDescription) for pc in (near, far)] == before
    await echo.check()


@pytest.mark.parametrize(
    "changes",
    [
        (without_init, unchanged),
        (unchanged, without_init),
        (with_nonsense, unchanged),
        (with_long_parameter, unchanged),
        (unchanged, with_long_parameter),
    ],
    ids=[
        "not offered",
        "lost from the answer",
        "nonsense offered",
        "too long a parameter offered",
        "too long a parameter answered",
    ],
)
async def test_otherwise_there_is_one(
    make_pc: Factory, changes: tuple[Callable[[Description], Description], ...]
) -> None:
    near, far = make_pc(), make_pc()
    sent = await call(near, far, *changes)
    assert any(HANDSHAKE & set(side.sent) for side in sent)
    # Whoever lacks the other side's doesn't tell its own afterwards.
    assert told(await near.createOffer()) == []


@pytest.mark.parametrize(
    "changes",
    [(of_another_call, unchanged), (unchanged, of_another_call), (of_another_call,) * 2],
    ids=["offered", "answered", "both"],
)
@pytest.mark.parametrize("silent", [0, 1])
async def test_that_of_another_call_is_replaced_by_a_handshake(
    make_pc: Factory, changes: tuple[Callable[[Description], Description], ...], silent: int
) -> None:
    near, far = make_pc(), make_pc()
    pair = near, far
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(changes[0](near.localDescription))
    sent = Losses(near, {}), Losses(far, {})
    # Either side finds out by itself that nothing arrives.
    Losses(pair[silent], {INIT: ALL})
    await far.setLocalDescription()
    await near.setRemoteDescription(changes[1](far.localDescription))
    await echo.check()
    assert INIT in sent[1 - silent].sent
    assert [pc.sctp and pc.sctp.state for pc in pair] == ["connected"] * 2
    await echo.check("again")


async def test_without_an_answer_to_that_the_channels_fail(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtcsctptransport, "SCTP_MAX_INIT_RETRANS", 0)
    near, far = make_pc(), make_pc()
    channel = near.createDataChannel("chat")
    events: asyncio.Queue[str] = asyncio.Queue()
    channel.on("error", lambda _: events.put_nowait("error"))
    channel.on("close", lambda: events.put_nowait("close"))
    await near.setLocalDescription()
    await far.setRemoteDescription(of_another_call(near.localDescription))
    for pc in (near, far):
        Losses(pc, {INIT: ALL})
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(DEADLINE):
        assert [await events.get() for _ in range(2)] == ["error", "close"]
    assert near.sctp is not None
    assert (near.sctp.state, channel.readyState) == ("closed", "closed")
    assert near.connectionState == "connected"


@pytest.mark.parametrize("ours_offers", [True, False])
async def test_plain_aiortc_does_without(make_pc: Factory, *, ours_offers: bool) -> None:
    ours, theirs = make_pc(), aiortc.RTCPeerConnection()
    near, far = (ours, theirs) if ours_offers else (theirs, ours)
    try:
        sent = await call(near, far)
        assert all(INIT in side.sent for side in sent)
    finally:
        await theirs.close()


async def test_an_answer_that_repeats_our_own_tells_none(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()

    def repeat(answer: Description) -> Description:
        # As libdatachannel does with all that it doesn't know.
        line = f"a=sctp-init:{told(near.localDescription)[0]}\r\n"
        assert told(answer) == []
        return Description(answer.sdp + line, "answer")

    sent = await call(near, far, without_init, repeat)
    assert all(INIT in side.sent for side in sent)


async def test_a_later_offer_does_not_change_it(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    await call(near, far)
    await near.setLocalDescription()
    offer = near.localDescription
    await far.setRemoteDescription(of_another_call(offer))
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await Echo(near, far).check()


@pytest.mark.parametrize("side", [0, 1])
async def test_the_first_data_that_gets_lost_is_repeated_soon(make_pc: Factory, side: int) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    Losses((near, far)[side], {DATA: 1})
    await far.setLocalDescription()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
    assert loop.time() - began < DEADLINE


async def test_a_rolled_back_offer_tells_the_same_again(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("chat")
    await near.setLocalDescription()
    before = told(near.localDescription)
    await near.setLocalDescription(Description("", "rollback"))
    for sent in await call(near, far):
        assert not HANDSHAKE & set(sent.sent)
    assert told(near.localDescription) == before
