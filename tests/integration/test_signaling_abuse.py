"""Whatever strangers do to a server: it stays within its limits, and others notice nothing."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage

from connecting import DEADLINE
from redisserver import redis_server
from restartice_signaling import (
    BackendLimits,
    CustomReceived,
    Limits,
    PeerLeft,
    ServerError,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    make_token,
    serve,
)
from signalingevents import next_of
from signalingnode import node
from wire import Wire, dial

SECRET = "0123456789" * 4
HALF_OPEN = 2_000
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: rtc-signal.v1\r\n\r\n"
)


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process open all the files it may: both ends of the connections are here."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


async def check_unharmed(server: SignalingServer, token: str | None = None) -> None:
    """Check that two others can meet and speak."""
    async with (
        asyncio.timeout(DEADLINE),
        WebSocketSignaling(server.url, room="others", peer="x", token=token) as first,
        WebSocketSignaling(server.url, room="others", peer="y", token=token) as second,
    ):
        await first.send_custom("unharmed")
        async for event in second:
            if isinstance(event, CustomReceived):
                assert event == CustomReceived("x", "unharmed")
                return


async def flood(wire: Wire) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await wire.say(type="ping", t=1)
            # As long as the kernel takes all, nothing else lets the server and the others run.
            await asyncio.sleep(0)


async def drain(wire: Wire) -> int | None:
    """Read until the end; return the code of it."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await wire.socket.recv()
    return wire.socket.close_code


async def test_a_flood_is_read_slowly_and_then_ended() -> None:
    settings = ServerSettings(limits=Limits(rate=20, burst=10), flood_patience=1.0)
    async with serve(settings=settings) as server, dial(server.url) as wire:
        await wire.join()
        flooding = asyncio.create_task(flood(wire))
        ending = asyncio.create_task(drain(wire))
        await check_unharmed(server)
        async with asyncio.timeout(DEADLINE):
            assert await ending == 4008
            await flooding
        assert server.metrics.throttled > 0
        assert server.metrics.closed[4008] == 1
        assert server.metrics.refused["rate-limited"] == 1
        await check_unharmed(server)


@pytest.mark.parametrize("joined", [True, False])
async def test_a_huge_frame_ends_its_connection(joined: bool) -> None:
    async with serve() as server, dial(server.url) as wire:
        if joined:
            await wire.join()
        await wire.socket.send("x" * 2**17)
        assert await wire.close_code() == 1009
        await check_unharmed(server)


async def test_a_huge_frame_is_not_kept_while_it_comes() -> None:
    async with serve() as server, dial(server.url) as wire:
        # What the header says is enough: no byte of the 4 GiB has been sent.
        wire.socket.transport.write(b"\x81\xff" + (2**32).to_bytes(8) + b"mask")
        assert await wire.close_code() == 1009
        await check_unharmed(server)


@contextlib.asynccontextmanager
async def half_open(port: int, said: bytes, count: int = HALF_OPEN) -> AsyncIterator[None]:
    """Open many connections which say no more than that."""
    writers = []
    try:
        for _ in range(count):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(said)
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


def resident(pid: int) -> int:
    """Return how much of a process is in memory, in KiB."""
    status = Path("/proc", str(pid), "status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def reach(condition: Callable[[], bool]) -> None:
    """Wait until something holds of which nobody tells."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("said", [b"", b"GET / HT", HANDSHAKE], ids=["silent", "begun", "open"])
async def test_half_open_sockets_are_bounded(said: bytes) -> None:
    limit = HALF_OPEN // 2
    # None of them ends by itself meanwhile, however long it takes to open them.
    settings = ServerSettings(max_pending=limit, hello_timeout=600.0)
    async with serve(settings=settings) as server:
        metrics = server.metrics
        async with (
            WebSocketSignaling(server.url, room="room", peer="a") as first,
            WebSocketSignaling(server.url, room="room", peer="b") as second,
            half_open(server.port, said),
        ):
            await first.send_custom("past them")
            async for event in second:
                if isinstance(event, CustomReceived):
                    break
            await reach(lambda: metrics.accepted == HALF_OPEN + 2)
            assert metrics.refused["overload"] == HALF_OPEN - limit
            assert metrics.pending == limit
            await reach(lambda: metrics.connections == limit + 2)
            # Who comes now and means it is let in, too.
            await check_unharmed(server)
        await check_unharmed(server)


@pytest.mark.parametrize("said", [b"", b"GET / HT", HANDSHAKE], ids=["silent", "begun", "open"])
async def test_half_open_sockets_end(said: bytes) -> None:
    settings = ServerSettings(hello_timeout=5.0)
    async with serve(settings=settings) as server:
        metrics = server.metrics
        # They stay open on their side.
        async with half_open(server.port, said, count=settings.max_pending):
            await reach(lambda: metrics.accepted == settings.max_pending)
            await reach(lambda: metrics.connections == 0)
            assert (metrics.pending, metrics.refused["overload"]) == (0, 0)
            await check_unharmed(server)


@pytest.mark.parametrize("said", [b"GET / HT", HANDSHAKE], ids=["begun", "open"])
async def test_half_open_sockets_take_little_memory(said: bytes) -> None:
    async with node("--port=0") as server:
        before = resident(server.process.pid)
        # What the first ones leave behind serves the second ones.
        for _ in range(2):
            async with half_open(server.port, said):
                assert resident(server.process.pid) - before < 64 * 1024


async def test_the_limit_on_all_connections_holds() -> None:
    async with serve(settings=ServerSettings(max_connections=3)) as server:
        async with dial(server.url) as first, dial(server.url) as second:
            await first.join(peer="a")
            await second.join(peer="b")
            async with dial(server.url) as third:
                await third.join(peer="c")
                with pytest.raises((InvalidMessage, OSError)):
                    async with dial(server.url):
                        pass
        assert server.metrics.refused["overload"] == 1
        await reach(lambda: server.metrics.connections == 0)
        await check_unharmed(server)


async def test_too_many_sessions_are_told_to_try_later() -> None:
    settings = ServerSettings(rooms=BackendLimits(max_sessions=2))
    async with serve(settings=settings) as server, dial(server.url) as first:
        await first.join(peer="a")
        async with dial(server.url) as second:
            await second.join(peer="b")
            async with dial(server.url) as third:
                await third.say(type="hello", protocol=1, room="room")
                error = await third.hear()
                assert (error["type"], error["code"]) == ("error", "rate-limited")
                assert (error["fatal"], error["retryAfter"] > 0) == (True, True)
                assert await third.close_code() == 1013
            with pytest.raises(ServerError, match="try later"):
                await WebSocketSignaling(server.url, room="room").connect()
            await second.say(type="bye")
            assert await second.close_code() == 1000
        await first.say(type="bye")
        assert await first.close_code() == 1000
        await check_unharmed(server)


# Who may come in.


@pytest.fixture
async def guarded() -> AsyncIterator[SignalingServer]:
    async with serve(settings=ServerSettings(secret=SECRET)) as server:
        yield server


async def refusal(server: SignalingServer, **fields: object) -> tuple[str, str, int | None]:
    """Say hello; return code and message of the error, and the close code."""
    async with dial(server.url) as wire:
        await wire.say(type="hello", protocol=1, **fields)
        error = await wire.hear()
        assert error["type"] == "error", error
        return error["code"], error["message"], await wire.close_code()


async def test_rooms_cannot_be_told_apart_without_a_token(guarded: SignalingServer) -> None:
    async with dial(guarded.url) as inside:
        await inside.join(token=make_token(SECRET, "room"))
        other = make_token(SECRET, "elsewhere")
        for token in (None, "x.y.z", other):
            fields = {} if token is None else {"token": token}
            taken = await refusal(guarded, room="room", **fields)
            free = await refusal(guarded, room="nobody-here", **fields)
            assert taken == free
            assert (taken[0], taken[2]) == ("auth", 4003)
        await inside.say(type="ping", t=1)
        # It wasn't told of anybody either.
        assert (await inside.hear())["type"] == "pong"
        assert guarded.metrics.joined == 1


async def test_a_token_for_one_use_lets_in_once(guarded: SignalingServer) -> None:
    token = make_token(SECRET, "room", once=True)
    async with dial(guarded.url) as owner:
        welcome = await owner.join(token=token)
        code, message, closed = await refusal(guarded, room="room", token=token)
        assert (code, closed) == ("auth", 4003)
        assert "used" in message
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        async with dial(guarded.url) as again:
            assert (await again.join(token=token, resume=resume))["resumed"]
            assert await owner.close_code() == 4001


async def test_a_full_room_does_not_use_up_a_token() -> None:
    settings = ServerSettings(secret=SECRET, rooms=BackendLimits(max_peers=1))
    async with serve(settings=settings) as server:
        token = make_token(SECRET, "room", once=True)
        async with dial(server.url) as owner:
            await owner.join(token=make_token(SECRET, "room"))
            for _ in range(2):
                code, _, closed = await refusal(server, room="room", token=token)
                assert (code, closed) == ("room-full", 4009)
            await owner.say(type="bye")
            assert await owner.close_code() == 1000
        async with dial(server.url) as late:
            await late.join(token=token)
        code, message, _ = await refusal(server, room="room", token=token)
        assert (code, "used" in message) == ("auth", True)


async def test_a_resume_in_another_room_does_not_throw_out(guarded: SignalingServer) -> None:
    token = make_token(SECRET, "*")
    async with dial(guarded.url) as owner:
        welcome = await owner.join(token=token)
        resume = {"session": welcome["session"], "key": welcome["key"], "last": 0}
        code, _, closed = await refusal(guarded, room="elsewhere", token=token, resume=resume)
        assert (code, closed) == ("protocol", 4000)
        await owner.say(type="ping", t=1)
        assert (await owner.hear())["type"] == "pong"


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_half_of_a_character_stays_where_it_comes_from(where: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        options = ["--port=0"]
        if where == "redis":
            redis = await stack.enter_async_context(redis_server(tmp_path))
            options.append(f"--redis={redis.url}")
        server = await stack.enter_async_context(node(*options))
        other = WebSocketSignaling(server.url, room="room", peer="b")
        await stack.enter_async_context(other)
        wire = await stack.enter_async_context(dial(server.url))
        await wire.join(peer="a")
        await wire.say(type="signal", seq=1, to="b", data={"custom": "\ud800"})
        await wire.say(type="signal", seq=2, to="b", data={"custom": "whole"})
        while (error := await wire.hear())["type"] != "error":
            pass
        assert (error["code"], error["ref"], error["fatal"]) == ("bad-message", 1, False)
        assert await next_of(other, CustomReceived) == CustomReceived("a", "whole")
        await wire.say(type="bye", reason="\udfff")
        await wire.say(type="bye", reason="whole")
        assert await next_of(other, PeerLeft) == PeerLeft("a", "whole")
        async with dial(server.url) as stranger:
            await stranger.say(type="hello", protocol=1, room="room", meta={"name": "\ud800"})
            assert (await stranger.hear())["code"] == "protocol"


async def test_an_expired_token_does_not_let_in(guarded: SignalingServer) -> None:
    token = make_token(SECRET, "room", lifetime=-1)
    code, message, closed = await refusal(guarded, room="room", token=token)
    assert (code, closed) == ("auth", 4003)
    assert "expired" in message
    assert token not in json.dumps(message)
    await check_unharmed(guarded, make_token(SECRET, "others"))
