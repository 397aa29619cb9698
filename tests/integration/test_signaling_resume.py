"""A session goes on over other sockets: nothing is lost, doubled or out of order."""

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
from forwarder import forwarder, random_lengths
from numbered import Flow
from owntime import own_time
from restartice_signaling import (
    BackendLimits,
    CustomReceived,
    Disconnected,
    Heartbeat,
    Limits,
    Negotiator,
    PeerAway,
    PeerBack,
    PeerJoined,
    PeerLeft,
    Reconnected,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    serve,
)
from signalingevents import next_of
from wire import dial

FAST = Limits(rate=1e6, burst=1_000_000)
COUNT = 10_000


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with serve(settings=ServerSettings(limits=FAST)) as server:
        yield server


async def test_random_cuts(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        forwarder(server.port) as far,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
        WebSocketSignaling(far.url, room="room", peer="b") as second,
    ):
        # From here on, and from the next byte on.
        near.cut_after, far.cut_after = random_lengths(1, 1, 60_000), random_lengths(2, 1, 60_000)
        near.cut()
        far.cut()
        flow = Flow(first, second, COUNT)
        await flow.run()
        near.cut_after = far.cut_after = None
        assert near.cuts > 10
        assert far.cuts > 10
        assert len(flow.reconnected) > 20


async def test_a_lost_welcome_does_not_lock_out(server: SignalingServer) -> None:
    async with dial(server.url) as wire:
        welcome = await wire.join(peer="a")
    resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
    # The client that never got to see this one's welcome comes again with the old key.
    async with dial(server.url) as unseen:
        assert (await unseen.join(peer="a", resume=resume))["resumed"]
        async with dial(server.url) as again:
            welcome = await again.join(peer="a", resume=resume)
            assert welcome["resumed"]
            assert await unseen.close_code() == 4001
            await again.say(type="ping", t=1)
            assert (await again.hear())["type"] == "pong"
            # Now the new one is known to have arrived, and the old one is void.
            async with dial(server.url) as thief:
                assert not (await thief.join(resume=resume))["resumed"]
            await again.say(type="ping", t=2)
            assert (await again.hear())["type"] in {"pong", "peer"}


async def test_a_session_id_without_its_key_is_worth_nothing(server: SignalingServer) -> None:
    async with dial(server.url) as owner:
        welcome = await owner.join(peer="a")
        for key in ("", "0" * 32, welcome["key"][:-1], welcome["key"] + "0", "ä"):
            async with dial(server.url) as thief:
                resume = {"session": welcome["session"], "key": key, "last": 0}
                got = await thief.join(peer="a", resume=resume)
                assert (got["resumed"], got["peer"] == "a") == (False, False)
                assert got["session"] != welcome["session"]
                assert (await thief.hear())["code"] == "resume-expired"
                await thief.say(type="bye")
                assert await thief.close_code() == 1000
        async with dial(server.url) as thief:
            resume = {"session": welcome["session"], "key": "\ud800", "last": 0}
            await thief.say(type="hello", protocol=1, room="room", peer="a", resume=resume)
            assert (await thief.hear())["code"] == "protocol"
        await owner.say(type="ping", t=1)
        while (message := await owner.hear())["type"] == "peer":
            assert message["peer"] != "a"
        assert message["type"] == "pong"


async def test_the_others_are_told_that_a_peer_is_away_and_back(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        assert isinstance(await next_of(second, PeerJoined), PeerJoined)
        await first.wait_for_peer("b")
        polite = first.polite, second.polite
        near.cut()
        assert isinstance(await next_of(first, Disconnected), Disconnected)
        assert await next_of(first, Reconnected) == Reconnected(resumed=True)
        assert await next_of(second, PeerAway) == PeerAway("a")
        assert await next_of(second, PeerBack) == PeerBack("a")
        assert (first.polite, second.polite) == polite


async def test_what_is_sent_to_a_peer_that_is_away_waits(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        near.freeze()
        near.cut()
        assert await next_of(second, PeerAway) == PeerAway("a")
        await second.send_custom("while you were away")
        await first.send_custom("while I was away")
        near.thaw()
        first.reconnect_now()
        assert await next_of(first, CustomReceived) == CustomReceived("b", "while you were away")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "while I was away")


async def test_a_dead_socket_is_found_by_both_sides() -> None:
    settings = ServerSettings(heartbeat=Heartbeat(interval=0.2, timeout=1.0))
    async with (
        serve(settings=settings) as server,
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        near.freeze()
        assert await next_of(second, PeerAway) == PeerAway("a")
        assert isinstance(await next_of(first, Disconnected), Disconnected)
        near.thaw()
        assert await next_of(first, Reconnected) == Reconnected(resumed=True)


async def test_a_hint_reconnects_at_once(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room") as first,
    ):
        near.freeze()
        first.reconnect_now()
        assert isinstance(await next_of(first, Disconnected), Disconnected)
        near.thaw()
        started = own_time()
        assert await next_of(first, Reconnected) == Reconnected(resumed=True)
        # No heartbeat has found it: that takes 25 s.
        assert own_time() - started < 15


async def test_too_long_away_begins_anew() -> None:
    settings = ServerSettings(rooms=BackendLimits(resume_window=0.1))
    async with (
        serve(settings=settings) as server,
        forwarder(server.port) as near,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
    ):
        near.freeze()
        near.cut()
        assert await next_of(second, PeerLeft) == PeerLeft("a", "lost")
        near.thaw()
        first.reconnect_now()
        reconnected = await next_of(first, Reconnected)
        assert isinstance(reconnected, Reconnected)
        assert not reconnected.resumed
        assert first.peer == "a"
        await first.send_custom("here again")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "here again")


async def test_a_peer_that_does_not_read_is_given_up() -> None:
    limits = Limits(rate=1e6, burst=1_000_000, max_unacknowledged=64)
    settings = ServerSettings(limits=limits, stall_timeout=0.5)
    async with (
        serve(settings=settings) as server,
        dial(server.url) as idle,
        WebSocketSignaling(server.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="other", peer="x") as other,
        WebSocketSignaling(server.url, room="other", peer="y") as another,
    ):
        # It reads, but acknowledges nothing, so that nothing may be forgotten.
        await idle.join(peer="idle")
        closing = asyncio.create_task(idle.close_code())

        async def flood() -> None:
            for number in range(1000):
                await first.send_custom(number, "idle")

        flooding = asyncio.create_task(flood())
        assert await closing == 4008
        flooding.cancel()
        assert await next_of(first, PeerLeft) == PeerLeft("idle", "too slow")
        await other.send_custom("unharmed")
        assert await next_of(another, CustomReceived) == CustomReceived("x", "unharmed")


async def test_broadcasts_reach_all_others(server: SignalingServer) -> None:
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(WebSocketSignaling(server.url, room="room", peer=name))
            for name in "abc"
        ]
        await peers[0].broadcast("to all")
        for peer in peers[1:]:
            assert await next_of(peer, CustomReceived) == CustomReceived("a", "to all")
        await peers[1].send_custom("direct", "a")
        assert await next_of(peers[0], CustomReceived) == CustomReceived("b", "direct")


@pytest.mark.parametrize("dying", ["sender", "receiver"])
async def test_a_restart_offer_sent_as_a_socket_dies_arrives(make_pc: Factory, dying: str) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve())
        links, pcs = [], [make_pc(), make_pc()]
        for name, pc in zip("ab", pcs, strict=True):
            links.append(await stack.enter_async_context(forwarder(server.port)))
            signaling = WebSocketSignaling(links[-1].url, room="room", peer=name)
            await stack.enter_async_context(signaling)
            await stack.enter_async_context(Negotiator(pc, signaling))
        echo = Echo(*pcs)
        await echo.check()
        await wait_connected(*pcs)
        if dying == "sender":
            # The description is set, and is about to be sent.
            pcs[0].on("signalingstatechange", links[0].cut)
        else:
            links[1].cut_before = b'"offer"'
        connections = [link.connections for link in links]
        before = [sending_ufrags(pc) for pc in pcs]
        pcs[0].restartIce()
        await wait_restarted(*pcs, since=before)
        await echo.check("after")
        assert sum(link.connections for link in links) > sum(connections)
        for pc in pcs:
            await wait_for_state(pc, "signalingState", "stable")


async def test_an_offer_that_was_lost_with_its_session_is_sent_again(make_pc: Factory) -> None:
    settings = ServerSettings(rooms=BackendLimits(resume_window=0.1))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(settings=settings))
        near = await stack.enter_async_context(forwarder(server.port))
        pcs, signalings = [make_pc(), make_pc()], []
        for name, url, pc in (("a", near.url, pcs[0]), ("b", server.url, pcs[1])):
            signaling = WebSocketSignaling(url, room="room", peer=name)
            signalings.append(await stack.enter_async_context(signaling))
            await stack.enter_async_context(Negotiator(pc, signaling))
        echo = Echo(*pcs)
        await echo.check()
        await wait_connected(*pcs)
        near.freeze()
        near.cut()
        before = [sending_ufrags(pc) for pc in pcs]
        pcs[0].restartIce()
        async with asyncio.timeout(DEADLINE):
            while signalings[1].peers:
                await signalings[1]._changed.wait()
        near.thaw()
        signalings[0].reconnect_now()
        await wait_restarted(*pcs, since=before)
        await echo.check("after")
