"""Offers that are POSTed to a web server, whose responses are the answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
import aiortc
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from conftest import Factory
from connecting import (
    DEADLINE,
    sending_ufrags,
    wait_connected,
    wait_for_state,
    wait_restarted,
    wait_until,
)
from restartice import (
    AudioStreamTrack,
    RecoverySettings,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from restartice_signaling import BadMessage, Negotiator, ServerError, SignalingClosed
from restartice_signaling.http_signaling import HttpAnswerer, HttpSignaling

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

# A machine that is busy takes its time for an answer, which isn't a failed restart.
PATIENT = RecoverySettings(attempt_timeout=DEADLINE)


class Server:
    """A web server that sends its clients a picture, and echoes what they say."""

    def __init__(self) -> None:
        self.made: list[RTCPeerConnection] = []
        self.answerer = HttpAnswerer(self.prepare, limit=3)
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def prepare(self, pc: RTCPeerConnection) -> None:
        self.made.append(pc)
        pc.addTrack(VideoStreamTrack())

        @pc.on("datachannel")
        def echo(channel: aiortc.RTCDataChannel) -> None:
            channel.on("message", channel.send)

    async def start(self) -> None:
        app = web.Application()
        self.answerer.add_to(app, "/offer")
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/offer"

    async def stop_listening(self) -> None:
        """Refuse connections, and keep the calls."""
        assert self._runner is not None
        for site in list(self._runner.sites):
            await site.stop()

    async def listen(self) -> None:
        assert self._runner is not None
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def close(self) -> None:
        """End, and with it all calls."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


@pytest.fixture
async def server(make_pc: Factory) -> AsyncIterator[Server]:  # noqa: ARG001
    # make_pc looks for what is left behind, which it can do when the server is closed.
    server = Server()
    await server.start()
    yield server
    await server.close()


class Client:
    """A connection with a picture of the server, and a channel that is echoed."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self.pc = pc
        self.errors: list[Exception] = []
        self.echoes: asyncio.Queue[str] = asyncio.Queue()
        self.tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        pc.on("track", self.tracks.put_nowait)
        pc.addTransceiver("video", direction="recvonly")
        self.channel = pc.createDataChannel("echo")
        self.channel.on("message", self.echoes.put_nowait)

    async def check(self) -> None:
        await wait_for_state(self.pc, "signalingState", "stable")
        await wait_until(self.channel, "open", lambda: self.channel.readyState == "open")
        self.channel.send("hello")
        async with asyncio.timeout(DEADLINE):
            assert await self.echoes.get() == "hello"


async def enter(
    stack: AsyncExitStack, url: str, pc: RTCPeerConnection
) -> tuple[Client, Negotiator]:
    signaling = await stack.enter_async_context(HttpSignaling(url))
    client = Client(pc)
    negotiator = Negotiator(pc, signaling, recovery=PATIENT, on_error=client.errors.append)
    # The events of what was added come after this.
    return client, await stack.enter_async_context(negotiator)


async def test_a_call(server: Server, make_pc: Factory) -> None:
    async with AsyncExitStack() as stack:
        client, _ = await enter(stack, server.url, make_pc())
        await client.check()
        async with asyncio.timeout(DEADLINE):
            await (await client.tracks.get()).recv()
        (pc,) = server.answerer.connections.values()
        before = [sending_ufrags(client.pc), sending_ufrags(pc)]
        client.pc.restartIce()
        await wait_restarted(client.pc, pc, since=before)
        client.pc.addTrack(AudioStreamTrack())
        await wait_until(pc, "signalingstatechange", lambda: len(pc.getTransceivers()) == 2)
        await client.check()
        assert client.errors == []
        assert server.made == [pc]
    # The client has said goodbye.
    assert not server.answerer.connections
    assert pc.connectionState == "closed"


async def test_what_fails_is_repeated(server: Server, make_pc: Factory) -> None:
    """The first offer, and that of a restart: they wait for the server."""
    await server.stop_listening()
    async with AsyncExitStack() as stack:
        client, _ = await enter(stack, server.url, make_pc())
        await wait_for_state(client.pc, "signalingState", "have-local-offer")
        await server.listen()
        await client.check()
        (pc,) = server.made
        await server.stop_listening()
        before = [sending_ufrags(client.pc), sending_ufrags(pc)]
        client.pc.restartIce()
        await wait_for_state(client.pc, "signalingState", "have-local-offer")
        await server.listen()
        await wait_restarted(client.pc, pc, since=before)
        await client.check()
        assert client.errors == []
        assert server.made == [pc]


async def test_a_server_that_has_forgotten_the_client(server: Server, make_pc: Factory) -> None:
    async with AsyncExitStack() as stack:
        client, negotiator = await enter(stack, server.url, make_pc())
        await client.check()
        server.answerer._sessions.clear()  # as if its process had been killed
        client.pc.addTrack(AudioStreamTrack())
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(SignalingClosed, match="no connection of this session"):
                await negotiator.wait_closed()
        (pc,) = server.made
        await pc.close()


async def test_a_plain_client_of_aiortc(server: Server) -> None:
    """What the page of aiortc's example sends."""
    pc = aiortc.RTCPeerConnection()
    try:
        pc.addTransceiver("video", direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        offer = {"sdp": pc.localDescription.sdp, "type": pc.localDescription.type}
        async with aiohttp.ClientSession() as http, http.post(server.url, json=offer) as response:
            assert response.status == 201
            answer = await response.json()
        assert response.headers["Location"] == f"/offer/{answer['session']}"
        await pc.setRemoteDescription(aiortc.RTCSessionDescription(answer["sdp"], answer["type"]))
        await wait_connected(*server.made)
        # It comes again when the response was lost.
        again = await server.answerer.connect({**offer, "session": answer["session"]})
        assert again["session"] == answer["session"]
        assert len(server.made) == 1
    finally:
        await pc.close()


async def test_what_is_wrong_is_refused_and_leaves_nothing(server: Server) -> None:
    offer = {"type": "offer", "sdp": "v=0\r\n"}
    wrong = [
        ("", "not JSON", 400),
        ("", "[]", 400),
        ("", "{}", 400),
        ("", json.dumps({"type": "answer", "sdp": ""}), 400),
        ("", json.dumps({"type": "offer", "sdp": "hello"}), 400),
        ("", json.dumps({**offer, "session": 7}), 400),
        ("", json.dumps({**offer, "session": "x" * 65}), 400),
        ("/unknown", json.dumps(offer), 404),
    ]
    async with aiohttp.ClientSession() as http:
        for path, body, status in wrong:
            async with http.post(server.url + path, data=body) as response:
                assert (response.status, body) == (status, body)
                assert await response.text()
        async with http.delete(server.url + "/unknown") as response:
            assert response.status == 204
    assert not server.answerer.connections
    assert all(pc.connectionState == "closed" for pc in server.made)


async def test_there_is_a_limit(server: Server, offer: RTCSessionDescription) -> None:
    body = {"type": offer.type, "sdp": offer.sdp}
    for _ in range(3):
        await server.answerer.connect(body)
    async with aiohttp.ClientSession() as http, http.post(server.url, json=body) as response:
        assert response.status == 503
    await server.made[0].close()
    assert len(server.answerer.connections) == 2


async def test_what_the_server_refuses_is_told(server: Server, make_pc: Factory) -> None:
    async with AsyncExitStack() as stack:
        client, _ = await enter(stack, server.url + "/", make_pc())
        await client.check()
        errors: asyncio.Queue[Exception] = asyncio.Queue()
        other = await stack.enter_async_context(
            HttpSignaling(server.url.replace("/offer", "/other"))
        )
        pc = make_pc()
        pc.createDataChannel("echo")
        await stack.enter_async_context(Negotiator(pc, other, on_error=errors.put_nowait))
        async with asyncio.timeout(DEADLINE):
            error = await errors.get()
        assert isinstance(error, ServerError)
        assert error.code == "404"


@pytest.mark.parametrize("text", ["hello", "[]", "[" * 100_000, '{"type": "offer"}'], ids=ascii)
async def test_what_is_no_answer_is_told(make_pc: Factory, text: str) -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(text=text)

    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_post("/offer", respond)
        server = TestServer(app)
        stack.push_async_callback(server.close)
        await server.start_server()
        signaling = await stack.enter_async_context(HttpSignaling(str(server.make_url("/offer"))))
        pc = make_pc()
        pc.createDataChannel("echo")
        errors: asyncio.Queue[Exception] = asyncio.Queue()
        await stack.enter_async_context(Negotiator(pc, signaling, on_error=errors.put_nowait))
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await errors.get(), BadMessage)


async def test_who_leaves_before_the_answer_leaves_nothing(
    server: Server, make_pc: Factory
) -> None:
    preparing, go = asyncio.Event(), asyncio.Event()

    async def prepare(pc: RTCPeerConnection) -> None:
        server.made.append(pc)
        preparing.set()
        await go.wait()

    server.answerer._prepare = prepare
    async with HttpSignaling(server.url) as signaling:
        pc = make_pc()
        async with Negotiator(pc, signaling):
            pc.createDataChannel("x")
            async with asyncio.timeout(DEADLINE):
                await preparing.wait()
    go.set()
    assert not server.answerer.connections
    assert server.made[0].connectionState == "closed"


async def test_the_query_of_the_url_is_kept(make_pc: Factory) -> None:
    """It may have a token, so each request needs it."""
    asked: list[tuple[str, str]] = []
    answerer = HttpAnswerer(lambda _: None)

    async def note(request: web.Request, _: web.StreamResponse) -> None:
        asked.append((request.method, request.path_qs))

    app = web.Application()
    app.on_response_prepare.append(note)
    answerer.add_to(app, "/offer")
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/offer/?token=a-b"
    async with HttpSignaling(url) as signaling:
        pc = make_pc()
        async with Negotiator(pc, signaling):
            pc.createDataChannel("x")
            await wait_connected(pc)
            (name,) = answerer.connections
    await runner.cleanup()
    assert asked == [
        ("POST", "/offer?token=a-b"),
        ("DELETE", f"/offer/{name}?token=a-b"),
    ]


async def test_it_is_used_as_a_context_manager(offer: RTCSessionDescription) -> None:
    with pytest.raises(SignalingClosed):
        await HttpSignaling("http://127.0.0.1:9/offer").send_description(offer)
