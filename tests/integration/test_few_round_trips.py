"""Setting a call up takes few round trips: nothing waits for what it doesn't need."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aioice.ice
import aiortc
import pytest
from aioice import stun

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    connect,
    negotiate,
    transports,
    wait_for_state,
    wait_sending_on_new_pair,
    without_init,
)
from losing import COOKIE_ACK, COOKIE_ECHO, DATA, I_DATA, SCTP_HEADER, Losses
from restartice import RTCPeerConnection
from restartice.ice.connection import IceConnection
from restartice.seam import CandidatePair
from restartice.transports.handshake import is_handshake

# A packet, with the largest headers that DTLS puts in front of it, has to go through any network.
LONGEST_PACKET = 1189


class Withheld:
    """Lets a connection, which has its sockets already, send no nomination.

    Attributes:
        nominations: How many it hasn't sent.
    """

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.nominations = 0
        self.holding = True
        for transport in transports(pc):
            for protocol in transport._core.connection.protocols:
                protocol.send_stun = self._withhold(protocol.send_stun)

    def _withhold(self, send: Any) -> Any:
        def maybe_send(message: stun.Message, address: tuple[str, int]) -> None:
            if self.holding and "USE-CANDIDATE" in message.attributes:
                self.nominations += 1
            else:
                send(message, address)

        return maybe_send


async def test_data_flows_before_a_pair_is_nominated(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    withheld = Withheld(near)
    await negotiate(near, far)
    await echo.check()
    assert withheld.nominations > 0
    assert [pc.iceConnectionState for pc in (near, far)] == ["checking", "checking"]
    assert [pc.connectionState for pc in (near, far)] == ["connecting", "connecting"]
    withheld.holding = False
    for pc in (near, far):
        await wait_for_state(pc, "connectionState", "connected")
    await echo.check()


async def test_data_goes_on_if_the_first_pair_fails_before_one_is_nominated(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: list(addresses))
    near, far = make_pc(), make_pc()
    received: asyncio.Queue[object] = asyncio.Queue()
    far.on("datachannel", lambda theirs: theirs.on("message", received.put_nowait))
    echo = Echo(near, far)
    await near.setLocalDescription()
    withheld = Withheld(near)
    await negotiate(near, far)
    await echo.check("before")
    core = transports(near)[0]._core
    first = core.valid_pair
    assert first is not None
    works = CandidatePair.State.SUCCEEDED
    async with asyncio.timeout(DEADLINE):
        while not any(  # noqa: ASYNC110
            pair.state is works and pair.protocol is not first.protocol
            for pair in core.connection.check_list
        ):
            await asyncio.sleep(0.02)
    first.protocol.transport.abort()
    echo.channel.send("after")
    async with asyncio.timeout(DEADLINE):
        assert [await received.get() for _ in range(2)] == ["before", "after"]
    assert withheld.nominations > 0
    assert core.selected_pair is None
    second = core.valid_pair
    assert second is not None
    assert second.protocol is not first.protocol


async def test_the_handshake_begins_before_the_offerer_has_the_answer(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    early = transports(near)[0]._core.gatherer.datagrams
    async with asyncio.timeout(DEADLINE):
        hello = await early.get()
    assert is_handshake(hello)
    assert transports(near)[0].state == "new"
    early.put_back(hello)
    await near.setRemoteDescription(far.localDescription)
    await echo.check()


class Sent(Losses):
    """The packets of SCTP that a connection sends, of which none gets lost."""

    def __init__(self, pc: aiortc.RTCPeerConnection) -> None:
        super().__init__(pc, {})
        self.packets: list[bytes] = []

    async def _lose(self, packet: bytes) -> None:
        self.packets.append(packet)
        await super()._lose(packet)


def chunks_in(packet: bytes) -> Iterator[int]:
    """Yield the types of the chunks in a packet."""
    place = SCTP_HEADER
    while place < len(packet):
        yield packet[place]
        size = int.from_bytes(packet[place + 2 : place + 4], "big")
        place += size + -size % 4


@pytest.mark.parametrize("channels", [1, 100])
@pytest.mark.parametrize("plain", [False, True])
async def test_the_cookie_brings_the_channels_with_it(
    make_pc: Factory, channels: int, *, plain: bool
) -> None:
    near, far = make_pc(), aiortc.RTCPeerConnection() if plain else make_pc()
    opened: asyncio.Queue[str] = asyncio.Queue()
    far.on("datachannel", lambda channel: opened.put_nowait(channel.label))
    labels = [f"channel {number}" for number in range(channels)]
    made = [near.createDataChannel(label) for label in labels]
    try:
        await near.setLocalDescription()
        sent = Sent(near)
        await far.setRemoteDescription(without_init(near.localDescription))
        await far.setLocalDescription(await far.createAnswer())
        await near.setRemoteDescription(far.localDescription)
        async with asyncio.timeout(DEADLINE):
            assert [await opened.get() for _ in labels] == labels
        assert {channel.readyState for channel in made} == {"open"}
    finally:
        await far.close()
    found = [list(chunks_in(packet)) for packet in sent.packets]
    cookie = next(kinds for kinds in found if COOKIE_ECHO in kinds)
    assert cookie[0] == COOKIE_ECHO
    assert set(cookie[1:]) == {DATA if plain else I_DATA}
    assert max(map(len, sent.packets)) <= LONGEST_PACKET


async def test_a_message_after_open_comes_first(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    received: asyncio.Queue[object] = asyncio.Queue()
    far.on("datachannel", lambda theirs: theirs.on("message", received.put_nowait))
    channel = near.createDataChannel("prompt")
    channel.on("open", lambda: channel.send("at once"))
    await near.setLocalDescription()
    Losses(near, {COOKIE_ECHO: 1})
    await far.setRemoteDescription(without_init(near.localDescription))
    await far.setLocalDescription()
    Losses(far, {COOKIE_ACK: 1})
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(DEADLINE):
        assert await received.get() == "at once"


class Sniffed:
    """The checks that a connection's newest generation sends, which has its sockets already."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.checks: list[tuple[tuple[str, int], bool]] = []
        for protocol in newest(pc).protocols:
            protocol.send_stun = self._note(protocol.send_stun)

    def _note(self, send: Any) -> Any:
        def send_noted(message: stun.Message, address: tuple[str, int]) -> None:
            if message.message_class is stun.Class.REQUEST:
                self.checks.append((address, "USE-CANDIDATE" in message.attributes))
            send(message, address)

        return send_noted


def newest(pc: RTCPeerConnection) -> IceConnection:
    return transports(pc)[0]._core.gatherer.generation.connection


@pytest.mark.parametrize("controlling_asks", [True, False])
async def test_a_restart_nominates_one_pair_with_its_first_check(
    make_pc: Factory, *, controlling_asks: bool
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    asking, other = (near, far) if controlling_asks else (far, near)
    asking.restartIce()
    await asking.setLocalDescription()
    await other.setRemoteDescription(asking.localDescription)
    # The other side may check at once, so that the answer is made here, and sniffed at in between.
    answer = await other.createAnswer()
    gathered = [Sniffed(asking)]
    await other.setLocalDescription(answer)
    gathered.append(Sniffed(other))
    await asking.setRemoteDescription(other.localDescription)
    await wait_sending_on_new_pair(near, far)
    await echo.check()
    controlling, controlled = gathered if controlling_asks else reversed(gathered)
    assert newest(near).ice_controlling
    nominated = [address for address, nominates in controlling.checks if nominates]
    assert controlling.checks[0][1]
    assert len(set(nominated)) == 1
    assert not any(nominates for _, nominates in controlled.checks)


async def test_who_answers_may_go_over_before_the_offerer_has_the_answer(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    far.restartIce()
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await near.setLocalDescription()
    await wait_sending_on_new_pair(near)
    await echo.check()
    assert far.signalingState == "have-local-offer"
    await far.setRemoteDescription(near.localDescription)
    await wait_sending_on_new_pair(far)
    await echo.check()
