"""Perfect negotiation between two connections, over a real server."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from conftest import Factory, leave_nothing, open_sockets
from connecting import (
    DEADLINE,
    Echo,
    sending_ufrags,
    transports,
    wait_connected,
    wait_for_state,
    wait_restarted,
    wait_until,
)
from cutting import QUICK
from restartice import AudioStreamTrack, IceSettings, RTCPeerConnection, RTCSessionDescription
from restartice.recovery import recoverer
from restartice_signaling import (
    Negotiator,
    NoPeer,
    RecoverySettings,
    RestartStarted,
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
        self.signaling = signaling
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


async def test_what_was_added_before_is_offered(server: SignalingServer, make_pc: Factory) -> None:
    """Though `negotiationneeded` has fired before the Negotiator was made."""
    connections = [make_pc(), make_pc()]
    channels = [pc.createDataChannel("x", negotiated=True, id=1) for pc in connections]
    async with AsyncExitStack() as stack:
        for name, pc in zip("ab", connections, strict=True):
            signaling = WebSocketSignaling(server.url, room="room", peer=name)
            await stack.enter_async_context(signaling)
            await stack.enter_async_context(Negotiator(pc, signaling))
        for channel in channels:
            is_open = functools.partial(lambda made: made.readyState == "open", channel)
            await wait_until(channel, "open", is_open)


@pytest.mark.parametrize("in_band", [False, True], ids=["by the server", "in band"])
@pytest.mark.parametrize("last", ["offerer", "answerer"])
async def test_an_open_negotiation_is_continued(
    server: SignalingServer, make_pc: Factory, last: str, *, in_band: bool
) -> None:
    """As of a program that makes another Negotiator when its signaling has ended."""
    offerer, answerer = make_pc(), make_pc()
    # As an earlier Negotiator has left it, whose channel isn't closed yet.
    channel = offerer.createDataChannel("x", negotiated=True, id=1023)
    await offerer.setLocalDescription()
    order = [answerer, offerer]
    if last == "answerer":
        await answerer.setRemoteDescription(offerer.localDescription)
        order.reverse()
    async with AsyncExitStack() as stack:
        errors: list[Exception] = []
        for name, pc in zip("ab", order, strict=True):
            signaling = WebSocketSignaling(server.url, room="room", peer=name)
            await stack.enter_async_context(signaling)
            await stack.enter_async_context(
                Negotiator(pc, signaling, in_band=in_band, on_error=errors.append)
            )
        await wait_until(channel, "open", lambda: channel.readyState == "open")
        added = offerer.addTransceiver("audio")
        await wait_until(
            offerer, "signalingstatechange", lambda: added.currentDirection is not None
        )
        assert not errors


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
    await second.signaling.send_custom({"say": "hello"})
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


class CallbackError(Exception):
    """What callbacks raise."""


@pytest.mark.parametrize("reporting", [True, False])
async def test_callbacks_that_fail_end_nothing(
    server: SignalingServer, make_pc: Factory, caplog: pytest.LogCaptureFixture, *, reporting: bool
) -> None:
    errors: list[Exception] = []
    custom = asyncio.Event()

    def fail(_: object) -> None:
        custom.set()
        raise CallbackError

    near, far = make_pc(), make_pc()
    async with AsyncExitStack() as stack:
        room = [WebSocketSignaling(server.url, room="room", peer=name) for name in "ab"]
        for signaling in room:
            await stack.enter_async_context(signaling)
        on_error = errors.append if reporting else fail
        first = Negotiator(near, room[0], on_custom=fail, on_restart=fail, on_error=on_error)
        await stack.enter_async_context(first)
        await stack.enter_async_context(Negotiator(far, room[1]))
        async with asyncio.timeout(DEADLINE):
            await room[1].send_custom("what isn't expected")
            await custom.wait()
        echo = Echo(near, far)
        await echo.check()
        for pc in (near, far):  # by the one whose callbacks fail, and by the other one
            before = [sending_ufrags(near), sending_ufrags(far)]
            pc.restartIce()
            await wait_restarted(near, far, since=before)
        await echo.check("after")
    if reporting:
        assert len(errors) >= 2  # on_custom, and on_restart
        assert {type(error) for error in errors} == {CallbackError}
    else:
        assert "on_error raised an error" in caplog.text


async def test_a_third_peer_in_the_room_for_a_while(
    server: SignalingServer, make_pc: Factory
) -> None:
    """It isn't clear to whom offers are to be made, until one of the others leaves."""
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    near, far = make_pc(), make_pc()
    async with AsyncExitStack() as stack:
        room = [WebSocketSignaling(server.url, room="room", peer=name) for name in "abc"]
        for signaling in room:
            await stack.enter_async_context(signaling)
        await room[0].wait_for_peer("c")
        await stack.enter_async_context(Negotiator(near, room[0], on_error=errors.put_nowait))
        await stack.enter_async_context(Negotiator(far, room[1], on_error=errors.put_nowait))
        echo = Echo(near, far)
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await errors.get(), NoPeer)
        await room[2].close()
        await echo.check()


async def test_an_offer_that_could_not_be_sent(server: SignalingServer, make_pc: Factory) -> None:
    """The third peer comes between the making of the offer and its sending."""
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    near, far = make_pc(), make_pc()
    async with AsyncExitStack() as stack:
        room = [WebSocketSignaling(server.url, room="room", peer=name) for name in "abc"]
        for signaling in room[:2]:
            await stack.enter_async_context(signaling)
        await stack.enter_async_context(Negotiator(near, room[0], on_error=errors.put_nowait))
        await stack.enter_async_context(Negotiator(far, room[1]))

        async def set_local_description_later() -> None:
            await RTCPeerConnection.setLocalDescription(near)
            if not room[0].peers.keys() & {"c"}:
                await room[2].connect()
                await room[0].wait_for_peer("c")

        near.setLocalDescription = set_local_description_later  # type: ignore[assignment, method-assign]
        echo = Echo(near, far)
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await errors.get(), NoPeer)
        await room[2].close()
        await echo.check()


# So that restarts are asked for more often than a connection needs to close itself.
EAGER = RecoverySettings(give_way=0.0, attempt_timeout=0.3, first_wait=0.1, longest_wait=0.3)
SHORT = IceSettings(
    silence_timeout=QUICK.silence_timeout,
    probe_timeout=QUICK.probe_timeout,
    consent_interval=QUICK.consent_interval,
    consent_lifetime=QUICK.consent_lifetime,
    failed_timeout=1.5,
)


@pytest.mark.parametrize("gone", ["peer", "server"])
async def test_a_connection_closes_itself_when_nobody_is_left_to_restart_it(
    gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoverer, "REMINDER", 0.3)
    sockets = open_sockets()
    near, far = RTCPeerConnection(iceSettings=SHORT), RTCPeerConnection()
    async with serve() as server, AsyncExitStack() as stack:
        room = [
            WebSocketSignaling(server.url, room="room", peer=name, give_up_after=0) for name in "ab"
        ]
        for signaling in room:
            await stack.enter_async_context(signaling)
        await stack.enter_async_context(Negotiator(near, room[0], recovery=EAGER))
        async with Negotiator(far, room[1], recovery=False):
            await Echo(near, far).check()
            await wait_connected(near, far)
        # First it vanishes, for which restarts are asked for, and then it leaves for good.
        await transports(far)[0]._connection.close()
        await wait_for_state(near, "connectionState", "failed")
        await (room[1] if gone == "peer" else server).close()
        await wait_for_state(near, "connectionState", "closed")
    await far.close()
    await leave_nothing(sockets)


async def test_restarts_begin_again_when_a_peer_comes_back_as_another_instance(
    server: SignalingServer, make_pc: Factory
) -> None:
    near, far = make_pc(iceSettings=SHORT), make_pc()
    started: asyncio.Queue[object] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        room = [WebSocketSignaling(server.url, room="room", peer=name) for name in "ab"]
        for signaling in room:
            await stack.enter_async_context(signaling)
        first = Negotiator(near, room[0], polite=False, on_restart=started.put_nowait)
        await stack.enter_async_context(first)
        async with Negotiator(far, room[1], recovery=False):
            echo = Echo(near, far)
            await echo.check()
            await wait_connected(near, far)
        await room[1].close()
        async with asyncio.timeout(DEADLINE):
            while room[0].peers:  # noqa: ASYNC110  its events are the Negotiator's
                await asyncio.sleep(0.01)
        await transports(far)[0]._connection.close()
        await wait_for_state(near, "connectionState", "failed")
        assert started.empty()
        # The same connection, whose program has joined again.
        again = WebSocketSignaling(server.url, room="room", peer="b")
        await stack.enter_async_context(again)
        await stack.enter_async_context(Negotiator(far, again, recovery=False))
        async with asyncio.timeout(DEADLINE):
            event = await started.get()
        assert isinstance(event, RestartStarted)
        assert event.reason == "failed"
        await echo.check("after")
