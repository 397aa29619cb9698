"""Perfect negotiation between two connections, over a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from conftest import Factory
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    wait_connected,
    wait_for_state,
    wait_restarted,
)
from restartice import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription
from restartice_signaling import (
    Negotiator,
    SignalingClosed,
    SignalingServer,
    WebSocketSignaling,
    serve,
)

BOTH_WAYS = pytest.mark.parametrize("polite_first", [True, False], ids=["polite", "impolite"])


@pytest.fixture
async def server(make_pc: Factory) -> AsyncIterator[SignalingServer]:  # noqa: ARG001
    # make_pc looks for what is left behind, which it can do when the server is closed.
    async with serve() as server:
        yield server


class Peer:
    """A connection with its negotiator, and what the negotiator complained about."""

    def __init__(self, pc: RTCPeerConnection, signaling: WebSocketSignaling, polite: bool) -> None:
        self.pc = pc
        self.errors: list[Exception] = []
        self.customs: asyncio.Queue[object] = asyncio.Queue()
        self.negotiator = Negotiator(
            pc,
            signaling,
            polite=polite,
            on_custom=self.customs.put_nowait,
            on_error=self.errors.append,
        )


@pytest.fixture
async def peers(
    server: SignalingServer, make_pc: Factory, polite_first: bool
) -> AsyncIterator[tuple[Peer, Peer]]:
    async with AsyncExitStack() as stack:
        made = []
        for name, polite in (("a", polite_first), ("b", not polite_first)):
            signaling = WebSocketSignaling(server.url, room="room", peer=name)
            await stack.enter_async_context(signaling)
            peer = Peer(make_pc(), signaling, polite)
            await stack.enter_async_context(peer.negotiator)
            made.append(peer)
        yield made[0], made[1]
        # Before one leaves, which candidates of the other may be on their way to.
        for peer in made:
            assert peer.errors == []


async def settled(*peers: Peer) -> None:
    """Return when both sides are stable and connected."""
    for peer in peers:
        await wait_connected(peer.pc)
        await wait_for_state(peer.pc, "signalingState", "stable")


@BOTH_WAYS
async def test_candidates_follow_the_descriptions(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    found: list[object] = []
    first.pc.on("icecandidate", found.append)
    echo = Echo(first.pc, second.pc)
    await echo.check()
    await settled(first, second)
    assert len(found) >= 3
    assert all(sdp.count("a=candidate") for sdp in (remote_sdp(first), remote_sdp(second)))
    assert all(sdp.count("a=end-of") for sdp in (remote_sdp(first), remote_sdp(second)))


def remote_sdp(peer: Peer) -> str:
    description = peer.pc.remoteDescription
    assert description is not None
    return description.sdp


@BOTH_WAYS
async def test_one_offer(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    echo = Echo(first.pc, second.pc)
    await echo.check()
    await settled(*peers)


@BOTH_WAYS
async def test_offers_of_both_at_once(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    # Both want something in the same turn of the loop.
    echo = Echo(first.pc, second.pc)
    back = second.pc.createDataChannel("back")
    opened = asyncio.Event()
    back.on("open", opened.set)
    await echo.check()
    async with asyncio.timeout(DEADLINE):
        await opened.wait()
    await settled(*peers)


@BOTH_WAYS
async def test_restarts_of_both_at_once_again_and_again(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    echo = Echo(first.pc, second.pc)
    await echo.check()
    await settled(*peers)
    for number in range(3):
        before = [sending_ufrags(peer.pc) for peer in peers]
        first.pc.restartIce()
        second.pc.restartIce()
        await wait_restarted(first.pc, second.pc, since=before)
        await settled(*peers)
        await echo.check(f"after {number}")


@BOTH_WAYS
async def test_a_track_and_a_restart_at_once(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    echo = Echo(first.pc, second.pc)
    await echo.check()
    await settled(*peers)
    arrived = asyncio.Event()
    second.pc.on("track", lambda _: arrived.set())
    first.pc.addTrack(AudioStreamTrack())
    second.pc.restartIce()
    async with asyncio.timeout(DEADLINE):
        await arrived.wait()
    await echo.check("after")
    await settled(*peers)


@BOTH_WAYS
async def test_hands_custom_messages_on(peers: tuple[Peer, Peer]) -> None:
    first, second = peers
    await second.negotiator._signaling.send_custom({"say": "hello"})
    async with asyncio.timeout(DEADLINE):
        assert await first.customs.get() == {"say": "hello"}


async def test_garbage_ends_nothing(server: SignalingServer, make_pc: Factory) -> None:
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    pc = make_pc()
    async with (
        WebSocketSignaling(server.url, room="room", peer="a") as mine,
        WebSocketSignaling(server.url, room="room", peer="b") as other,
        Negotiator(pc, mine, on_error=errors.put_nowait),
    ):
        await other.send_custom("nobody listens to this")
        await other.send(RTCSessionDescription("garbage", "offer"))
        async with asyncio.timeout(DEADLINE):
            assert not isinstance(await errors.get(), SignalingClosed)
        assert pc.signalingState == "stable"


async def test_losing_the_server_does_not_touch_the_connection(make_pc: Factory) -> None:
    first, second = make_pc(), make_pc()
    async with serve() as server, AsyncExitStack() as stack:
        negotiators = []
        for name, pc in (("a", first), ("b", second)):
            signaling = WebSocketSignaling(server.url, room="room", peer=name, give_up_after=0)
            await stack.enter_async_context(signaling)
            negotiators.append(await stack.enter_async_context(Negotiator(pc, signaling)))
        echo = Echo(first, second)
        await echo.check()
        await wait_connected(first, second)
        await server.close()
        for negotiator in negotiators:
            async with asyncio.timeout(DEADLINE):
                with pytest.raises(SignalingClosed):
                    await negotiator.wait_closed()
        await echo.check("the call goes on")
