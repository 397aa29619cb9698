"""The Negotiator is the specification's program for perfect negotiation, case by case. (W27)."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from conftest import Factory
from connecting import DEADLINE, transports, wait_connected, wait_for_state
from restartice import RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from restartice_signaling import (
    CustomReceived,
    DescriptionReceived,
    Negotiator,
    WebSocketSignaling,
    serve,
)

FENCE = "all that was sent before has been dealt with"
STABLE, LOCAL_OFFER = "stable", "have-local-offer"
BOTH = pytest.mark.parametrize("polite", [True, False], ids=["polite", "impolite"])


class Scene:
    """A connection with its Negotiator, and another one whose signaling the test plays."""

    def __init__(
        self,
        near: RTCPeerConnection,
        far: RTCPeerConnection,
        signalings: tuple[WebSocketSignaling, WebSocketSignaling],
        *,
        polite: bool,
    ) -> None:
        self.near, self.far = near, far
        self.mine, self.theirs = signalings
        self.errors: list[Exception] = []
        self.customs: asyncio.Queue[object] = asyncio.Queue()
        self.negotiator = Negotiator(
            near,
            self.mine,
            polite=polite,
            on_error=self.errors.append,
            on_custom=self.customs.put_nowait,
            recovery=False,
        )

    async def offer(self) -> RTCSessionDescription:
        """Let the far connection make an offer."""
        await self.far.setLocalDescription()
        return self.far.localDescription

    async def deal_with(self, *messages: RTCSessionDescription | RTCIceCandidate | None) -> None:
        """Send messages, and return when the Negotiator has dealt with them."""
        for message in filter(None, messages):
            await self.theirs.send(message)
        await self.theirs.send_custom(FENCE)
        async with asyncio.timeout(DEADLINE):
            assert await self.customs.get() == FENCE

    async def received(self) -> RTCSessionDescription:
        """Return the next description that the Negotiator has sent."""
        async with asyncio.timeout(DEADLINE):
            async for event in self.theirs.events():
                if isinstance(event, DescriptionReceived):
                    return event.description
        raise AssertionError

    async def received_so_far(self) -> list[str]:
        """Return the types of the descriptions that the Negotiator has sent and nobody has read."""
        await self.mine.send_custom(FENCE)
        types = []
        async with asyncio.timeout(DEADLINE):
            async for event in self.theirs.events():
                if isinstance(event, CustomReceived):
                    break
                if isinstance(event, DescriptionReceived):
                    types.append(event.description.type)
        return types

    async def answer(self, offer: RTCSessionDescription) -> None:
        """Let the far connection answer an offer, and send that."""
        await self.far.setRemoteDescription(offer)
        await self.far.setLocalDescription()
        await self.deal_with(self.far.localDescription)

    async def settle(self) -> None:
        """Return when both sides are connected and stable."""
        await wait_connected(self.near, self.far)
        for pc in (self.near, self.far):
            await wait_for_state(pc, "signalingState", STABLE)


@pytest.fixture
async def scene(make_pc: Factory, polite: bool) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve())
        mine, theirs = [
            await stack.enter_async_context(WebSocketSignaling(server.url, room="r", peer=name))
            for name in ("near", "far")
        ]
        scene = Scene(make_pc(), make_pc(), (mine, theirs), polite=polite)
        await stack.enter_async_context(scene.negotiator)
        yield scene


# Whether an offer is ignored.


@pytest.mark.parametrize(
    ("polite", "making_offer", "state", "answer_pending"),
    [*itertools.product([True, False], [True, False], [STABLE, LOCAL_OFFER], [True, False])],
)
async def test_which_offers_are_ignored(
    scene: Scene, polite: bool, making_offer: bool, state: str, answer_pending: bool
) -> None:
    near, negotiator = scene.near, scene.negotiator
    if state == LOCAL_OFFER:
        near.createDataChannel("chat")
        await scene.received()
    scene.far.createDataChannel("chat")
    offer = await scene.offer()
    negotiator.making_offer = making_offer
    negotiator.is_setting_remote_answer_pending = answer_pending
    await scene.deal_with(offer)
    # const readyForOffer = !makingOffer && (stable || isSettingRemoteAnswerPending)
    ready = not making_offer and (state == STABLE or answer_pending)
    # ignoreOffer = !polite && offerCollision
    assert negotiator.ignore_offer == (not polite and not ready)
    if negotiator.ignore_offer:
        assert near.signalingState == state
        assert not near.remoteDescription
        assert await scene.received_so_far() == []
    else:
        assert near.signalingState == STABLE
        assert (await scene.received()).type == "answer"
        assert negotiator.is_setting_remote_answer_pending is False
    assert scene.errors == []


@pytest.mark.parametrize("polite", [False])
async def test_impolite_ignores_the_offer_and_its_candidates(scene: Scene) -> None:
    near, far = scene.near, scene.far
    near.createDataChannel("chat")
    ours = await scene.received()
    found: list[RTCIceCandidate | None] = []
    far.on("icecandidate", found.append)
    far.createDataChannel("chat")
    theirs = await scene.offer()
    await wait_for_state(far, "iceGatheringState", "complete")
    await scene.deal_with(theirs, *found)
    assert near.signalingState == LOCAL_OFFER
    assert not near.remoteDescription
    # What comes late belongs to what was ignored, even when the answer is there.
    await scene.answer(ours)
    await scene.deal_with(*found)
    await scene.settle()
    assert found
    assert scene.errors == []


@pytest.mark.parametrize("polite", [True])
async def test_polite_gives_way_and_offers_again(scene: Scene) -> None:
    near, far = scene.near, scene.far
    near.addTransceiver("audio")
    assert (await scene.received()).type == "offer"
    far.createDataChannel("chat")
    await scene.deal_with(await scene.offer())
    await far.setRemoteDescription(await scene.received())
    again = await scene.received()
    assert (again.type, again.sdp.count("m=")) == ("offer", 2)
    await scene.answer(again)
    await scene.settle()
    assert scene.errors == []


# What only happens where an event's handler isn't called at once.


@BOTH
async def test_an_offer_comes_in_before_the_need_is_acted_on(
    make_pc: Factory, polite: bool
) -> None:
    near, far = make_pc(), make_pc()
    far.createDataChannel("chat")
    await far.setLocalDescription()
    begun: list[asyncio.Task[None]] = []

    def begin() -> None:
        # First among the listeners, so that the offer is dealt with in the turn before.
        begun.append(asyncio.ensure_future(negotiators[0]._handle_alone(far.localDescription)))

    negotiators: list[Negotiator] = []
    near.once("negotiationneeded", begin)
    async with (
        serve() as server,
        WebSocketSignaling(server.url, room="r", peer="near") as mine,
        WebSocketSignaling(server.url, room="r", peer="far") as theirs,
    ):
        scene = Scene(near, far, (mine, theirs), polite=polite)
        negotiators.append(scene.negotiator)
        async with scene.negotiator:
            near.createDataChannel("chat")
            await far.setRemoteDescription(await scene.received())
            await scene.settle()
            await asyncio.gather(*begun)
            # Both wanted a data channel, so nothing is left to be offered.
            assert await scene.received_so_far() == []
            assert scene.errors == []


@BOTH
async def test_an_offer_that_fails_does_not_swallow_the_need(scene: Scene) -> None:
    near = scene.near
    job = scene.negotiator._callbacks.report(
        scene.negotiator._handle_alone(RTCSessionDescription("garbage", "offer"))
    )
    near.createDataChannel("chat")
    await job
    assert (await scene.received()).type == "offer"
    assert len(scene.errors) == 1


# Candidates that fit nothing. (W21)


@BOTH
async def test_late_candidates_are_no_error_but_wrong_ones_are(scene: Scene) -> None:
    far = scene.far
    far.createDataChannel("chat")
    await scene.deal_with(await scene.offer())
    await far.setRemoteDescription(await scene.received())
    await scene.settle()
    old = transports(far)[0].getLocalParameters().usernameFragment
    far.restartIce()
    await scene.deal_with(await scene.offer())
    await far.setRemoteDescription(await scene.received())
    values = (1, "1", "127.0.0.1", 9, 1, "udp", "host")
    late, wrong = (
        RTCIceCandidate(*values, sdpMid="0", usernameFragment=ufrag)
        for ufrag in (old, "unheard-of")
    )
    await scene.deal_with(late)
    assert scene.errors == []
    await scene.deal_with(wrong)
    assert [type(error).__name__ for error in scene.errors] == ["OperationError"]
