"""A client whose application is late to read what has come: it holds up nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connecting import DEADLINE
from forwarder import forwarder
from owntime import own_time
from restartice_signaling import (
    BackendLimits,
    CustomReceived,
    Disconnected,
    Event,
    Heartbeat,
    Limits,
    PeerJoined,
    PeerLeft,
    Reconnected,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    serve,
)

FAST = Limits(rate=1e6, burst=1_000_000)


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with serve(settings=ServerSettings(limits=FAST)) as server:
        yield server


async def take(signaling: WebSocketSignaling, until: Event) -> list[Event]:
    """Return what is told, up to an event."""
    events: list[Event] = []
    async with asyncio.timeout(DEADLINE):
        async for event in signaling:
            events.append(event)
            if event == until:
                break
    return events


async def receive_numbers(signaling: WebSocketSignaling, count: int) -> list[int]:
    numbers: list[int] = []
    async with asyncio.timeout(DEADLINE):
        async for event in signaling:
            if isinstance(event, CustomReceived):
                numbers.append(event.value)
                if len(numbers) == count:
                    break
    return numbers


async def send_numbers(signaling: WebSocketSignaling, count: int) -> None:
    for number in range(count):
        await signaling.send_custom(number)


async def test_sending_goes_on_while_nothing_is_read(server: SignalingServer) -> None:
    count = 3_000
    async with (
        WebSocketSignaling(server.url, room="room", peer="a") as late,
        WebSocketSignaling(server.url, room="room", peer="b") as other,
    ):
        # More than what any queue of events should be expected to hold, and in the other direction
        # more than may be unacknowledged.
        await send_numbers(other, 900)
        receiving = asyncio.create_task(receive_numbers(other, count))
        async with asyncio.timeout(DEADLINE):
            await send_numbers(late, count)
        assert await receiving == list(range(count))
        assert await receive_numbers(late, 900) == list(range(900))


async def test_two_that_answer_each_message_do_not_lock_each_other(
    server: SignalingServer,
) -> None:
    """Each sends several messages before it reads on."""

    async def answer(signaling: WebSocketSignaling) -> None:
        seen = 0
        async for event in signaling:
            if isinstance(event, CustomReceived):
                seen += 1
                for _ in range(3 if seen <= 700 else 0):
                    await signaling.send_custom(seen)
                if seen == 2_100:
                    return

    async with (
        asyncio.timeout(2 * DEADLINE),
        WebSocketSignaling(server.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        for signaling in (first, second):
            await signaling.send_custom("begin")
        await asyncio.gather(answer(first), answer(second))


async def test_heartbeats_go_on_while_nothing_is_read() -> None:
    settings = ServerSettings(heartbeat=Heartbeat(0.1, 0.5), limits=FAST)
    async with (
        serve(settings=settings) as server,
        WebSocketSignaling(server.url, room="room", peer="a") as late,
        WebSocketSignaling(server.url, room="room", peer="b") as other,
    ):
        await send_numbers(other, 600)
        received = server.metrics.received
        async with asyncio.timeout(DEADLINE):
            # Pings of both, over several times what would make them dead.
            while server.metrics.received < received + 40:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await receive_numbers(late, 600) == list(range(600))
        assert (server.metrics.resumed, server.metrics.joined) == (0, 2)
        assert other.peers["a"].state == "joined"


async def test_what_was_not_read_before_an_outage_comes_before_it_and_once(
    server: SignalingServer,
) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as late,
        WebSocketSignaling(server.url, room="room", peer="b") as other,
    ):
        for number in range(3):
            await other.send_custom(number)
        await arrived(late, 4)
        near.cut()
        await arrived(late, 6)
        await other.send_custom("after")
        events = await take(late, CustomReceived("b", "after"))
        assert [type(event) for event in events] == [
            PeerJoined,
            *[CustomReceived] * 3,
            Disconnected,
            Reconnected,
            CustomReceived,
        ]
        assert events[-2] == Reconnected(resumed=True)


async def test_what_was_not_read_outlives_its_session() -> None:
    settings = ServerSettings(rooms=BackendLimits(resume_window=0.1))
    async with (
        serve(settings=settings) as server,
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as late,
        WebSocketSignaling(server.url, room="room", peer="b") as other,
    ):
        for number in range(3):
            await other.send_custom(number)
        await arrived(late, 4)
        near.freeze()
        near.cut()
        await take(other, PeerLeft("a", "lost"))
        near.thaw()
        late.reconnect_now()
        await other.wait_for_peer("a")
        await other.send_custom("anew")
        events = await take(late, CustomReceived("b", "anew"))
        assert [e.value for e in events if isinstance(e, CustomReceived)] == [0, 1, 2, "anew"]
        assert [type(event) for event in events[4:6]] == [Disconnected, Reconnected]
        assert not events[5].resumed  # type: ignore[union-attr]
        # The numbers of the new session aren't confused with those of the old one.
        await send_numbers(other, 50)
        assert await receive_numbers(late, 50) == list(range(50))
        await late.send_custom("done")
        await take(other, CustomReceived("a", "done"))


async def arrived(signaling: WebSocketSignaling, count: int) -> None:
    """Wait until so many events wait for the application, which reads none of them."""
    async with asyncio.timeout(DEADLINE):
        while len(signaling._events) < count:  # noqa: ASYNC110  nobody is told of that
            await asyncio.sleep(0.01)


async def test_cancelling_a_send_that_waits_sends_nothing(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        await first.wait_for_peer()
        near.freeze()
        limit = first._session.limits.max_unacknowledged
        for number in range(limit):
            await first.send_custom(number)
        waiting = [asyncio.create_task(first.send_custom("never")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        near.thaw()
        await first.send_custom(limit)
        assert await receive_numbers(second, limit + 1) == list(range(limit + 1))


async def test_a_token_that_cannot_be_fetched_is_fetched_again(server: SignalingServer) -> None:
    fetched = 0

    async def fetch() -> str:
        nonlocal fetched
        fetched += 1
        if fetched == 2:
            raise OSError("no route to the token server")
        return "token"

    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a", token=fetch) as first,
    ):
        near.cut()
        await take(first, Reconnected(resumed=True))
        assert fetched == 3


async def test_a_hint_ends_an_attempt_that_hangs(server: SignalingServer) -> None:
    async with (
        forwarder(server.port) as near,
        WebSocketSignaling(near.url, room="room", peer="a") as first,
    ):
        near.freeze()
        connections = near.connections
        near.cut()
        async with asyncio.timeout(DEADLINE):
            while near.connections == connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        # That one hangs for 10 s, as to an address that is gone.
        near.thaw_new()
        first.reconnect_now()
        began = own_time()
        await take(first, Reconnected(resumed=True))
        assert own_time() - began < 8
