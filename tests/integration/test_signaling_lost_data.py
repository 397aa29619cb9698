"""A Redis that loses its data, or whose clock jumps, ends nobody: sessions begin again at most."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from ports import free_port
from redisserver import RedisServer, redis_server
from restartice_signaling import (
    CustomReceived,
    Reconnected,
    WebSocketSignaling,
    make_token,
)
from signalingevents import next_of
from signalingnode import node
from wire import dial

SECRET = "0123456789" * 4
# Returns how many characters wait in all queues.
KEPT = """
local kept = 0
for _, name in ipairs(redis.call('KEYS', ARGV[1])) do
  for _, entry in ipairs(redis.call('XRANGE', name, '-', '+')) do kept = kept + #entry[2][2] end
end
return kept
"""
PREFIX = "rtc-signal:"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Any]:
    async with redis.asyncio.from_url(server.url, decode_responses=True) as client:
        yield client


async def check_begun_again(*peers: WebSocketSignaling) -> None:
    for peer in peers:
        told = await next_of(peer, Reconnected)
        assert isinstance(told, Reconnected)
        assert not told.resumed


async def check_talking(first: WebSocketSignaling, second: WebSocketSignaling) -> None:
    """Check that two reach each other, whatever they are told before."""
    for sender, receiver in ((first, second), (second, first)):
        await sender.wait_for_peer()
        await sender.send_custom("after all")
        received = await next_of(receiver, CustomReceived)
        assert received == CustomReceived(sender.peer or "", "after all")


@pytest.mark.parametrize("how", ["flushed", "restarted without its data"])
async def test_idle_clients_get_new_sessions(server: RedisServer, store: Any, how: str) -> None:
    options = ("--port=0", f"--redis={server.url}")
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(two.url, room="room", peer="b") as second,
    ):
        await check_talking(first, second)
        if how == "flushed":
            await store.flushall()
        else:
            await server.kill()
            await server.start(empty=True)
        # Neither says anything, and both are told.
        await check_begun_again(first, second)
        await check_talking(first, second)
        assert (first.peer, second.peer) == ("a", "b")


@pytest.mark.parametrize("kind", ["s", "q", "r", "h", "rooms", "nodes", "sizes", "total"])
async def test_keys_that_are_evicted(server: RedisServer, store: Any, kind: str) -> None:
    async with (
        node("--port=0", f"--redis={server.url}") as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        await check_talking(first, second)
        names = await store.keys(f"{PREFIX}{kind}*")
        await store.delete(*names, "something else")
        # Whatever is lost by that, of which one of them is told, they reach each other again.
        number = 0
        async with asyncio.timeout(60):
            while True:
                number += 1
                await first.wait_for_peer("b")
                await first.send_custom(number)
                try:
                    async with asyncio.timeout(2):
                        async for event in second:
                            if event == CustomReceived("a", number):
                                return
                except TimeoutError:
                    continue


async def test_whose_token_has_expired_comes_back(server: RedisServer, store: Any) -> None:
    variables = {"RESTARTICE_SIGNALING_SECRET": SECRET}
    async with AsyncExitStack() as stack:
        options = ("--port=0", f"--redis={server.url}")
        one = await stack.enter_async_context(node(*options, environment=variables))
        # Time enough to come in.
        token = make_token(SECRET, "room", peer="a", lifetime=8, rights=["custom"])
        first = WebSocketSignaling(one.url, room="room", token=token)
        await stack.enter_async_context(first)
        await asyncio.sleep(9)
        await store.flushall()
        assert await next_of(first, Reconnected) == Reconnected(resumed=False)
        assert first.peer == "a"
        async with dial(one.url) as stranger:
            await stranger.say(type="hello", protocol=1, room="room", token=token)
            assert await stranger.close_code() == 4003


async def test_who_sends_while_the_data_is_lost_is_told(server: RedisServer, store: Any) -> None:
    async with node("--port=0", f"--redis={server.url}") as one, dial(one.url) as wire:
        welcome = await wire.join(peer="a")
        await store.flushall()
        await wire.say(type="signal", seq=1, data={"custom": 1})
        assert await wire.close_code() == 1013
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        async with dial(one.url) as again:
            renewed = await again.join(peer="a", resume=resume)
            assert (renewed["resumed"], renewed["peer"]) == (False, "a")


async def test_data_from_before(server: RedisServer, store: Any) -> None:
    """A Redis that begins with an older copy of what it knew has lost the rest."""
    async with (
        node("--port=0", f"--redis={server.url}") as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        await check_talking(first, second)
        copy = {name: await store.dump(name) for name in await store.keys(f"{PREFIX}[sqr]:*")}
        for _ in range(3):
            await check_talking(first, second)
        for name, content in copy.items():
            await store.restore(name, 60_000, content, replace=True)
        await check_begun_again(first, second)
        await check_talking(first, second)


async def jump(store: Any, milliseconds: int) -> None:
    """Do to the keys what a jump of the clock of Redis does: some expire, others soon will."""
    for name in await store.keys("*"):
        left = await store.pttl(name)
        assert left > 0, name
        await store.pexpire(name, left - milliseconds)


async def test_a_clock_that_jumps_ends_no_session(server: RedisServer, store: Any) -> None:
    async with (
        node("--port=0", f"--redis={server.url}", "--resume-window=30") as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
        dial(one.url) as wire,
    ):
        welcome = await wire.join("another", peer="c")
        wire.socket.transport.abort()
        for hours in (20, -20, 1):
            await check_talking(first, second)
            await jump(store, hours * 3_600_000)
        # All sessions are checked within 5 s.
        await asyncio.sleep(6)
        await check_talking(first, second)
        # Connections that are lost then are resumed as ever, and so is one that was lost before.
        first.reconnect_now()
        assert await next_of(first, Reconnected) == Reconnected(resumed=True)
        await check_talking(first, second)
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        async with dial(one.url) as again:
            assert (await again.join("another", resume=resume))["resumed"]


async def test_all_keys_have_a_time_to_live_and_nothing_stays(
    server: RedisServer, store: Any
) -> None:
    options = ("--port=0", f"--redis={server.url}", "--resume-window=2")
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling(one.url, room="room", peer="a", give_up_after=0) as first,
        WebSocketSignaling(two.url, room="room", peer="b", give_up_after=0) as second,
        dial(two.url) as deaf,
    ):
        await deaf.join(peer="c")
        for peer in (first, second):
            await peer.send_custom("kept until it is acknowledged", "c")
        await first.wait_for_peer("b")
        names = await store.keys("*")
        assert {name.split(":")[1] for name in names} >= {"s", "q", "r", "h", "nodes", "sizes"}
        for name in names:
            assert await store.pttl(name) > 0, name
        # One is killed, and the other one ends.
        await one.kill()
        await asyncio.sleep(5)
        two.process.terminate()
        await two.process.wait()
    async with asyncio.timeout(30):
        while await store.dbsize():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_node_that_starts_again_goes_on_with_the_sessions(
    server: RedisServer, store: Any
) -> None:
    options = (f"--redis={server.url}", "--resume-window=60")
    async with (
        node(f"--port={free_port()}", *options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        one.process.terminate()
        await one.process.wait()
        async with node(f"--port={one.port}", *options):
            for peer in (first, second):
                assert await next_of(peer, Reconnected) == Reconnected(resumed=True)
            await check_talking(first, second)
            for name in await store.keys("rtc-signal:[sqr]:*"):
                assert await store.pttl(name) > 60_000, name


async def test_all_that_waits_is_bounded_and_others_go_on(server: RedisServer, store: Any) -> None:
    options = ("--port=0", f"--redis={server.url}", "--max-total-buffered=1000000", "--rate=10000")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(node(*options))
        sender = await stack.enter_async_context(dial(one.url))
        await sender.join("crowd", peer="sender")
        wires = [await stack.enter_async_context(dial(one.url)) for _ in range(4)]
        for number, wire in enumerate(wires):
            await wire.join("crowd", peer=f"deaf-{number}")
            wire.socket.transport.pause_reading()
        for seq in range(1, 61):
            to = f"deaf-{seq % 4}"
            await sender.say(type="signal", seq=seq, to=to, data={"custom": "x" * 50_000})
            if seq % 10 == 0:
                assert int(await store.get(f"{PREFIX}total") or 0) <= 1_000_000
        async with (
            WebSocketSignaling(one.url, room="others", peer="a") as first,
            WebSocketSignaling(one.url, room="others", peer="b") as second,
        ):
            await check_talking(first, second)
        # What is asked for key by key could change meanwhile.
        assert 0 < await store.eval(KEPT, 0, f"{PREFIX}q:*") <= 1_000_000
        for wire in wires:
            wire.socket.transport.abort()
