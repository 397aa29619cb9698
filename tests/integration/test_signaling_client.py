"""The client, used as aiortc's examples use theirs, and with its events."""

import asyncio
from collections.abc import AsyncIterator

import aiortc
import pytest
from aiortc.contrib.signaling import BYE, BaseSignaling

from conftest import Factory
from restartice_signaling import (
    CustomReceived,
    Event,
    NoPeer,
    PeerJoined,
    PeerLeft,
    Refused,
    ServerError,
    ServerSettings,
    SignalingClosed,
    SignalingError,
    SignalingServer,
    WebSocketSignaling,
    make_token,
    serve,
)
from signalingevents import next_of


@pytest.fixture
async def server(make_pc: Factory) -> AsyncIterator[SignalingServer]:  # noqa: ARG001
    # make_pc looks for what is left behind, which it can do when the server is closed.
    async with serve() as server:
        yield server


# A program in the shape of aiortc's examples, for any signaling of theirs.


async def consume_signaling(pc: aiortc.RTCPeerConnection, signaling: BaseSignaling) -> None:
    while True:
        obj = await signaling.receive()
        if isinstance(obj, aiortc.RTCSessionDescription):
            await pc.setRemoteDescription(obj)
            if obj.type == "offer":
                await pc.setLocalDescription(await pc.createAnswer())
                await signaling.send(pc.localDescription)
        elif isinstance(obj, aiortc.RTCIceCandidate):
            await pc.addIceCandidate(obj)
        elif obj is BYE:
            return


async def run_offer(pc: aiortc.RTCPeerConnection, signaling: BaseSignaling) -> str:
    await signaling.connect()
    channel = pc.createDataChannel("chat")
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    channel.on("open", lambda: channel.send("ping"))
    channel.on("message", answer.set_result)
    await pc.setLocalDescription(await pc.createOffer())
    await signaling.send(pc.localDescription)
    consumer = asyncio.create_task(consume_signaling(pc, signaling))
    try:
        return await answer
    finally:
        await signaling.send(BYE)
        await consumer


async def run_answer(pc: aiortc.RTCPeerConnection, signaling: BaseSignaling) -> None:
    await signaling.connect()

    @pc.on("datachannel")
    def on_datachannel(channel: aiortc.RTCDataChannel) -> None:
        channel.on("message", lambda message: channel.send(f"pong to {message}"))

    await consume_signaling(pc, signaling)
    await signaling.close()


@pytest.mark.parametrize("offers_first", [True, False])
async def test_runs_under_a_program_of_aiortcs_shape(
    server: SignalingServer, make_pc: Factory, offers_first: bool
) -> None:
    programs = [
        run_offer(make_pc(), WebSocketSignaling(server.url, room="chat")),
        run_answer(make_pc(), WebSocketSignaling(server.url, room="chat")),
    ]
    if not offers_first:
        programs.reverse()
    assert "pong to ping" in await asyncio.gather(*programs)


# Events.


async def test_tells_who_is_there_comes_and_goes(server: SignalingServer) -> None:
    meta = {"name": "robot"}
    async with WebSocketSignaling(server.url, room="room", peer="a", meta=meta) as first:
        assert (first.peer, first.peers, first.polite) == ("a", {}, None)
        async with WebSocketSignaling(server.url, room="room", peer="b") as second:
            assert (second.polite, second.peers["a"].meta) == (True, meta)
            joined = await next_of(first, PeerJoined)
            assert isinstance(joined, PeerJoined)
            assert (joined.peer, first.polite) == ("b", False)
            assert isinstance(await next_of(second, PeerJoined), PeerJoined)
        assert await next_of(first, PeerLeft) == PeerLeft("b", "bye")
        assert first.peers == {}


async def test_custom_messages_go_both_ways(server: SignalingServer) -> None:
    value = {"text": "héllo", "numbers": [1, 2.5, None]}
    async with (
        WebSocketSignaling(server.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        await first.send_custom(value)
        assert await next_of(second, CustomReceived) == CustomReceived("a", value)
        await second.send_custom(value, "a")
        assert await next_of(first, CustomReceived) == CustomReceived("b", value)


async def test_sending_waits_for_the_other_peer(server: SignalingServer) -> None:
    async with WebSocketSignaling(server.url, room="room") as first:
        sending = asyncio.create_task(first.send_custom("early"))
        async with WebSocketSignaling(server.url, room="room") as second:
            event = await next_of(second, CustomReceived)
            assert isinstance(event, CustomReceived)
            assert event.value == "early"
            await sending


async def test_several_others_need_an_address(server: SignalingServer) -> None:
    async with (
        WebSocketSignaling(server.url, room="room", peer="a"),
        WebSocketSignaling(server.url, room="room", peer="b") as second,
        WebSocketSignaling(server.url, room="room", peer="c") as third,
    ):
        with pytest.raises(NoPeer, match="or the id of one, got"):
            await third.send_custom("whom?")
        await third.send_custom("you", "b")
        assert await next_of(second, CustomReceived) == CustomReceived("c", "you")


async def test_what_cannot_be_sent_is_refused_at_the_call(server: SignalingServer) -> None:
    async with (
        WebSocketSignaling(server.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        with pytest.raises(TypeError, match="None or BYE, got str"):
            await first.send("text")
        with pytest.raises(TypeError):
            await first.send_custom(object())
        with pytest.raises(ValueError, match="JSON"):
            await first.send_custom(float("inf"))
        await first.send_custom("good")
        assert await next_of(second, CustomReceived) == CustomReceived("a", "good")


async def test_before_and_after(server: SignalingServer) -> None:
    signaling = WebSocketSignaling(server.url, room="room")
    for step in (signaling.send(None), signaling.receive(), signaling.wait_for_peer()):
        with pytest.raises(SignalingClosed, match="comes first"):
            await step
    await signaling.connect()
    with pytest.raises(SignalingError, match="before"):
        await signaling.connect()
    waiting = asyncio.create_task(signaling.receive())
    await signaling.close()
    await signaling.close()
    assert await waiting is BYE
    assert await signaling.receive() is BYE
    with pytest.raises(SignalingClosed):
        await signaling.send(None)


async def test_a_server_that_refuses(server: SignalingServer) -> None:
    meta = {"name": "x" * server.settings.max_meta}
    signaling = WebSocketSignaling(server.url, room="room", meta=meta)
    with pytest.raises(ServerError) as caught:
        await signaling.connect()
    assert caught.value.code == "too-large"


async def test_no_server(server: SignalingServer) -> None:
    url = server.url
    await server.close()
    with pytest.raises(SignalingClosed, match="can't reach"):
        await WebSocketSignaling(url, room="room").connect()


async def test_cancelling_a_read_loses_nothing(server: SignalingServer) -> None:
    async with (
        WebSocketSignaling(server.url, room="room", peer="a") as first,
        WebSocketSignaling(server.url, room="room", peer="b") as second,
    ):
        assert isinstance(await next_of(second, PeerJoined), PeerJoined)
        received: list[Event] = []
        for number in range(50):
            await first.send_custom(number)
            reading = asyncio.create_task(next_of(second, CustomReceived))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            reading.cancel()
            received += [
                e
                for e in await asyncio.gather(reading, return_exceptions=True)
                if isinstance(e, CustomReceived)
            ]
        while len(received) < 50:
            received.append(await next_of(second, CustomReceived))
        assert received == [CustomReceived("a", number) for number in range(50)]


async def test_an_error_of_the_server_is_an_event() -> None:
    secret = "0123456789" * 4
    token = make_token(secret, "room", rights=["signal"])
    async with (
        serve(settings=ServerSettings(secret=secret)) as server,
        WebSocketSignaling(server.url, room="room", peer="a", token=token) as first,
        WebSocketSignaling(server.url, room="room", peer="b", token=token),
    ):
        await first.send_custom("not allowed")
        event = await next_of(first, Refused)
        assert isinstance(event, Refused)
        assert isinstance(event.error, ServerError)
        assert (event.error.code, event.error.ref) == ("auth", 1)
