"""What comes in from somebody else ends no call, holds none up, and is dropped and counted."""

import asyncio
import logging
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import aioice
import aiortc.rtcicetransport
import pytest
from aioice import stun
from aioice.ice import CandidatePair
from aiortc import MediaStreamTrack

import strangers
from conftest import Factory
from connecting import (
    DEADLINE,
    connect,
    negotiate,
    transports,
    wait_connected,
    wait_for_state,
    wait_sending_on_new_pair,
)
from cutting import Cut, connect_measured, ice_connection
from restartice import AudioStreamTrack, IceSettings, RTCPeerConnection, VideoStreamTrack

# A soak sends 100,000: RESTARTICE_DATAGRAMS=100000
DATAGRAMS = strangers.datagram_count(3_000)


@pytest.fixture
async def stranger() -> AsyncIterator[strangers.Stranger]:
    async with strangers.no_error(), strangers.stranger() as made:
        yield made


class Audience:
    """Takes all frames that come in, and counts them by kind."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.frames = {"audio": 0, "video": 0}
        self._progress = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.ended = False
        pc.on("track", lambda track: self._tasks.append(asyncio.create_task(self._take(track))))

    async def _take(self, track: MediaStreamTrack) -> None:
        track.on("ended", self._end)
        while True:
            await track.recv()
            async with self._progress:
                self.frames[track.kind] += 1
                self._progress.notify_all()

    def _end(self) -> None:
        self.ended = True

    async def wait(self, more: int) -> None:
        """Return when so many more frames of each kind have come in."""
        targets = {kind: count + more for kind, count in self.frames.items()}
        async with asyncio.timeout(DEADLINE), self._progress:
            await self._progress.wait_for(
                lambda: all(self.frames[kind] >= target for kind, target in targets.items())
            )

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def media_call(near: RTCPeerConnection, far: RTCPeerConnection) -> list[Audience]:
    """Connect two peers with audio and video both ways, and data."""
    audiences = [Audience(near), Audience(far)]
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
    await connect(near, far)
    return audiences


@pytest.mark.timeout(3600)
async def test_a_call_with_media_goes_on(make_pc: Factory, stranger: strangers.Stranger) -> None:
    near, far = make_pc(), make_pc()
    audiences = await media_call(near, far)
    states: list[str] = []
    for pc in (near, far):
        pc.on("connectionstatechange", lambda pc=pc: states.append(pc.connectionState))
        pc.on("iceconnectionstatechange", lambda pc=pc: states.append(pc.iceConnectionState))
    for audience in audiences:
        await audience.wait(3)
    before = [sum(audience.frames.values()) for audience in audiences]
    await stranger.flood([near, far], DATAGRAMS)
    seen = [
        sum(audience.frames.values()) - count
        for audience, count in zip(audiences, before, strict=True)
    ]
    assert min(seen) > 0
    for audience in audiences:
        await audience.wait(20)
        assert not audience.ended
        await audience.leave()
    assert states == []
    for pc in (near, far):
        assert [t.state for t in dtls_transports(pc)] == ["connected"]
        assert await strangers.discarded(pc) >= DATAGRAMS


def dtls_transports(pc: RTCPeerConnection) -> list[Any]:
    return list(dict.fromkeys(sender.transport for sender in pc.getSenders()))


async def test_each_shape_is_dropped_and_counted(
    make_pc: Factory, stranger: strangers.Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    (target,) = strangers.ports(near)
    expected = 0
    with caplog.at_level(logging.INFO, "restartice"):
        for datagram in strangers.shapes():
            await stranger.send([datagram], [target], 5)
            expected += 5
            await strangers.discard(near, expected)
    assert await strangers.discarded(near) == expected
    assert await strangers.discarded(far) == 0
    lines = [r for r in caplog.records if "dropped what" in r.getMessage()]
    assert len(lines) == 1
    assert str(stranger.address[1]) in lines[0].getMessage()
    await echo.check("still here")


async def test_nothing_of_a_stranger_reaches_dtls(
    make_pc: Factory, stranger: strangers.Stranger
) -> None:
    near, far = make_pc(), make_pc()
    await connect(near, far)
    (transport,) = transports(near)
    delivered: list[bytes] = []
    ice_connection(near).deliver = delivered.append
    await stranger.flood([near], 100)
    noise = set(strangers.shapes())
    assert not noise & set(delivered)
    assert transport.state == "completed"


async def test_what_comes_before_the_answer_is_bounded_and_holds_nothing_up(
    make_pc: Factory, stranger: strangers.Stranger
) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    traffic = [datagram for datagram in strangers.shapes() if 19 < datagram[0] < 192]
    targets = strangers.ports(near)
    await stranger.send(traffic, targets, 200)
    tracemalloc.start()
    try:
        await stranger.send(traffic, targets, 5_000)
        await strangers.discard(near, 5_000)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of it would be more than a megabyte.
    assert grown < 200_000
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    await stranger.send(traffic, [*targets, *strangers.ports(far)], 200)
    await near.setRemoteDescription(far.localDescription)
    await stranger.send(traffic, [*targets, *strangers.ports(far)], 200)
    await wait_connected(near, far)
    assert await strangers.discarded(near) >= 5_000


async def test_what_the_other_end_sends_early_is_kept_and_comes_in_order(
    make_pc: Factory,
) -> None:
    near = make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    connection = transports(near)[0]._core.gatherer.generation.connection
    (protocol,) = connection.protocols
    delivered: list[bytes] = []
    connection.deliver = delivered.append
    packets = [bytes([0x80, number]) + bytes(20) for number in range(3)]
    async with strangers.stranger() as other_end:
        for packet in packets:
            protocol.datagram_received(packet, other_end.address)
        assert delivered == []
        request = connection.build_request(pair_with(protocol, other_end.address), nominate=False)
        request.attributes["USERNAME"] = f"{connection.local_username}:far"
        request.attributes.pop("ICE-CONTROLLING", None)
        request.add_message_integrity(connection.local_password.encode())
        protocol.datagram_received(bytes(request), other_end.address)
        assert delivered == packets
        # It has asked, but not answered: that may be a copy of what somebody else has signed.
        assert not connection.heard
        protocol.datagram_received(packets[0], other_end.address)
        assert delivered == [*packets, packets[0]]
    assert await strangers.discarded(near) == 0


def pair_with(protocol: Any, address: strangers.Address) -> CandidatePair:
    return CandidatePair(protocol, aioice.Candidate("1", 1, "udp", 1, *address, "host"))


async def test_what_the_other_end_repeats_is_not_counted(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    pair = ice_connection(far).selected_pair
    assert pair is not None
    for kind in (stun.Class.INDICATION, stun.Class.RESPONSE, stun.Class.ERROR):
        pair.protocol.send_stun(stun.Message(stun.Method.BINDING, kind), pair.remote_addr)
    await echo.check("after that")
    assert await strangers.discarded(near) == 0


async def test_an_error_while_a_message_is_read_concerns_only_that(
    make_pc: Factory, stranger: strangers.Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)

    def fail(*_: object) -> None:
        raise RuntimeError("for a reason that nobody has thought of")

    monkeypatch.setattr(ice_connection(near), "request_received", fail)
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{ice_connection(near).local_username}:somebody"
    await stranger.send([bytes(request)], strangers.ports(near), 10)
    await strangers.discard(near, 10)
    monkeypatch.undo()
    await echo.check("still here")


async def test_sockets_that_a_program_opens_are_guarded(
    make_pc: Factory, stranger: strangers.Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Opening(aioice.Connection):
        async def get_component_candidates(
            self, component: int, addresses: list[str], timeout: int = 5
        ) -> list[aioice.Candidate]:
            return await super().get_component_candidates(component, addresses, timeout)

    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Opening)
    near, far = make_pc(), make_pc()
    echo = await connect(near, far)
    assert isinstance(ice_connection(near), Opening)
    await stranger.flood([near, far], 100)
    await echo.check("still here")


async def send_until_cancelled(
    sender: strangers.Stranger, targets: list[strangers.Address]
) -> None:
    traffic = [datagram for datagram in strangers.shapes() if 19 < datagram[0] < 192]
    while True:
        await sender.send(traffic, targets, 1)
        await asyncio.sleep(0.02)


async def test_strangers_do_not_hide_a_lost_path(
    make_pc: Factory, stranger: strangers.Stranger
) -> None:
    # What is silent for a quarter of a second has to be asked; nothing else asks here.
    settings = IceSettings(consent_interval=600, consent_lifetime=3000, silence_timeout=0.25)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = await connect_measured(near, far)
    await echo.check("some traffic")
    Cut(far)
    sending = asyncio.create_task(send_until_cancelled(stranger, strangers.ports(near)))
    await wait_for_state(near, "iceConnectionState", "disconnected")
    assert not sending.done()
    sending.cancel()
    await asyncio.wait([sending])


async def test_strangers_keep_no_generation_open(
    make_pc: Factory, stranger: strangers.Stranger
) -> None:
    settings = IceSettings(drain_time=0.3, drain_silence=0.3)
    near, far = make_pc(iceSettings=settings), make_pc(iceSettings=settings)
    echo = await connect(near, far)
    old, old_ports = ice_connection(near), strangers.ports(near)
    sending = asyncio.create_task(send_until_cancelled(stranger, old_ports))
    near.restartIce()
    await negotiate(near, far)
    await wait_sending_on_new_pair(near, far)
    async with asyncio.timeout(DEADLINE):
        while old.protocols:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert not sending.done()
    sending.cancel()
    await asyncio.wait([sending])
    await echo.check("on the new pair")
