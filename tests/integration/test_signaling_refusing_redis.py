"""A Redis that is slow, or refuses to write: nothing is lost, and all go on afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from connecting import DEADLINE
from redisserver import RedisServer, redis_server
from restartice_signaling import CustomReceived, Disconnected, Reconnected, WebSocketSignaling
from signalingevents import next_of
from signalingnode import node

MESSAGES = 20
REFUSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "full memory": (("CONFIG", "SET", "maxmemory", "1mb"), ("CONFIG", "SET", "maxmemory", "0")),
    "replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "no rights": (
        ("ACL", "SETUSER", "default", "-@write"),
        ("ACL", "SETUSER", "default", "+@all"),
    ),
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Any]:
    client = redis.asyncio.Redis.from_url(server.url, decode_responses=True)
    yield client
    await client.aclose()


async def check_received(signaling: WebSocketSignaling, first: int, end: int) -> None:
    """Check that all arrive, once and in order."""
    for number in range(first, end):
        assert await next_of(signaling, CustomReceived) == CustomReceived("a", number)


@pytest.mark.parametrize("how", REFUSALS)
async def test_what_is_sent_meanwhile_arrives_once(
    server: RedisServer, store: Any, how: str
) -> None:
    refuse, allow = REFUSALS[how]
    options = ("--port=0", f"--redis={server.url}")
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as sender,
        WebSocketSignaling(one.url, room="room", peer="b") as receiver,
    ):
        await sender.wait_for_peer()
        for number in range(MESSAGES):
            await sender.send_custom(number)
        await check_received(receiver, 0, MESSAGES)
        await store.execute_command(*refuse)
        for number in range(MESSAGES, 2 * MESSAGES):
            await sender.send_custom(number)
        assert isinstance(await next_of(sender, Disconnected), Disconnected)
        await store.execute_command(*allow)
        async with asyncio.timeout(DEADLINE):
            await check_received(receiver, MESSAGES, 2 * MESSAGES)
            assert await next_of(sender, Reconnected) == Reconnected(resumed=True)


async def test_an_account_needs_no_dangerous_commands(server: RedisServer, store: Any) -> None:
    await store.execute_command("ACL", "SETUSER", "default", "-@dangerous")
    async with (
        node("--port=0", f"--redis={server.url}") as one,
        WebSocketSignaling(one.url, room="room", peer="a") as sender,
        WebSocketSignaling(one.url, room="room", peer="b") as receiver,
    ):
        await sender.wait_for_peer()
        await sender.send_custom(0)
        await check_received(receiver, 0, 1)


async def test_a_slow_redis_makes_all_wait(server: RedisServer, store: Any) -> None:
    options = ("--port=0", f"--redis={server.url}")
    async with (
        node(*options) as one,
        WebSocketSignaling(one.url, room="room", peer="a") as sender,
        WebSocketSignaling(one.url, room="room", peer="b") as receiver,
    ):
        await sender.wait_for_peer()
        await store.execute_command("CLIENT", "PAUSE", "3000", "ALL")
        for number in range(MESSAGES):
            await sender.send_custom(number)
        async with asyncio.timeout(DEADLINE):
            await check_received(receiver, 0, MESSAGES)
