"""Whatever one client sends: it is told what is wrong, and nobody else notices."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus, NegotiationError

from restartice_signaling import Limits, ServerSettings, SignalingServer, serve
from wire import Wire, dial

ROOM_OF_TWO = tuple[Wire, Wire]


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    settings = ServerSettings(limits=Limits(max_message_size=4096))
    async with serve(settings=settings) as server:
        yield server


@pytest.fixture
async def pair(server: SignalingServer) -> AsyncIterator[ROOM_OF_TWO]:
    """Two clients in a room, `a` and `b`, each of which knows of the other."""
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(dial(server.url)) for _ in range(2)]
        await first.join(peer="a")
        await second.join(peer="b")
        assert (await first.hear())["event"] == "joined"
        yield first, second


async def check_relays(sender: Wire, receiver: Wire, seq: int) -> None:
    """Check that the room is unharmed: a message comes through, and it is the next one."""
    await sender.say(type="signal", seq=seq, data={"custom": f"number {seq}"})
    message = await receiver.hear()
    assert (message["type"], message["data"]) == ("signal", {"custom": f"number {seq}"})


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ("no JSON", "must be JSON"),
        (b"\x00\x01", "text frame"),
        (b'{"type": "bye"}', "text frame"),
        ("[1, 2]", "JSON object"),
        ("[" * 4000, "must be JSON"),
        ('{"type": "ping", "t": 1e999}', "must be JSON"),
        (json.dumps({"type": "bye", "a": json.loads("[" * 50 + "]" * 50)}), "nested deeper"),
        (json.dumps({"type": "party"}), "unknown type 'party'"),
        (json.dumps({"type": "signal"}), "data must be"),
        (json.dumps({"type": "welcome"}), "session must be"),
        (json.dumps({"type": "error", "code": "auth", "message": ""}), "must not send a message"),
        (json.dumps({"type": "hello", "protocol": 1, "room": "room"}), "must not send a message"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_bad_message_is_answered_by_an_error(
    pair: ROOM_OF_TWO, frame: str | bytes, complaint: str
) -> None:
    first, second = pair
    await first.socket.send(frame)
    error = await first.hear()
    assert (error["type"], error["code"], error["fatal"]) == ("error", "bad-message", False)
    assert complaint in error["message"]
    await check_relays(first, second, 1)
    await check_relays(second, first, 1)


async def test_an_error_says_which_message_it_is_about(pair: ROOM_OF_TWO) -> None:
    first, second = pair
    await first.say(type="signal", seq=1, data={"description": {"type": "offer", "sdp": 1}})
    error = await first.hear()
    assert (error["code"], error["ref"]) == ("bad-message", 1)
    await check_relays(first, second, 2)


async def test_too_large_a_message_ends_its_senders_connection_only(
    server: SignalingServer, pair: ROOM_OF_TWO
) -> None:
    first, second = pair
    async with dial(server.url) as third:
        await third.join(peer="c")
        assert (await first.hear())["peer"] == (await second.hear())["peer"] == "c"
        await third.say(type="signal", seq=1, to="a", data={"custom": "x" * 5000})
        assert await third.close_code() == 1009
    await first.say(type="signal", seq=1, to="b", data={"custom": 1})
    assert [m["type"] for m in await hear_until(second, "signal")][-1] == "signal"


async def hear_until(wire: Wire, kind: str) -> list[dict[str, Any]]:
    messages = [await wire.hear()]
    while messages[-1]["type"] != kind:
        messages.append(await wire.hear())
    return messages


async def test_a_message_to_a_peer_that_left(server: SignalingServer, pair: ROOM_OF_TWO) -> None:
    first, second = pair
    async with dial(server.url) as third:
        welcome = await third.join(peer="c")
        gone = (await first.hear())["instance"]
        await second.hear()
        await third.say(type="bye", reason="done")
    assert welcome["peer"] == "c"
    for receiver in pair:
        left = await receiver.hear()
        assert (left["event"], left["peer"], left["reason"]) == ("left", "c", "done")
    await first.say(type="signal", seq=1, to="c", instance=gone, data={"custom": 1})
    error = await first.hear()
    assert (error["type"], error["code"], error["ref"]) == ("error", "no-peer", 1)
    await check_relays(first, second, 2)


async def test_an_answer_for_a_peer_that_was_born_again(
    server: SignalingServer, pair: ROOM_OF_TWO
) -> None:
    first, second = pair
    await second.say(type="bye")
    assert await second.close_code() == 1000
    assert (await first.hear())["event"] == "left"
    async with dial(server.url) as reborn:
        await reborn.join(peer="b")
        joined = await first.hear()
        answer = {"description": {"type": "answer", "sdp": ""}}
        await first.say(type="signal", seq=1, to="b", instance="0123456789abcdef", data=answer)
        assert (await first.hear())["code"] == "no-peer"
        await first.say(type="signal", seq=2, to="b", instance=joined["instance"], data=answer)
        assert (await reborn.hear())["data"] == answer


async def test_alone_in_a_room(server: SignalingServer) -> None:
    async with dial(server.url) as wire:
        await wire.join()
        await wire.say(type="signal", seq=1, data={"custom": 1})
        assert (await wire.hear())["code"] == "no-peer"
        await wire.say(type="ping", t=12)
        assert await wire.hear() == {"type": "pong", "t": 12}


@pytest.mark.parametrize(
    "frame",
    [
        "no JSON",
        b"\x00",
        json.dumps({"type": "signal", "seq": 1, "data": {"custom": 1}}),
        json.dumps({"type": "hello", "protocol": 2, "room": "room"}),
        json.dumps({"type": "hello", "protocol": 1}),
        json.dumps({"type": "hello", "protocol": 1, "room": "no/room"}),
        json.dumps({"type": "hello", "protocol": 1, "room": "room", "meta": 1}),
    ],
    ids=repr,
)
async def test_without_a_good_hello_nobody_gets_in(
    server: SignalingServer, pair: ROOM_OF_TWO, frame: str | bytes
) -> None:
    async with dial(server.url) as wire:
        await wire.socket.send(frame)
        error = await wire.hear()
        assert (error["code"], error["fatal"]) == ("protocol", True)
        assert await wire.close_code() == 4000
    await check_relays(*pair, 1)


async def test_a_client_that_says_no_hello_in_time_is_closed() -> None:
    settings = ServerSettings(hello_timeout=0.5)
    async with serve(settings=settings) as server, dial(server.url) as wire:
        error = await wire.hear()
        assert (error["code"], error["message"]) == ("protocol", "expected a hello within 0.5 s")
        assert await wire.close_code() == 4000


@pytest.mark.parametrize("subprotocol", [None, "rtc-signal.v9"])
async def test_the_subprotocol_must_be_ours(
    server: SignalingServer, pair: ROOM_OF_TWO, subprotocol: str | None
) -> None:
    with pytest.raises((InvalidStatus, NegotiationError)):
        async with dial(server.url, subprotocol):
            pass
    await check_relays(*pair, 1)


@pytest.mark.usefixtures("pair")
async def test_a_full_room(server: SignalingServer) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(6):
            wire = await stack.enter_async_context(dial(server.url))
            await wire.join()
        late = await stack.enter_async_context(dial(server.url))
        await late.say(type="hello", protocol=1, room="room")
        assert (await late.hear())["code"] == "room-full"
        assert await late.close_code() == 4009
        other = await stack.enter_async_context(dial(server.url))
        assert (await other.join("other"))["peers"] == []


async def test_a_doubled_message_arrives_once(pair: ROOM_OF_TWO) -> None:
    first, second = pair
    await check_relays(first, second, 1)
    await first.say(type="signal", seq=1, data={"custom": "number 1"})
    await check_relays(first, second, 2)
