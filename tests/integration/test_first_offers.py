"""Both sides of a room want something at once, and the newcomer makes the first offer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from conftest import Factory
from connecting import DEADLINE, wait_connected, wait_for_state, wait_until
from restartice import RTCDataChannel, RTCPeerConnection
from restartice_signaling import Negotiator, SignalingServer, WebSocketSignaling, serve
from restartice_signaling.negotiation import first_offer

LONG = 2 * DEADLINE


@pytest.fixture
async def server(make_pc: Factory) -> AsyncIterator[SignalingServer]:  # noqa: ARG001
    async with serve() as server:
        yield server


class Side:
    """A peer that wants a data channel, or nothing."""

    def __init__(self, pc: RTCPeerConnection, url: str, name: str) -> None:
        self.pc = pc
        self.signaling = WebSocketSignaling(url, room="room", peer=name)
        self.negotiator = Negotiator(pc, self.signaling)
        self.offers = 0
        pc.on("signalingstatechange", self._count)

    def _count(self) -> None:
        self.offers += self.pc.signalingState == "have-local-offer"

    async def join(self, stack: AsyncExitStack) -> None:
        """Go into the room."""
        await stack.enter_async_context(self.signaling)
        await stack.enter_async_context(self.negotiator)


@pytest.fixture
def sides(server: SignalingServer, make_pc: Factory) -> tuple[Side, Side]:
    return Side(make_pc(), server.url, "first"), Side(make_pc(), server.url, "newcomer")


async def wait_open(channel: RTCDataChannel) -> None:
    await wait_until(channel, "open", lambda: channel.readyState == "open")


async def settle(*sides: Side) -> None:
    for side in sides:
        await wait_connected(side.pc)
        await wait_for_state(side.pc, "signalingState", "stable")


@pytest.mark.parametrize("number", range(5))
async def test_both_want_something(
    sides: tuple[Side, Side], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_offer, "PATIENCE", LONG)
    first, newcomer = sides
    async with AsyncExitStack() as stack:
        channels = [side.pc.createDataChannel(f"{number}") for side in sides]
        await first.join(stack)
        await newcomer.join(stack)
        for channel in channels:
            await wait_open(channel)
        await settle(*sides)
        assert [side.negotiator.collisions for side in sides] == [0, 0]
        # One round is enough for both.
        assert [side.offers for side in sides] == [0, 1]


async def test_what_the_newcomer_does_not_offer_comes_next(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_offer, "PATIENCE", LONG)
    first, newcomer = sides
    async with AsyncExitStack() as stack:
        first.pc.addTransceiver("audio")
        newcomer.pc.createDataChannel("data")
        await first.join(stack)
        await newcomer.join(stack)
        await wait_for_state(first.pc, "signalingState", "have-local-offer")
        await settle(*sides)
        assert [side.offers for side in sides] == [1, 1]
        assert [side.negotiator.collisions for side in sides] == [0, 0]
        assert len(newcomer.pc.getTransceivers()) == 1


async def test_a_newcomer_without_an_offer(sides: tuple[Side, Side]) -> None:
    first, newcomer = sides
    async with AsyncExitStack() as stack:
        first.pc.createDataChannel("data")
        await first.join(stack)
        await newcomer.join(stack)
        loop = asyncio.get_running_loop()
        joined = loop.time()
        await wait_for_state(first.pc, "signalingState", "have-local-offer")
        assert loop.time() - joined > first_offer.PATIENCE / 2
        await settle(*sides)
        assert [side.offers for side in sides] == [1, 0]


async def test_who_has_been_there_for_long_is_not_waited_for(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, newcomer = sides
    async with AsyncExitStack() as stack:
        await first.join(stack)
        await newcomer.join(stack)
        await first.signaling.wait_for_peer()
        for patience, over in ((LONG, False), (0.0, True)):
            monkeypatch.setattr(first_offer, "PATIENCE", patience)
            waiting = asyncio.ensure_future(first.negotiator._first_offer.wait())
            await asyncio.sleep(0)
            assert waiting.done() is over
            waiting.cancel()


async def test_the_newcomer_waits_for_nobody(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_offer, "PATIENCE", LONG)
    first, newcomer = sides
    async with AsyncExitStack() as stack:
        await first.join(stack)
        await newcomer.join(stack)
        newcomer.pc.createDataChannel("data")
        async with asyncio.timeout(DEADLINE):
            await settle(first, newcomer)
        assert [side.offers for side in sides] == [0, 1]
