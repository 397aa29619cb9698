"""A Redis with replicas and Sentinels: its primary dies, hangs, or is cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from connecting import DEADLINE
from numbered import Flow
from restartice_signaling import CustomReceived, Reconnected, WebSocketSignaling, make_token
from sentinels import Failover, sentinels
from signalingevents import next_of
from signalingnode import FAST, node
from wire import Wire, dial

pytestmark = pytest.mark.timeout(300)
SECRET = "0123456789" * 4


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Failover]:
    async with sentinels(tmp_path) as started:
        yield started


async def read_all(wire: Wire) -> list[str]:
    """Return what comes until the connection is closed."""
    heard: list[str] = []
    with suppress(ConnectionClosed):
        async with asyncio.timeout(DEADLINE):
            while True:
                heard.append(str(await wire.socket.recv()))
    return heard


async def exchange_meanwhile(there: Failover, step: Callable[[Flow], Awaitable[None]]) -> None:
    """Exchange messages over two nodes; check that all came, and the clients came back."""
    options = ("--port=0", f"--redis={there.url}", *FAST)
    async with (
        node(*options) as one,
        node(*options) as two,
        WebSocketSignaling([one.url, two.url], room="room", peer="a") as first,
        WebSocketSignaling([two.url, one.url], room="room", peer="b") as second,
    ):
        flow = Flow(first, second, 2_000)
        await flow.run(step)
        assert flow.reconnected


async def test_the_primary_is_killed_in_mid_traffic(there: Failover) -> None:
    """All messages arrive once and in order, and no session is lost."""

    async def kill(flow: Flow) -> None:
        await flow.until(0.3)
        await there.kill(there.first)
        await there.replaced(there.first)
        # Back, it becomes a replica of the other one.
        await there.start_redis(there.first)

    await exchange_meanwhile(there, kill)


async def test_the_primary_is_replaced_in_mid_traffic(there: Failover) -> None:
    """It goes on for a moment, with one of the replicas, as one does that hung and was replaced."""

    async def replace(flow: Flow) -> None:
        await flow.until(0.3)
        await there.fail_over()
        await there.replaced(there.first)

    await exchange_meanwhile(there, replace)


async def test_a_primary_that_hangs_is_replaced(there: Failover) -> None:
    options = ("--port=0", f"--redis={there.url}", *FAST)
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        await first.send_custom("before")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "before")
        there.pause(there.first)
        try:
            sending = asyncio.create_task(first.send_custom("meanwhile"))
            await there.replaced(there.first)
            await sending
            assert await next_of(second, CustomReceived) == CustomReceived("a", "meanwhile")
        finally:
            there.go_on(there.first)
        await second.send_custom("after")
        assert await next_of(first, CustomReceived) == CustomReceived("b", "after")


async def test_what_no_replica_has_is_not_told(there: Failover) -> None:
    """A primary without replicas may be one that was replaced, of which all is forgotten."""
    async with node("--port=0", f"--redis={there.url}") as one, AsyncExitStack() as stack:
        sender, receiver = [await stack.enter_async_context(dial(one.url)) for _ in range(2)]
        await sender.join(peer="a")
        await receiver.join(peer="b")
        reading = asyncio.create_task(read_all(receiver))
        for port in there.replicas:
            there.pause(port)
        try:
            await sender.say(type="signal", seq=1, data={"custom": "x"})
            assert not any('"ack"' in message for message in await read_all(sender))
            assert sender.socket.close_code == 1013
            assert not any('"custom"' in message for message in await reading)
            assert receiver.socket.close_code == 1013
        finally:
            for port in there.replicas:
                there.go_on(port)


async def test_without_replicas_it_goes_on_if_that_is_allowed(there: Failover) -> None:
    for port in there.replicas:
        await there.kill(port)
    options = ("--port=0", f"--redis={there.url}", "--redis-replicas=0")
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        await first.send_custom("alone")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "alone")


async def test_a_token_to_use_once_stays_used(there: Failover) -> None:
    environment = {"RESTARTICE_SIGNALING_SECRET": SECRET}
    token = make_token(SECRET, "room", once=True)
    async with node("--port=0", f"--redis={there.url}", environment=environment) as one:
        async with dial(one.url) as wire:
            await wire.join(token=token)
        await there.kill(there.first)
        await there.replaced(there.first)
        async with asyncio.timeout(DEADLINE):
            while True:
                async with dial(one.url) as wire:
                    await wire.say(type="hello", protocol=1, room="room", token=token)
                    answer = await wire.hear()
                if answer["code"] != "rate-limited":
                    break
                await asyncio.sleep(0.2)
        assert answer["message"] == "the token has been used"


async def lose_primary(there: Failover, sender: WebSocketSignaling) -> None:
    """Let another one take the place of the primary when all messages are acknowledged."""
    async with asyncio.timeout(DEADLINE):
        while len(sender._session.outbox):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)
    await there.kill(there.first)
    await there.replaced(there.first)


async def test_what_is_lost_is_said(there: Failover) -> None:
    """The next primary doesn't have what no replica had to confirm."""
    options = ("--port=0", f"--redis={there.url}", "--redis-replicas=0")
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        WebSocketSignaling(one.url, room="room", peer="b") as second,
    ):
        await there.cut_replicas()
        await first.send_custom("lost?")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "lost?")
        await lose_primary(there, first)
        for signaling in (first, second):
            while (await next_of(signaling, Reconnected)) != Reconnected(resumed=False):
                pass
        await second.send_custom("after")
        assert await next_of(first, CustomReceived) == CustomReceived("b", "after")


async def test_a_number_that_is_given_again_is_not_taken_for_the_lost_one(there: Failover) -> None:
    """The next primary tells a client that is away of the other one's end, before it comes back."""
    options = ("--port=0", f"--redis={there.url}", "--redis-replicas=0")
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as first,
        dial(one.url) as wire,
        dial(one.url) as again,
    ):
        welcome = await wire.join(peer="b")
        await there.cut_replicas()
        await first.send_custom("lost?")
        assert (await wire.hear())["seq"] == 1
        wire.socket.transport.abort()
        await lose_primary(there, first)
        # The end of the session before has the number 1 now.
        assert await next_of(first, Reconnected) == Reconnected(resumed=False)
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 1}
        renewed = await again.join(peer="b", resume=resume)
        assert (renewed["resumed"], renewed["peer"]) == (False, "b")
