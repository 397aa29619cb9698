"""Several servers that share a Redis: any of them goes on with any session."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from conftest import Factory
from connecting import DEADLINE, Echo, sending_ufrags, wait_connected, wait_restarted
from numbered import Flow
from ports import free_port
from redisserver import RedisServer, redis_server
from restartice_signaling import (
    CustomReceived,
    Negotiator,
    PeerJoined,
    PeerLeft,
    WebSocketSignaling,
)
from signalingevents import next_of
from signalingnode import FAST, node
from wire import Wire, dial

COUNT = 10_000
# How many seconds a process may take on a busy machine beside those that it waits.
SLACK = 15.0
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as server:
        yield server


async def test_peers_on_different_nodes_share_a_room(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}")
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling(one.url, room="room", peer="a", meta={"n": [1]}) as first,
    ):
        async with WebSocketSignaling(two.url, room="room", peer="b") as second:
            assert second.peers["a"].meta == {"n": [1]}
            assert isinstance(await next_of(first, PeerJoined), PeerJoined)
            assert (first.polite, second.polite) == (False, True)
            await first.send_custom({"text": "héllo", "nothing": []})
            received = await next_of(second, CustomReceived)
            assert received == CustomReceived("a", {"text": "héllo", "nothing": []})
            await second.broadcast(1)
            assert await next_of(first, CustomReceived) == CustomReceived("b", 1)
        assert await next_of(first, PeerLeft) == PeerLeft("b", "bye")


async def test_a_session_moves_to_another_node(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}")
    async with node(*options) as one, node(*options) as two, dial(one.url) as before:
        welcome = await before.join(peer="a")
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        async with dial(two.url) as thief:
            stolen = await thief.join(resume={**resume, "key": "0" * 32})
            assert not stolen["resumed"]
        async with dial(two.url) as after:
            assert (await after.join(resume=resume))["resumed"]
            assert await before.close_code() == 4001


async def test_redis_that_lacks_what_was_acknowledged_resumes_nothing(redis: RedisServer) -> None:
    async with node("--port=0", f"--redis={redis.url}") as one, dial(one.url) as before:
        welcome = await before.join(peer="a")
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        for acknowledged, resumed in ((0, True), (1, False)):
            async with dial(one.url) as after:
                again = await after.join(resume={**resume, "acknowledged": acknowledged})
                assert again["resumed"] is resumed
                resume["key"] = again["key"]


async def test_a_node_is_killed_in_mid_call(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}", *FAST)
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling([one.url, two.url], room="room", peer="a") as first,
        WebSocketSignaling([one.url, two.url], room="room", peer="b") as second,
    ):

        async def kill(flow: Flow) -> None:
            await flow.until(0.3)
            await one.kill()

        flow = Flow(first, second, 2_000)
        await flow.run(kill)
        assert len(flow.reconnected) >= 2


async def test_a_call_goes_on_by_way_of_another_node(redis: RedisServer, make_pc: Factory) -> None:
    options = ("--port=0", f"--redis={redis.url}")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(node(*options))
        two = await stack.enter_async_context(node(*options))
        pcs, signalings = [make_pc(), make_pc()], []
        # One peer is on the node that will be killed, the other one isn't.
        for name, urls, pc in (("a", [one.url, two.url], pcs[0]), ("b", [two.url], pcs[1])):
            signaling = WebSocketSignaling(urls, room="room", peer=name)
            signalings.append(await stack.enter_async_context(signaling))
            await stack.enter_async_context(Negotiator(pc, signaling))
        echo = Echo(*pcs)
        await echo.check()
        await wait_connected(*pcs)
        before = [sending_ufrags(pc) for pc in pcs]
        instance = signalings[1].peers["a"].instance
        await one.kill()
        # At once, while nobody has noticed.
        pcs[0].restartIce()
        await wait_restarted(*pcs, since=before)
        await echo.check("after the node died")
        assert [pc.connectionState for pc in pcs] == ["connected", "connected"]
        # And once more, from the other side, by way of the node that is left.
        before = [sending_ufrags(pc) for pc in pcs]
        pcs[1].restartIce()
        await wait_restarted(*pcs, since=before)
        await echo.check("after another restart")
        assert signalings[1].peers["a"].instance == instance


class Pair:
    """Two clients of a room, one of whom keeps sending to the other."""

    def __init__(self, room: str, sender: Wire, receiver: Wire) -> None:
        self.room = room
        self._wires = (sender, receiver)
        self._tasks: list[asyncio.Task[None]] = []
        self.received = 0

    async def start(self) -> None:
        for name, wire in zip("ab", self._wires, strict=True):
            await wire.join(self.room, peer=name)
        self._tasks = [asyncio.create_task(step()) for step in (self._send, self._receive)]

    async def _send(self) -> None:
        seq = 0
        with suppress(ConnectionClosed):
            while True:
                seq += 1
                await self._wires[0].say(type="signal", seq=seq, data={"custom": seq})
                await asyncio.sleep(0.05)

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self._wires[1].hear()
                if "seq" in message:
                    self.received += 1
                    await self._wires[1].say(type="ack", seq=message["seq"])

    async def cut(self) -> None:
        for wire in self._wires:
            wire.socket.transport.abort()
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def pairs(url: str, count: int) -> AsyncIterator[list[Pair]]:
    """Let many speak to each other."""
    async with AsyncExitStack() as stack:
        talking = []
        for number in range(count):
            wires = [await stack.enter_async_context(dial(url)) for _ in range(2)]
            pair = Pair(f"room-{number}", *wires)
            await pair.start()
            talking.append(pair)
        async with asyncio.timeout(300):
            while min(pair.received for pair in talking) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield talking
        for pair in talking:
            await pair.cut()


async def test_of_clients_cut_in_mid_traffic_nothing_is_left(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}", "--resume-window=1", *FAST)
    async with node(*options) as one, pairs(one.url, 60) as talking:
        for pair in talking:
            await pair.cut()
        for pair in talking:
            async with asyncio.timeout(DEADLINE):
                while True:
                    async with dial(one.url) as newcomer:
                        if not (await newcomer.join(pair.room))["peers"]:
                            break
                        await newcomer.say(type="bye")
                    await asyncio.sleep(0.2)


async def test_sigterm_under_load_ends_in_time(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}", "--drain-timeout=10", *FAST)
    async with node(*options) as one, pairs(one.url, 60):
        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10 + SLACK):
            assert await one.process.wait() == 0


async def test_sigterm_ends_in_time_although_redis_hangs(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}", "--drain-timeout=4", *FAST)
    async with node(*options) as one, pairs(one.url, 10):
        redis.pause()
        try:
            one.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE):
                started = asyncio.get_running_loop().time()
                await one.process.wait()
                assert asyncio.get_running_loop().time() - started < 4 + SLACK
        finally:
            redis.go_on()


async def test_who_comes_while_redis_is_down_is_told_to_try_later(redis: RedisServer) -> None:
    async with node("--port=0", f"--redis={redis.url}") as one, dial(one.url) as inside:
        await inside.join(peer="a")
        await redis.kill()
        async with dial(one.url) as newcomer:
            await newcomer.say(type="hello", protocol=1, room="room")
            error = await newcomer.hear()
            assert (error["code"], error["fatal"]) == ("rate-limited", True)
            assert await newcomer.close_code() == 1013
        # It may have been told before it speaks: the server asks Redis what waits for it, too.
        with suppress(ConnectionClosed):
            await inside.say(type="signal", seq=1, data={"custom": 1})
        assert await inside.close_code() == 1013


async def test_server_and_redis_are_killed_and_started_again(redis: RedisServer) -> None:
    options = [f"--redis={redis.url}", *FAST]
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(node(f"--port={free_port()}", *options))

        async def restart(flow: Flow) -> None:
            await flow.until(0.2)
            await one.kill()
            await stack.enter_async_context(node(f"--port={one.port}", *options))
            await flow.until(0.6)
            await redis.kill()
            await redis.start()

        async with (
            WebSocketSignaling(one.url, room="room", peer="a") as first,
            WebSocketSignaling(one.url, room="room", peer="b") as second,
        ):
            flow = Flow(first, second, COUNT)
            await flow.run(restart)
            assert len(flow.reconnected) >= 2


async def test_the_peers_of_a_dead_node_leave_in_the_end(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}", "--resume-window=2")
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling(two.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b", give_up_after=0),
    ):
        assert isinstance(await next_of(first, PeerJoined), PeerJoined)
        await one.kill()
        assert await next_of(first, PeerLeft) == PeerLeft("b", "lost")
