"""WHIP and WHEP: our client with our endpoint in each web framework, and each used wrongly."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import aiortc
import pytest
from aiohttp import web
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer

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
    VideoStreamTrack,
)
from restartice_signaling import BadMessage, Negotiator, ServerError, SignalingClosed
from restartice_signaling.http_signaling import HttpAnswerer, HttpSignaling
from restartice_signaling.over_http.fragments import apply_fragment, fragment_of, read_fragment
from restartice_signaling.whip import WhepClient, WhepEndpoint, WhipClient, WhipEndpoint
from webservers import AiohttpServer, FastApiServer, WebServer

# A machine that is busy takes its time for an answer, which isn't a failed restart.
PATIENT = RecoverySettings(attempt_timeout=DEADLINE)
BUNDLED = RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
TOKEN = "a.b~c/d+e=="  # noqa: S105  only here
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
TURN = RTCIceServer("turn:127.0.0.1:9?transport=udp", 'the "user"', 'sec\\ret"')
STUN = RTCIceServer(["stun:127.0.0.1:9", "stun:127.0.0.1:10"])


class Media:
    """What the endpoints of a server have made, and the tracks that they have got."""

    def __init__(self) -> None:
        self.made: list[RTCPeerConnection] = []
        self.tracks: asyncio.Queue[Any] = asyncio.Queue()

    def take(self, pc: RTCPeerConnection) -> None:
        self.made.append(pc)
        pc.on("track", self.tracks.put_nowait)

    async def play(self, pc: RTCPeerConnection) -> None:
        self.made.append(pc)
        pc.addTrack(VideoStreamTrack())

    async def get_frame(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await (await self.tracks.get()).recv()


class Served:
    """A web server with an endpoint of each kind."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.media = Media()
        self.ice_servers: list[RTCIceServer] = []
        self.whip = WhipEndpoint(
            self.media.take, limit=2, ice_servers=lambda: self.ice_servers, allow_origin="*"
        )
        self.whep = WhepEndpoint(self.media.play)
        self.offer = HttpAnswerer(self.media.play)
        for name in ("whip", "whep", "offer"):
            server.add(getattr(self, name), f"/{name}")

    def url(self, name: str) -> str:
        return f"{self.server.origin}/{name}"


@pytest.fixture(params=[AiohttpServer, FastApiServer])
async def served(request: Any, make_pc: Factory) -> AsyncIterator[Served]:  # noqa: ARG001
    # make_pc looks for what is left behind, which it can do when the server is closed.
    served = Served(request.param())
    await served.server.start()
    yield served
    await served.server.close()
    assert {pc.connectionState for pc in served.media.made} <= {"closed"}


async def enter(
    stack: AsyncExitStack,
    client: WhipClient | HttpSignaling,
    pc: RTCPeerConnection,
    errors: list[Exception],
) -> Negotiator:
    signaling = await stack.enter_async_context(client)
    negotiator = Negotiator(pc, signaling, recovery=PATIENT, on_error=errors.append)
    return await stack.enter_async_context(negotiator)


async def restart(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    before = [sending_ufrags(near), sending_ufrags(far)]
    near.restartIce()
    await wait_restarted(near, far, since=before)


async def test_publishing(served: Served, make_pc: Factory) -> None:
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        pc = make_pc(BUNDLED)
        await enter(stack, WhipClient(served.url("whip"), token=TOKEN), pc, errors)
        pc.addTrack(VideoStreamTrack())
        await served.media.get_frame()
        (session,) = served.whip._sessions.values()
        first = session.etag
        await restart(pc, session.pc)
        assert session.etag != first
        await restart(pc, session.pc)
        assert session.restarts == 2
        assert errors == []
        assert len(served.media.made) == 1
    # The client has said goodbye.
    assert not served.whip.connections
    assert session.pc.connectionState == "closed"


async def test_playing(served: Served, make_pc: Factory) -> None:
    errors: list[Exception] = []
    shown = Media()
    async with AsyncExitStack() as stack:
        pc = make_pc(BUNDLED)
        shown.take(pc)
        await enter(stack, WhepClient(served.url("whep")), pc, errors)
        pc.addTransceiver("video", direction="recvonly")
        await shown.get_frame()
        await restart(pc, *served.media.made)
        assert errors == []
    assert not served.whep.connections


async def test_offers_in_json(served: Served, make_pc: Factory) -> None:
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        pc = make_pc()
        await enter(stack, HttpSignaling(served.url("offer")), pc, errors)
        pc.addTransceiver("video", direction="recvonly")
        await wait_connected(pc)
        await restart(pc, *served.media.made)
        assert errors == []
    assert not served.offer.connections


async def test_servers_of_the_endpoint(served: Served, make_pc: Factory) -> None:
    """They are those of the next gathering."""
    errors: list[Exception] = []
    served.ice_servers = [TURN, STUN]
    async with AsyncExitStack() as stack:
        pc = make_pc(BUNDLED)
        await enter(stack, WhipClient(served.url("whip")), pc, errors)
        pc.addTrack(VideoStreamTrack())
        await wait_connected(pc)
        servers = pc.getConfiguration().iceServers
        assert servers == [TURN, *(RTCIceServer(url) for url in STUN.urls)]
        assert errors == []


async def test_candidates_come_later(served: Served, make_pc: Factory) -> None:
    pc = make_pc(BUNDLED)
    pc.addTrack(VideoStreamTrack())
    offer = await pc.createOffer()
    await pc.setLocalDescription(offer)
    assert "a=candidate" not in offer.sdp
    async with aiohttp.ClientSession() as http:
        async with http.post(served.url("whip"), data=offer.sdp, headers=SDP) as response:
            assert response.status == 201
            answer = await response.text()
        location, etag = response.headers["Location"], response.headers["ETag"]
        body = fragment_of(pc.localDescription.sdp)
        assert "a=candidate" in body
        url = served.server.origin + location
        async with http.patch(url, data=body, headers=FRAGMENT | {"If-Match": etag}) as response:
            assert (response.status, await response.text()) == (204, "")
            assert "ETag" not in response.headers
        # Of the address of the client, which has the answer only now, so that no check has told.
        (far,) = served.media.made
        assert "a=candidate" in far.remoteDescription.sdp
        await pc.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        await served.media.get_frame()
        async with http.delete(url) as response:
            assert response.status == 200


async def test_requests_that_are_wrong(served: Served, make_pc: Factory) -> None:
    pc = make_pc(BUNDLED)
    pc.addTrack(VideoStreamTrack())
    offer = (await pc.createOffer()).sdp
    whip = served.url("whip")
    any_tag, wrong_tag = FRAGMENT | {"If-Match": "*"}, FRAGMENT | {"If-Match": '"old"'}
    async with aiohttp.ClientSession() as http:

        async def ask(method: str, url: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
            async with http.request(method, url, data=body, headers=headers) as response:
                return response.status, await response.text()

        for method, body, headers, status in [
            ("POST", offer, {"Content-Type": "application/json"}, 415),
            ("POST", b"\xff\xfe", SDP, 400),
            ("POST", "hello", SDP, 400),
            ("POST", "", SDP, 400),
            ("POST", io.BytesIO(bytes(2_000_000)), SDP, 413),
            ("PUT", offer, SDP, 405),
            ("PATCH", offer, SDP, 405),
            ("DELETE", None, {}, 405),
            ("GET", None, {}, 204),
            ("HEAD", None, {}, 204),
        ]:
            assert (await ask(method, whip, body, headers))[0] == status, (method, headers)
        assert not served.whip.connections
        async with http.options(whip) as response:
            assert response.status == 200
            assert response.headers["Accept-Post"] == "application/sdp"
            assert response.headers["Access-Control-Allow-Origin"] == "*"
        async with http.post(whip, data=offer, headers=SDP) as response:
            assert response.status == 201
            session = served.server.origin + response.headers["Location"]
            current = FRAGMENT | {"If-Match": response.headers["ETag"]}
        (far,) = served.media.made[-1:]
        before = (far.remoteDescription.sdp, far.localDescription.sdp)
        new = fragment_of(offer).replace("ufrag:", "ufrag:new")
        for method, url, body, headers, status in [
            ("PATCH", session, new, SDP, 415),
            ("PATCH", session, new, FRAGMENT, 428),
            ("PATCH", session, new, wrong_tag, 412),
            ("PATCH", session, "", any_tag, 400),
            ("PATCH", session, b"\xff", any_tag, 400),
            ("PATCH", session, "a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n", any_tag, 400),
            ("PATCH", session, "a=ice-ufrag:abcd\r\n", any_tag, 400),
            ("PATCH", session, "<html>", current, 400),
            ("PATCH", session + "x", new, any_tag, 404),
            ("POST", session, offer, SDP, 405),
            ("GET", session, None, {}, 204),
            ("DELETE", session + "x", None, {}, 404),
            # What can't be used is left out.
            ("PATCH", session, "a=mid:0\r\na=candidate:nonsense\r\n", current, 204),
            (
                "PATCH",
                session,
                "a=mid:7\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
                current,
                204,
            ),
        ]:
            assert (await ask(method, url, body, headers))[0] == status, (method, body, headers)
        assert (far.remoteDescription.sdp, far.localDescription.sdp) == before
        # A restart, and again as if its answer was lost.
        status, first = await ask("PATCH", session, new, any_tag)
        assert (status, "a=ice-pwd" in first) == (200, True)
        assert await ask("PATCH", session, new, any_tag) == (200, first)
        assert (await ask("PATCH", session, new, current))[0] == 412
        assert (await ask("POST", whip, offer, SDP))[0] == 201
        async with http.post(whip, data=offer, headers=SDP) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
        assert (await ask("DELETE", session, None, wrong_tag))[0] == 200
        assert far.connectionState == "closed"


async def test_json_that_is_wrong(served: Served) -> None:
    url = served.url("offer")
    async with aiohttp.ClientSession() as http:
        for body in ("[" * 100_000, '{"session": "a\\r\\nb", "type": "offer", "sdp": "v=0"}'):
            async with http.post(url, data=body) as response:
                assert response.status == 400
        async with http.get(url) as response:
            assert response.status == 405
    assert not served.media.made


async def test_a_server_that_is_away(make_pc: Factory) -> None:
    """The first offer and that of a restart wait for it."""
    server = AiohttpServer()
    served = Served(server)
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.close)
        await server.stop_listening()
        pc = make_pc(BUNDLED)
        await enter(stack, WhipClient(served.url("whip")), pc, errors)
        pc.addTrack(VideoStreamTrack())
        await wait_for_state(pc, "signalingState", "have-local-offer")
        await server.listen()
        await served.media.get_frame()
        await server.stop_listening()
        before = [sending_ufrags(pc), sending_ufrags(served.media.made[0])]
        pc.restartIce()
        await wait_for_state(pc, "signalingState", "have-local-offer")
        await server.listen()
        await wait_restarted(pc, *served.media.made, since=before)
        assert errors == []


async def test_what_is_added_later_is_refused(make_pc: Factory) -> None:
    """It ends neither the session, nor restarts."""
    server = AiohttpServer()
    served = Served(server)
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.close)
        pc = make_pc(BUNDLED)
        await enter(stack, WhipClient(served.url("whip")), pc, errors)
        transceiver = pc.addTransceiver(VideoStreamTrack(), direction="sendonly")
        await served.media.get_frame()
        sender = pc.addTrack(AudioStreamTrack())
        added = next(each for each in pc.getTransceivers() if each.sender is sender)
        await wait_until(pc, "signalingstatechange", lambda: added.stopped)
        await wait_for_state(pc, "signalingState", "stable")
        transceiver.direction = "inactive"
        await wait_until(pc, "signalingstatechange", lambda: len(errors) == 2)
        await restart(pc, *served.media.made)
        assert [getattr(error, "code", error) for error in errors] == ["renegotiation"] * 2


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def scripted(stack: AsyncExitStack, **handlers: Handler) -> str:
    """Start a server that does what a test says for each method of its only resource."""
    server = AiohttpServer()
    for method, handler in handlers.items():
        server.app.router.add_route(method, "/{name}", handler)
    await server.start()
    stack.push_async_callback(server.close)
    return server.origin


async def first_error(
    stack: AsyncExitStack, pc: RTCPeerConnection, signaling: WhipClient | HttpSignaling
) -> Exception:
    """Let a Negotiator make an offer; return the first error that it reports."""
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    await stack.enter_async_context(signaling)
    await stack.enter_async_context(Negotiator(pc, signaling, on_error=errors.put_nowait))
    async with asyncio.timeout(DEADLINE):
        return await errors.get()


class Answering:
    """A server that answers by a connection of ours, with what a test says in its response."""

    def __init__(self, make_pc: Factory) -> None:
        self.pc = make_pc(BUNDLED)
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.asked = asyncio.Condition()

    async def note(self, request: web.Request) -> None:
        async with self.asked:
            asked = (request.method, request.path, request.headers.get("Authorization"))
            self.requests.append(asked)
            self.asked.notify_all()

    async def wait_asked(self, count: int, method: str) -> None:
        async with asyncio.timeout(DEADLINE), self.asked:
            await self.asked.wait_for(
                lambda: sum(asked[0] == method for asked in self.requests) >= count
            )

    async def answer(self, request: web.Request) -> web.Response:
        await self.note(request)
        await self.pc.setRemoteDescription(
            aiortc.RTCSessionDescription(await request.text(), "offer")
        )
        await self.pc.setLocalDescription()
        sdp = self.pc.localDescription.sdp
        return web.Response(
            status=201, text=sdp, content_type="application/sdp", headers=self.headers
        )

    async def take(self, request: web.Request) -> web.Response:
        await self.note(request)
        return web.Response(status=204)


async def test_redirections(make_pc: Factory) -> None:
    """The offer goes on with its token; the session is where the last server says."""
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        answering.headers = {"Location": "session", "ETag": '"1"'}

        async def post(request: web.Request) -> web.Response:
            if (name := request.match_info["name"]) != "last":
                await answering.note(request)
                status = {"first": 307, "second": 308}[name]
                to = {"first": "/second", "second": "/last"}[name]
                return web.Response(status=status, headers={"Location": to})
            return await answering.answer(request)

        origin = await scripted(stack, POST=post, PATCH=answering.take, DELETE=answering.take)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        await enter(stack, WhipClient(f"{origin}/first", token=TOKEN), pc, errors)
        await wait_connected(pc, answering.pc)
        await stack.aclose()
    posts = [asked[1:] for asked in answering.requests if asked[0] == "POST"]
    assert posts == [(f"/{name}", f"Bearer {TOKEN}") for name in ("first", "second", "last")]
    assert answering.requests[-1] == ("DELETE", "/session", f"Bearer {TOKEN}")
    assert errors == []


@pytest.mark.parametrize("client", [WhipClient, HttpSignaling])
async def test_a_redirection_to_itself(
    make_pc: Factory, client: type[WhipClient | HttpSignaling]
) -> None:
    asked = []

    async def post(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/again"})

    async with AsyncExitStack() as stack:
        origin = await scripted(stack, POST=post)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        error = await first_error(stack, pc, client(f"{origin}/first"))
        assert isinstance(error, ServerError)
        assert error.code == "307"
        assert f"10 redirections, the last one from {origin}/again" in str(error)
        assert len(asked) == 10


async def test_who_leaves_before_the_response_deletes_the_session(make_pc: Factory) -> None:
    answering = Answering(make_pc)
    answering.headers = {"Location": "/session"}
    asked, go = asyncio.Event(), asyncio.Event()

    async def post(request: web.Request) -> web.Response:
        asked.set()
        await go.wait()
        return await answering.answer(request)

    async with AsyncExitStack() as stack:
        origin = await scripted(stack, POST=post, PATCH=answering.take, DELETE=answering.take)
        signaling = await stack.enter_async_context(WhipClient(f"{origin}/whip"))
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        async with asyncio.timeout(DEADLINE):
            async with Negotiator(pc, signaling):
                await asked.wait()
            closing = asyncio.create_task(signaling.close())
            await asyncio.sleep(0)
            assert not closing.done()
            go.set()
            await closing
        assert answering.requests[0][:2] == ("POST", "/whip")
        # Candidates may have been sent in between.
        assert answering.requests[-1][:2] == ("DELETE", "/session")


@pytest.mark.parametrize("status", [405, 501])
async def test_a_server_without_patch(make_pc: Factory, status: int) -> None:
    """It gets no candidates after the offer; that it can't restart ICE ends the signaling."""
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        answering.headers = {"Location": "/session"}

        async def patch(request: web.Request) -> web.Response:
            await answering.note(request)
            assert "If-Match" not in request.headers or request.headers["If-Match"] == "*"
            return web.Response(status=status)

        origin = await scripted(stack, POST=answering.answer, PATCH=patch, DELETE=answering.take)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        negotiator = await enter(stack, WhipClient(f"{origin}/whip"), pc, errors)
        await wait_connected(pc, answering.pc)
        pc.restartIce()
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(SignalingClosed, match=f"can't restart ICE: {status}"):
                await negotiator.wait_closed()
        assert pc.connectionState == "connected"
        await stack.aclose()
    assert answering.requests[-1][0] == "DELETE"
    assert errors == []


async def test_a_server_that_is_busy(make_pc: Factory) -> None:
    """It is asked again when it wants to be, and the program is told."""
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        answering.headers = {"Location": "/session"}

        async def post(request: web.Request) -> web.Response:
            if answering.requests:
                return await answering.answer(request)
            await answering.note(request)
            return web.Response(status=503, text="full", headers={"Retry-After": "1"})

        origin = await scripted(stack, POST=post, PATCH=answering.take, DELETE=answering.take)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        await enter(stack, WhipClient(f"{origin}/whip"), pc, errors)
        await wait_connected(pc, answering.pc)
        (error,) = errors
        assert isinstance(error, ServerError)
        assert (error.code, error.reason, error.retry_after) == ("503", "full", 1.0)


async def test_an_offer_instead_of_an_answer(make_pc: Factory) -> None:
    """A WHEP endpoint may answer so; after that ICE is restarted as ever."""
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        pc = make_pc(BUNDLED)
        shown = Media()
        shown.take(pc)

        async def post(request: web.Request) -> web.Response:
            await answering.note(request)
            answering.pc.addTrack(VideoStreamTrack())
            await answering.pc.setLocalDescription()
            return web.Response(
                status=406,
                text=answering.pc.localDescription.sdp,
                headers=SDP | {"Location": "/session"},
            )

        async def patch(request: web.Request) -> web.Response:
            await answering.note(request)
            body = await request.text()
            if request.content_type == "application/sdp":
                answer = aiortc.RTCSessionDescription(body, "answer")
                await answering.pc.setRemoteDescription(answer)
            elif request.headers.get("If-Match") == "*":
                # As an answerer now.
                sdp = apply_fragment(answering.pc.remoteDescription.sdp, read_fragment(body))
                sdp = sdp.replace("a=setup:active", "a=setup:actpass")
                offer = aiortc.RTCSessionDescription(sdp, "offer")
                await answering.pc.setRemoteDescription(offer)
                await answering.pc.setLocalDescription()
                return web.Response(text=fragment_of(answering.pc.localDescription.sdp))
            return web.Response(status=204)

        origin = await scripted(stack, POST=post, PATCH=patch, DELETE=answering.take)
        pc.addTransceiver("video", direction="recvonly")
        await enter(stack, WhepClient(f"{origin}/whep"), pc, errors)
        await shown.get_frame()
        await restart(pc, answering.pc)
        # An offer has sections of its own, so those of the player are refused.
        assert [getattr(error, "code", error) for error in errors] == ["renegotiation"]


@pytest.mark.parametrize("status", [302, 400, 401, 406, 409, 422])
async def test_offers_that_are_refused(make_pc: Factory, status: int) -> None:
    async def post(_: web.Request) -> web.Response:
        return web.Response(status=status, text="not so")

    async with AsyncExitStack() as stack:
        origin = await scripted(stack, POST=post)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        error = await first_error(stack, pc, WhipClient(f"{origin}/whip"))
        assert isinstance(error, ServerError)
        assert error.code == str(status)
        assert "not so" in str(error)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "", SignalingClosed),
        (410, "", SignalingClosed),
        (409, "not now", ServerError),
        (204, "", BadMessage),
        (200, "<html>", BadMessage),
    ],
)
async def test_answers_to_restarts_that_are_no_answers(
    make_pc: Factory, status: int, text: str, expected: type[Exception]
) -> None:
    errors: list[Exception] = []
    told = asyncio.Event()
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        answering.headers = {"Location": "/session"}

        async def patch(request: web.Request) -> web.Response:
            if request.headers.get("If-Match") != "*":
                return web.Response(status=204)
            return web.Response(status=status, text=text or None)

        def tell(error: Exception) -> None:
            errors.append(error)
            told.set()

        origin = await scripted(stack, POST=answering.answer, PATCH=patch, DELETE=answering.take)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        signaling = await stack.enter_async_context(WhipClient(f"{origin}/whip"))
        negotiator = await stack.enter_async_context(Negotiator(pc, signaling, on_error=tell))
        await wait_connected(pc, answering.pc)
        pc.restartIce()
        async with asyncio.timeout(DEADLINE):
            if expected is SignalingClosed:
                with pytest.raises(SignalingClosed, match="no connection of this session"):
                    await negotiator.wait_closed()
            else:
                await told.wait()
                assert isinstance(errors[0], expected)


async def test_a_redirection_to_another_origin(make_pc: Factory) -> None:
    """What leads there has no token, nor have the requests to the session, which is there."""
    errors: list[Exception] = []
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)
        answering.headers = {"Location": "/session"}
        other = await scripted(
            stack, POST=answering.answer, PATCH=answering.take, DELETE=answering.take
        )

        async def post(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{other}/whip"})

        origin = await scripted(stack, POST=post)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        await enter(stack, WhipClient(f"{origin}/whip", token=TOKEN), pc, errors)
        await wait_connected(pc, answering.pc)
        await stack.aclose()
    assert answering.requests[-1][:2] == ("DELETE", "/session")
    assert {token for _, _, token in answering.requests} == {None}
    assert errors == []


async def test_a_page_instead_of_an_answer(make_pc: Factory) -> None:
    """As that of a network which wants a password first: the offer can be sent again."""
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)

        async def post(request: web.Request) -> web.Response:
            if answering.requests:
                return await answering.answer(request)
            await answering.note(request)
            return web.Response(text="<html>", content_type="text/html")

        origin = await scripted(stack, POST=post)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        signaling = WhipClient(f"{origin}/whip")
        error = await first_error(stack, pc, signaling)
        assert isinstance(error, BadMessage)
        assert "expected a description as the answer, got '<html>'" in str(error)
        await signaling.send_description(pc.localDescription)
        await wait_connected(pc, answering.pc)


@pytest.mark.parametrize("client", [WhipClient, HttpSignaling])
async def test_an_offer_that_is_sent_again_waits_as_the_server_has_asked(
    make_pc: Factory, client: type[WhipClient | HttpSignaling]
) -> None:
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        answering = Answering(make_pc)

        async def post(request: web.Request) -> web.Response:
            await answering.note(request)
            return web.Response(status=503, headers={"Retry-After": "300"})

        origin = await scripted(stack, POST=post)
        pc = make_pc(BUNDLED)
        pc.addTrack(VideoStreamTrack())
        await pc.setLocalDescription()
        signaling = await stack.enter_async_context(client(f"{origin}/whip"))
        await stack.enter_async_context(Negotiator(pc, signaling, on_error=errors.put_nowait))
        await signaling.send_description(pc.localDescription)
        async with asyncio.timeout(DEADLINE):
            await errors.get()
        exchange = signaling._exchange
        more = pc.localDescription.sdp + "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
        await signaling.send_description(aiortc.RTCSessionDescription(more, "offer"))
        assert signaling._exchange is exchange
        assert len(answering.requests) == 1


async def test_wrong_use() -> None:
    for url in ("ftp://127.0.0.1/whip", "whip", ""):
        with pytest.raises(ValueError, match="must begin with http"):
            WhipClient(url)
    for url in ("http://", "https:///whip", "http://[::1", "http://127.0.0.1:99999/whip"):
        with pytest.raises(ValueError, match=r".+"):
            WhipClient(url)
    for token in ("", "Bearer x", "a\r\nHost: b"):
        with pytest.raises(ValueError, match="RFC 6750"):
            WhipClient("https://127.0.0.1/whip", token=token)
    with pytest.raises(TypeError, match="application"):
        WhipEndpoint(lambda _: None).add_to(object(), "/whip")  # type: ignore[arg-type]
    with pytest.raises(SignalingClosed):
        await WhipClient("http://127.0.0.1:9/whip").send_description(
            aiortc.RTCSessionDescription("", "offer")
        )
