"""Several processes on one port: rooms meet, a process that dies is replaced, all end together."""

import asyncio
import os
import re
import signal
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from connecting import DEADLINE
from numbered import Flow
from ports import free_port
from redisserver import redis_server
from restartice_signaling import CustomReceived, Reconnected, WebSocketSignaling, make_token
from signalingevents import next_of
from signalingnode import FAST, PROGRAM, Node, node
from wire import Wire, dial

pytestmark = pytest.mark.timeout(300)
COUNT = 2
SECRET = "0123456789" * 4


class Fleet:
    """The processes of a server."""

    def __init__(self, server: Node) -> None:
        self.server = server
        self.url = server.url

    def workers(self) -> list[int]:
        """Return their ids, oldest first."""
        pid = self.server.process.pid
        children = Path("/proc", str(pid), "task", str(pid), "children").read_text()
        return sorted(map(int, children.split()))

    async def metric(self, name: str) -> int:
        """Return a counter of all."""
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = (await reader.read()).decode()
            writer.close()
        found = re.search(rf"^rtc_signal_{name} (\d+)$", text, re.MULTILINE)
        assert found is not None
        return int(found[1])

    async def until(self, name: str, value: int) -> None:
        """Return when a counter has a value; each worker tells its own once a second."""
        async with asyncio.timeout(DEADLINE):
            while await self.metric(name) != value:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.1)

    async def replaced(self, pid: int) -> None:
        """Return when another process is there for one that has ended."""
        async with asyncio.timeout(DEADLINE):
            while pid in (there := self.workers()) or len(there) < COUNT:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def fleet(*options: str) -> AsyncIterator[Fleet]:
    async with node("--port=0", f"--workers={COUNT}", *FAST, *options) as server:
        yield Fleet(server)


def number_of(room: str) -> int:
    """Return which worker keeps a room."""
    return zlib.crc32(room.encode()) % COUNT


ROOMS = [f"room-{number}" for number in range(12)]


async def talk(first: WebSocketSignaling, second: WebSocketSignaling, value: object) -> None:
    assert first.peer is not None
    await first.send_custom(value)
    assert await next_of(second, CustomReceived) == CustomReceived(first.peer, value)


async def test_rooms_meet_whichever_worker_gets_the_connections() -> None:
    assert {number_of(room) for room in ROOMS} == set(range(COUNT))
    async with fleet() as there, AsyncExitStack() as stack:
        for room in ROOMS:
            pair = [WebSocketSignaling(there.url, room=room, peer=name) for name in "ab"]
            for signaling in pair:
                await stack.enter_async_context(signaling)
            await talk(pair[0], pair[1], room)
            await talk(pair[1], pair[0], "back")
        await there.until("joined_total", 2 * len(ROOMS))
        # The one that asks is among them.
        await there.until("connections", 2 * len(ROOMS) + 1)
        # The kernel gives each connection to any of them, so that half of them are handed over.
        assert await there.metric("handed_over_total") > 0
        await there.until("pending", 1)


async def test_sessions_are_resumed_whichever_worker_gets_the_connection() -> None:
    async with fleet() as there, dial(there.url) as before:
        welcome = await before.join(peer="a")
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        for _ in range(8):
            async with dial(there.url) as after:
                again = await after.join(resume=resume)
                assert again["resumed"]
                resume["key"] = again["key"]


async def test_a_worker_that_dies_is_replaced() -> None:
    async with fleet() as there, AsyncExitStack() as stack:
        pairs = []
        for room in ROOMS:
            urls = [WebSocketSignaling(there.url, room=room, peer=name) for name in "ab"]
            pairs.append([await stack.enter_async_context(signaling) for signaling in urls])
        joined = 2 * len(ROOMS)
        await there.until("joined_total", joined)
        dead = there.workers()[0]
        os.kill(dead, signal.SIGKILL)
        lost = [n for n, room in enumerate(ROOMS) if number_of(room) == 0]
        for number in lost:
            for signaling in pairs[number]:
                # What was in its memory is gone, and the clients are told.
                assert await next_of(signaling, Reconnected) == Reconnected(resumed=False)
        await there.replaced(dead)
        for first, second in pairs:
            await talk(first, second, "after")
        # The counters go on; the last of them had been told.
        await there.until("joined_total", joined + 2 * len(lost))


async def test_who_comes_while_a_worker_is_away_waits_for_it() -> None:
    async with fleet() as there, AsyncExitStack() as stack:
        away = there.workers()[1]
        os.kill(away, signal.SIGSTOP)
        room = next(room for room in ROOMS if number_of(room) == 1)
        wires, joining = [], []
        for number in range(8):
            wire = await stack.enter_async_context(dialing(there))
            wires.append(wire)
            joining.append(asyncio.create_task(wire.join(room, peer=str(number))))
        done, _ = await asyncio.wait(joining, timeout=0.5)
        assert not done
        os.kill(away, signal.SIGKILL)
        for task in joining:
            async with asyncio.timeout(DEADLINE):
                assert (await task)["room"] == room


@asynccontextmanager
async def dialing(there: Fleet) -> AsyncIterator[Wire]:
    """Open a connection to the worker that answers, while the other one doesn't."""
    while True:
        try:
            async with asyncio.timeout(1), AsyncExitStack() as stack:
                wire = await stack.enter_async_context(dial(there.url))
                kept = stack.pop_all()
        except TimeoutError:
            continue
        async with kept:
            yield wire
        return


async def test_sigterm_ends_all() -> None:
    async with fleet() as there, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(dial(there.url)) for _ in ROOMS]
        for wire, room in zip(wires, ROOMS, strict=True):
            await wire.join(room)
        workers = there.workers()
        there.server.process.send_signal(signal.SIGTERM)
        for wire in wires:
            assert (await wire.hear())["type"] == "goaway"
            assert await wire.close_code() == 1001
        async with asyncio.timeout(DEADLINE):
            assert await there.server.process.wait() == 0
        assert not any(map(is_running, workers))


async def test_workers_end_when_their_parent_is_killed() -> None:
    async with fleet() as there:
        workers = there.workers()
        there.server.process.kill()
        async with asyncio.timeout(DEADLINE):
            while any(is_running(pid) for pid in workers):  # noqa: ASYNC110  no children of ours
                await asyncio.sleep(0.05)


def is_running(pid: int) -> bool:
    """Say whether a process is there that isn't a zombie."""
    try:
        return ") Z" not in Path("/proc", str(pid), "stat").read_text()
    except FileNotFoundError:
        return False


async def test_with_redis_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path) as redis,
        fleet(f"--redis={redis.url}") as there,
        WebSocketSignaling(there.url, room="room", peer="a") as first,
        WebSocketSignaling(there.url, room="room", peer="b") as second,
    ):

        async def kill(flow: Flow) -> None:
            for share, number in ((0.3, 0), (0.6, 1)):
                await flow.until(share)
                pid = there.workers()[number]
                os.kill(pid, signal.SIGKILL)
                await there.replaced(pid)

        flow = Flow(first, second, 2_000)
        await flow.run(kill)
        assert await there.metric("handed_over_total") == 0


# Wrong use.


async def run(*options: str) -> tuple[int | None, str]:
    """Return the status of a server that doesn't start, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, f"--workers={COUNT}", *options, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_it_does_not_start_without_redis() -> None:
    status, said = await run("--port=0", f"--redis=redis://127.0.0.1:{free_port()}/0")
    assert status == 1
    assert "can't listen on 127.0.0.1:0: Redis: " in said


@pytest.mark.parametrize("taken_by", ["another program", "another server"])
async def test_it_does_not_share_a_port_with_others(taken_by: str) -> None:
    async with AsyncExitStack() as stack:
        if taken_by == "another server":
            port = (await stack.enter_async_context(fleet())).server.port
        else:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listening.getsockname()[1]
        status, said = await run(f"--port={port}")
        assert status == 1
        assert f"can't listen on 127.0.0.1:{port}: " in said


async def test_tls_needs_redis() -> None:
    status, said = await run("--cert=chain.pem")
    assert status == 2
    assert "--workers with --cert needs --redis" in said


async def test_a_token_to_use_once_is_for_one_room() -> None:
    """Each worker knows the tokens that were used for its rooms only."""
    async with fleet("--insecure") as there:
        assert there.server.process.returncode is None
    environment = {"RESTARTICE_SIGNALING_SECRET": SECRET}
    options = ("--port=0", f"--workers={COUNT}")
    async with node(*options, environment=environment) as server:
        for room, expected in (("room-*", "error"), ("room-1", "welcome")):
            token = make_token(SECRET, room, once=True)
            async with dial(server.url) as wire:
                await wire.say(type="hello", protocol=1, room="room-1", token=token)
                assert (await wire.hear())["type"] == expected
        for _ in range(4):
            async with dial(server.url) as wire:
                await wire.say(type="hello", protocol=1, room="room-1", token=token)
                assert (await wire.hear())["message"] == "the token has been used"


async def test_too_much_with_the_hello_is_refused() -> None:
    async with fleet("--max-message-size=1000000") as there:
        answers = set()
        for room in ROOMS:
            async with dial(there.url) as wire:
                hello = {"type": "hello", "protocol": 1, "room": room, "ignored": "x" * 200_000}
                await wire.say(**hello)
                answer = await wire.hear()
                answers.add(answer.get("code", answer["type"]))
        # It depends on which worker got it, but each is answered.
        assert answers <= {"welcome", "too-large"}
        assert "too-large" in answers
