"""Negotiation in a data channel of the connection, with the signaling behind it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    wait_connected,
    wait_for_state,
    wait_restarted,
    wait_until,
)
from cutting import Cut
from restartice import AudioStreamTrack, RTCPeerConnection, VideoStreamTrack
from restartice_signaling import CallableChannel, Negotiator, WebSocketSignaling
from restartice_signaling.negotiation import open_offer
from signalingnode import Node

if TYPE_CHECKING:
    import aiortc


class Pair:
    """Two connections and their negotiators."""

    def __init__(self, near: RTCPeerConnection, far: RTCPeerConnection) -> None:
        self.near, self.far = near, far
        self.pcs = (near, far)
        self.negotiators: list[Negotiator] = []
        self.errors: list[Exception] = []
        self.channels: list[aiortc.RTCDataChannel] = []
        for pc in self.pcs:
            pc.on("datachannel", self.channels.append)

    async def wait_agreed(self) -> None:
        """Return when both sides know that they can negotiate in the channel."""
        for negotiator in self.negotiators:
            in_band = negotiator._in_band
            assert in_band is not None
            await wait_until(in_band._channel, "message", partial(getattr, in_band, "agreed"))
        for pc in self.pcs:
            await wait_for_state(pc, "signalingState", "stable")

    async def restart(self, *starting: RTCPeerConnection) -> None:
        before = [sending_ufrags(pc) for pc in self.pcs]
        for pc in starting:
            pc.restartIce()
        await wait_restarted(*self.pcs, since=before)
        for pc in self.pcs:
            await wait_for_state(pc, "signalingState", "stable")


@pytest.fixture
async def stack(make_pc: Factory) -> AsyncIterator[AsyncExitStack]:  # noqa: ARG001
    # make_pc looks for what is left behind when this is closed.
    async with AsyncExitStack() as stack:
        yield stack


async def join(stack: AsyncExitStack, pair: Pair, url: str, **options: Any) -> None:
    for name, pc in zip("ab", pair.pcs, strict=True):
        signaling = WebSocketSignaling(url, room="room", peer=name)
        await stack.enter_async_context(signaling)
        negotiator = Negotiator(pc, signaling, on_error=pair.errors.append, **options)
        pair.negotiators.append(await stack.enter_async_context(negotiator))


async def add_track(adding: RTCPeerConnection, other: RTCPeerConnection) -> None:
    """Add a track, and return when its first frame has come."""
    came: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()
    other.on("track", came.put_nowait)
    for kind in (AudioStreamTrack, VideoStreamTrack):
        adding.addTrack(kind())
        async with asyncio.timeout(DEADLINE):
            await (await came.get()).recv()
    other.remove_listener("track", came.put_nowait)


async def test_a_call_needs_no_server(make_pc: Factory, stack: AsyncExitStack) -> None:
    """It is killed, everything is negotiated without it, and it comes back."""
    server = await Node.start("--port=0")
    stack.push_async_callback(server.kill)
    pair = Pair(make_pc(), make_pc())
    await join(stack, pair, server.url, in_band=True)
    echo = Echo(pair.near, pair.far)
    await echo.check()
    await pair.wait_agreed()
    politeness = [negotiator.polite for negotiator in pair.negotiators]
    await server.kill()

    await add_track(pair.near, pair.far)
    await add_track(pair.far, pair.near)
    await pair.restart(pair.near)
    await pair.restart(pair.far)
    await pair.restart(*pair.pcs)
    await echo.check("without a server")

    again = await Node.start(f"--port={server.port}")
    stack.push_async_callback(again.kill)
    await pair.restart(*pair.pcs)
    await add_track(pair.near, pair.far)
    await pair.restart(pair.far)
    await echo.check("with it again")
    assert [negotiator.polite for negotiator in pair.negotiators] == politeness
    assert pair.errors == []
    assert [channel.label for channel in pair.channels] == ["echo"]


async def test_what_the_channel_cannot_carry_waits_for_the_server(
    make_pc: Factory, stack: AsyncExitStack
) -> None:
    server = await Node.start("--port=0")
    stack.push_async_callback(server.kill)
    pair = Pair(make_pc(), make_pc())
    await join(stack, pair, server.url, in_band=True, recovery=False)
    echo = Echo(pair.near, pair.far)
    await echo.check()
    await pair.wait_agreed()
    await server.kill()
    before = [sending_ufrags(pc) for pc in pair.pcs]
    for pc in pair.pcs:
        Cut(pc)  # for good: what is in the channel comes when the restart has another pair
    pair.near.restartIce()
    pair.far.addTrack(AudioStreamTrack())
    for pc in pair.pcs:
        await wait_for_state(pc, "signalingState", "have-local-offer")
    again = await Node.start(f"--port={server.port}")
    stack.push_async_callback(again.kill)
    await wait_restarted(*pair.pcs, since=before)
    for pc in pair.pcs:
        await wait_for_state(pc, "signalingState", "stable")
    await echo.check("after")
    await pair.restart(pair.far)
    assert pair.errors == []


@pytest.mark.parametrize("knowing", [0, 1])
async def test_with_a_peer_that_does_not_know_it(
    knowing: int, make_pc: Factory, stack: AsyncExitStack
) -> None:
    server = await Node.start("--port=0")
    stack.push_async_callback(server.kill)
    pair = Pair(make_pc(), make_pc())
    for number, pc in enumerate(pair.pcs):
        signaling = WebSocketSignaling(server.url, room="room", peer="ab"[number])
        await stack.enter_async_context(signaling)
        options: dict[str, Any] = {"in_band": True} if number == knowing else {}
        negotiator = Negotiator(pc, signaling, on_error=pair.errors.append, **options)
        await stack.enter_async_context(negotiator)
    echo = Echo(pair.near, pair.far)
    await echo.check()
    await wait_connected(*pair.pcs)
    await add_track(pair.near, pair.far)
    await pair.restart(pair.far)
    await pair.restart(*pair.pcs)
    await echo.check("after")
    assert pair.errors == []
    assert [channel.label for channel in pair.channels] == ["echo"]


class Link:
    """A signaling of two functions at each end, which loses, keeps or delays as told."""

    def __init__(self) -> None:
        self.queues: tuple[asyncio.Queue[str | None], ...] = (asyncio.Queue(), asyncio.Queue())
        self.sent: list[dict[str, Any]] = []
        self.held: list[Callable[[], Any]] | None = None

    def end(self, number: int) -> CallableChannel:
        def send(message: dict[str, Any]) -> None:
            self.sent.append(message)
            text = json.dumps(message)
            if self.held is None:
                self.queues[1 - number].put_nowait(text)
            else:
                self.held.append(lambda: self.queues[1 - number].put_nowait(text))

        return CallableChannel(send, self.queues[number].get)

    def release(self) -> None:
        held, self.held = self.held or [], None
        for deliver in held:
            deliver()


async def call_over(link: Link, pair: Pair, stack: AsyncExitStack, *, in_band: bool = True) -> Echo:
    for number, pc in enumerate(pair.pcs):
        negotiator = Negotiator(
            pc, link.end(number), on_error=pair.errors.append, in_band=in_band, recovery=False
        )
        pair.negotiators.append(await stack.enter_async_context(negotiator))
    echo = Echo(pair.near, pair.far)
    await echo.check()
    if in_band:
        await pair.wait_agreed()
    return echo


async def test_it_outlives_a_signaling_that_ends(make_pc: Factory, stack: AsyncExitStack) -> None:
    link, pair = Link(), Pair(make_pc(), make_pc())
    echo = await call_over(link, pair, stack)
    for queue in link.queues:
        queue.put_nowait(None)
    await add_track(pair.far, pair.near)
    await pair.restart(*pair.pcs)
    await echo.check("after")
    await pair.near.close()
    for negotiator in pair.negotiators:
        async with asyncio.timeout(DEADLINE):
            await negotiator.wait_closed()


async def test_nothing_goes_by_the_server_any_more(make_pc: Factory, stack: AsyncExitStack) -> None:
    link, pair = Link(), Pair(make_pc(), make_pc())
    await call_over(link, pair, stack)
    link.sent.clear()
    await add_track(pair.near, pair.far)
    await pair.restart(*pair.pcs)
    # A machine that stands still for a second makes the server carry something, too.
    assert len([m for m in link.sent if "description" in m]) <= 2


async def test_late_doubles_are_dropped(
    make_pc: Factory, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All goes both ways, and by the server so late that it is about another negotiation."""
    monkeypatch.setattr("restartice_signaling.negotiation.in_band.PATIENCE", 0.0)
    link, pair = Link(), Pair(make_pc(), make_pc())
    echo = await call_over(link, pair, stack)
    applied = count_descriptions(pair)
    link.held = []
    for _ in range(3):
        await pair.restart(pair.near)
        await pair.restart(pair.far)
    assert len([m for m in link.sent if "x-restartice-number" in str(m)]) >= 12
    assert applied[0] == 12
    link.release()
    await pair.restart(pair.near)
    await echo.check("after")
    assert applied[0] == 14
    assert pair.errors == []


@pytest.mark.parametrize("in_band", [False, True])
async def test_an_answer_that_comes_late_is_not_the_next_offers(
    *, in_band: bool, make_pc: Factory, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offer comes twice, and its second answer when the next offer is open."""
    monkeypatch.setattr(open_offer, "ANSWER_TIMEOUT", 0.5)
    link, pair = Link(), Pair(make_pc(), make_pc())
    echo = await call_over(link, pair, stack, in_band=in_band)
    answers = Gate(pair.far)
    pair.near.addTrack(AudioStreamTrack())
    await answers.wait()
    # It goes out again, and waits for the first one to be handled.
    await wait_for_repeat(pair)
    answers.let_pass()
    await wait_for_state(pair.near, "signalingState", "stable")
    await answers.wait()
    # So that the second answer isn't like the first one.
    pair.far.addTrack(AudioStreamTrack())
    pair.near.addTrack(VideoStreamTrack())
    await wait_for_state(pair.near, "signalingState", "have-local-offer")
    answers.let_all_pass()
    await wait_until(pair.near, "signalingstatechange", lambda: sections(pair.near) == 3)
    await echo.check("after")
    assert pair.errors == []


def sections(pc: RTCPeerConnection) -> int:
    """Return how many sections the last answer or offer of the other side has."""
    description = pc.currentRemoteDescription
    return 0 if description is None else description.sdp.count("\nm=")


async def wait_for_repeat(pair: Pair) -> None:
    """Return when the near side has sent its offer a second time."""
    offer = pair.negotiators[0]._open_offer
    async with asyncio.timeout(DEADLINE):
        while offer.repeats == 0:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


class Gate:
    """Keeps the descriptions that a connection makes until they may pass."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._asked = asyncio.Semaphore(0)
        self._passing = asyncio.Semaphore(0)
        self._make: Callable[..., Awaitable[None]] = pc.setLocalDescription
        self._closed = True
        pc.setLocalDescription = self._set  # type: ignore[assignment, method-assign]

    async def _set(self, *arguments: Any) -> None:
        if self._closed:
            self._asked.release()
            await self._passing.acquire()
        await self._make(*arguments)

    async def wait(self) -> None:
        """Return when a description waits."""
        async with asyncio.timeout(DEADLINE):
            await self._asked.acquire()

    def let_pass(self) -> None:
        """Let one description pass."""
        self._passing.release()

    def let_all_pass(self) -> None:
        """Let what waits pass, and all that comes."""
        self._closed = False
        self._passing.release()


def count_descriptions(pair: Pair) -> list[int]:
    """Count the descriptions that both sides apply as remote ones."""
    counted = [0]
    for pc in pair.pcs:
        apply: Callable[..., Awaitable[None]] = pc.setRemoteDescription

        async def count(*arguments: Any, apply: Any = apply) -> None:
            counted[0] += 1
            await apply(*arguments)

        pc.setRemoteDescription = count  # type: ignore[assignment, method-assign]
    return counted


async def test_what_is_malformed_in_the_channel_ends_nothing(
    make_pc: Factory, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    link, pair = Link(), Pair(make_pc(), make_pc())
    echo = await call_over(link, pair, stack)
    in_band = pair.negotiators[0]._in_band
    assert in_band is not None
    assert in_band._channel is not None
    numbers = itertools.count(1000)
    wrong: list[str | bytes] = ["", "hello", "[]", "7", b"\xff", '{"id": "x"}', '{"ack": 10000}']
    wrong.append('{"id":' * 2000)
    contents: tuple[dict[str, Any], ...] = (
        {"description": {"type": "offer"}},
        {"candidate": {"candidate": "x"}},
        {"candidate": ["x"]},
        {},
    )
    wrong += [json.dumps({"id": next(numbers), **content}) for content in contents]
    for message in wrong:
        in_band._channel.send(message)
    in_band._number = 2000
    await pair.restart(*pair.pcs)
    await echo.check("after")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
