"""Clients that come and go take turns; who stays comes back at once, and others hardly wait."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from connecting import DEADLINE
from restartice_signaling import ServerSettings, SignalingServer, serve
from restartice_signaling.protocol.messages import SUBPROTOCOL
from wire import Wire, dial

STORM = 400
CHURNERS = 8
# So many come and go before anybody waits: the rate, and what has come until then.
RATE = 20.0
HANDSHAKE = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def reach(condition: Callable[[], bool]) -> None:
    """Wait until something holds of which nobody tells."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def from_elsewhere(url: str) -> AsyncIterator[Wire]:
    """Open a connection from another address of this machine."""
    protocols = [Subprotocol(SUBPROTOCOL)]
    async with connect(url, subprotocols=protocols, local_addr=("127.0.0.2", 0)) as socket:
        yield Wire(socket)


async def come_and_go(url: str) -> None:
    while True:
        with contextlib.suppress(OSError, ConnectionClosed):
            async with dial(url) as wire:
                await wire.join(room="churn")
                await wire.say(type="bye")


@contextlib.asynccontextmanager
async def churned(settings: ServerSettings) -> AsyncIterator[SignalingServer]:
    """Run a server where strangers come and go as fast as they may."""
    async with serve(settings=settings) as server:
        strangers = [asyncio.create_task(come_and_go(server.url)) for _ in range(CHURNERS)]
        try:
            await reach(lambda: server.metrics.delayed > 0)
            yield server
        finally:
            for stranger in strangers:
                stranger.cancel()
            await asyncio.gather(*strangers, return_exceptions=True)


async def test_who_comes_and_goes_is_let_in_slowly() -> None:
    async with churned(ServerSettings(newcomers=RATE)) as server:
        began, before = time.monotonic(), server.metrics.joined
        await reach(lambda: server.metrics.joined >= before + 2 * RATE)
        # What was let in just before may join after it.
        assert time.monotonic() - began >= (2 * RATE - CHURNERS - 1) / RATE
        assert server.metrics.pending <= CHURNERS


async def test_another_address_has_its_turn_soon_and_a_probe_too() -> None:
    # Whoever is the last of one queue for all waits for as many turns as there are churners.
    async with churned(ServerSettings(newcomers=2.0)) as server, asyncio.timeout(DEADLINE):
        before = server.metrics.joined
        async with from_elsewhere(server.url) as wire:
            await wire.join(room="honest")
        assert server.metrics.joined - before <= CHURNERS // 2
        before = server.metrics.joined
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
        assert server.metrics.joined - before <= CHURNERS // 2


async def test_a_storm_of_those_who_stay_waits_for_nobody() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(settings=ServerSettings(newcomers=RATE)))

        async def come(number: int) -> None:
            wire = await stack.enter_async_context(dial(server.url))
            await wire.join(room=f"room-{number // 2}")

        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(come(number) for number in range(STORM)))
        assert server.metrics.joined == STORM
        assert server.metrics.delayed == 0


@pytest.mark.parametrize("ended", [True, False])
async def test_who_goes_away_while_it_waits_has_no_turn(ended: bool) -> None:
    async with churned(ServerSettings(newcomers=0.5)) as server, asyncio.timeout(DEADLINE):
        before = server.metrics.connections
        writers = []
        for _ in range(50):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(HANDSHAKE)
            writers.append(writer)
        await reach(lambda: server.metrics.connections >= before + len(writers) - CHURNERS)
        for writer in writers:
            if ended:
                writer.close()
            else:
                writer.transport.abort()
        # 50 turns would take 100 s.
        await reach(lambda: server.metrics.connections <= before + CHURNERS)


async def test_those_of_one_address_give_way_to_those_of_another() -> None:
    settings = ServerSettings(newcomers=1.0, max_pending=20)
    async with churned(settings) as server, asyncio.timeout(DEADLINE):
        writers = []
        for _ in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(HANDSHAKE)
            writers.append(writer)
        async with from_elsewhere(server.url) as wire:
            await wire.join(room="honest")
        assert server.metrics.pending <= 20
        assert server.metrics.refused["overload"] >= 20
        for writer in writers:
            writer.close()
