"""What those rely on who deploy a server: TLS, origins, health, metrics, and a clean drain."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from connecting import DEADLINE
from redisserver import RedisServer, redis_server
from restartice_signaling import (
    CustomReceived,
    Reconnected,
    ServerSettings,
    SignalingClosed,
    SignalingServer,
    WebSocketSignaling,
    make_token,
    serve,
)
from restartice_signaling.protocol.messages import SUBPROTOCOL
from selfsigned import make_certificate
from signalingevents import next_of
from signalingnode import node
from wire import dial

SECRET = "0123456789" * 4


# TLS.


async def test_tls(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    async with node("--port=0", f"--cert={chain}", f"--key={key}") as server:
        assert server.url.startswith("wss://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(chain))
        async with (
            WebSocketSignaling(server.url, room="room", peer="a", ssl=trusting) as first,
            WebSocketSignaling(server.url, room="room", peer="b", ssl=trusting) as second,
        ):
            await first.send_custom("secret")
            assert await next_of(second, CustomReceived) == CustomReceived("a", "secret")
        # Who doesn't know the certificate doesn't speak to the server.
        with pytest.raises(SignalingClosed, match="certificate"):
            await WebSocketSignaling(server.url, room="room").connect()
        with pytest.raises(SignalingClosed):
            await WebSocketSignaling(server.url.replace("wss", "ws"), room="room").connect()


# Origins.


async def is_let_in(server: SignalingServer, origin: str | None) -> bool:
    try:
        async with connect(
            server.url,
            origin=None if origin is None else Origin(origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
        ):
            return True
    except InvalidStatus as refused:
        if refused.response.status_code == HTTPStatus.FORBIDDEN:
            return False
        raise


@pytest.mark.parametrize(
    ("settings", "good", "bad"),
    [
        (
            ServerSettings(),
            [None, "http://localhost:8000", "https://127.0.0.1", "http://[::1]:80"],
            ["https://example.org", "http://localhost.example.org", "http://127.0.0.1.example.org"],
        ),
        (
            ServerSettings(origins=["https://example.org"]),
            ["https://example.org"],
            [None, "http://example.org", "https://example.org.example.com", "http://localhost"],
        ),
        (ServerSettings(secret=SECRET), [None, "https://example.org"], []),
    ],
    ids=["open", "listed", "tokens"],
)
async def test_web_sites_that_may_connect(
    settings: ServerSettings, good: list[str | None], bad: list[str | None]
) -> None:
    async with serve(settings=settings) as server:
        for origin in good:
            assert await is_let_in(server, origin), origin
        for origin in bad:
            assert not await is_let_in(server, origin), origin


# Health and metrics.


async def get(port: int, path: str) -> tuple[int, str]:
    """Ask by HTTP; return the status and the body."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def metrics_of(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_metrics_count_what_happens() -> None:
    settings = ServerSettings(secret=SECRET)
    token = make_token(SECRET, "room")
    async with serve(settings=settings) as server:
        async with (
            WebSocketSignaling(server.url, room="room", peer="a", token=token) as first,
            WebSocketSignaling(server.url, room="room", peer="b", token=token) as second,
        ):
            await first.send_custom(1)
            await next_of(second, CustomReceived)
            async with dial(server.url) as stranger:
                await stranger.say(type="hello", protocol=1, room="room")
                assert await stranger.close_code() == 4003
            status, text = await get(server.port, "/metrics")
        assert status == 200
        found = metrics_of(text)
        expected = {
            "rtc_signal_joined_total": 2,
            "rtc_signal_relayed_total": 1,
            'rtc_signal_refused_total{code="auth"}': 1,
            'rtc_signal_closed_total{code="4003"}': 1,
        }
        assert expected.items() <= found.items()
        assert found["rtc_signal_connections"] >= 2
        for word in ("room", token, '"a"', '"b"'):
            assert word not in text


async def test_health(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis, node("--port=0", f"--redis={redis.url}") as server:
        assert await get(server.port, "/healthz") == (200, "ok\n")
        await redis.kill()
        async with asyncio.timeout(DEADLINE):
            while (await get(server.port, "/healthz"))[0] == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert await get(server.port, "/healthz") == (503, "backend down\n")


# Draining.


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as server:
        yield server


async def test_at_sigterm_clients_are_sent_to_another_node(redis: RedisServer) -> None:
    options = ("--port=0", f"--redis={redis.url}")
    async with node(*options) as one, node(*options) as two:
        urls = [one.url, two.url]
        async with (
            dial(one.url) as wire,
            WebSocketSignaling(urls, room="room", peer="a") as first,
            WebSocketSignaling(two.url, room="room", peer="b") as second,
        ):
            await wire.join("other")
            await first.wait_for_peer("b")
            one.process.send_signal(signal.SIGTERM)
            goaway = await wire.hear()
            assert (goaway["type"], goaway["reason"]) == ("goaway", "draining")
            low, high = goaway["reconnectIn"]
            assert 0 <= low < high
            with pytest.raises(ConnectionClosed):
                await wire.socket.recv()
            assert wire.socket.close_code == 1001
            await second.send_custom("meanwhile")
            assert await next_of(first, Reconnected) == Reconnected(resumed=True)
            assert await next_of(first, CustomReceived) == CustomReceived("b", "meanwhile")
            await first.send_custom("from here")
            assert await next_of(second, CustomReceived) == CustomReceived("a", "from here")
            async with asyncio.timeout(DEADLINE):
                assert await one.process.wait() == 0
