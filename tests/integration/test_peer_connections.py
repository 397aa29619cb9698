"""Peers that come and go, each of which gets a connection of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pytest
from aiortc.contrib.media import MediaRelay

from conftest import Factory, open_sockets
from connecting import (
    DEADLINE,
    sending_ufrags,
    wait_connected,
    wait_for_state,
    wait_restarted,
    wait_until,
)
from restartice import RTCPeerConnection, VideoStreamTrack
from restartice_signaling import (
    Negotiator,
    PeerConnections,
    PeerInfo,
    SignalingChannel,
    SignalingServer,
    WebSocketSignaling,
    serve,
)
from signalingnode import Node

if TYPE_CHECKING:
    import aiortc


@pytest.fixture
async def server(make_pc: Factory) -> AsyncIterator[SignalingServer]:  # noqa: ARG001
    # make_pc looks for what is left behind, which it can do when the server is closed.
    async with serve() as server:
        yield server


class Robot:
    """Sends a picture to each viewer, and keeps what happens."""

    def __init__(self, url: str, **options: Any) -> None:
        self.signaling = WebSocketSignaling(url, room="room", peer="robot")
        self.gone: asyncio.Queue[tuple[RTCPeerConnection, PeerInfo]] = asyncio.Queue()
        self.made: list[RTCPeerConnection] = []
        self.calls = PeerConnections(
            self.signaling, self.prepare, on_gone=self.note_gone, **options
        )
        self._relay = MediaRelay()
        self._camera = VideoStreamTrack()
        self._stack = AsyncExitStack()

    def prepare(self, pc: RTCPeerConnection, _: PeerInfo) -> None:
        self.made.append(pc)
        pc.addTrack(self._relay.subscribe(self._camera))

    def note_gone(self, pc: RTCPeerConnection, peer: PeerInfo) -> None:
        self.gone.put_nowait((pc, peer))

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.signaling)
        await self._stack.enter_async_context(self.calls)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        self._camera.stop()

    async def next_gone(self) -> tuple[RTCPeerConnection, PeerInfo]:
        async with asyncio.timeout(DEADLINE):
            return await self.gone.get()


class Viewer:
    """Receives the picture of the robot, whichever instance that is of."""

    def __init__(self, url: str, name: str, **options: Any) -> None:
        self.signaling = WebSocketSignaling(url, room="room", peer=name)
        self.tracks: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()
        self.gone: asyncio.Queue[RTCPeerConnection] = asyncio.Queue()
        self.calls = PeerConnections(
            self.signaling,
            self.prepare,
            wanted=lambda peer: peer.peer == "robot",
            on_gone=lambda pc, _: self.gone.put_nowait(pc),
            **options,
        )
        self._stack = AsyncExitStack()

    def prepare(self, pc: RTCPeerConnection, _: PeerInfo) -> None:
        pc.on("track", self.tracks.put_nowait)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.signaling)
        await self._stack.enter_async_context(self.calls)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def see(self) -> None:
        """Return when a picture of a new track has come."""
        async with asyncio.timeout(DEADLINE):
            await (await self.tracks.get()).recv()


async def test_a_viewer_that_is_started_anew_ten_times(server: SignalingServer) -> None:
    took = []
    async with Robot(server.url) as robot:
        for number in range(10):
            began = time.monotonic()
            before = asyncio.all_tasks(), open_sockets()
            async with Viewer(server.url, "viewer") as viewer:
                await viewer.see()
                took.append(time.monotonic() - began)
                (pc,) = robot.calls.connections.values()
            gone, peer = await robot.next_gone()
            assert (gone, peer.peer) == (pc, "viewer")
            assert gone.connectionState == "closed"
            assert len(robot.made) == number + 1
            if number:  # the relay goes on, once it has begun
                await nothing_more_than(*before)
        assert robot.calls.connections == {}
    print("first picture after", " ".join(f"{seconds:.2f}" for seconds in took), "s")


async def nothing_more_than(tasks: set[asyncio.Task[Any]], sockets: set[str]) -> None:
    """Return when no other tasks, and no more sockets are left than there were."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE
    while new := [task for task in asyncio.all_tasks() - tasks if not task.done()]:
        assert loop.time() < deadline, new
        await asyncio.sleep(0.02)
    while len(open_sockets()) > len(sockets):
        assert loop.time() < deadline, open_sockets()
        await asyncio.sleep(0.02)


async def test_a_robot_that_is_started_anew_ten_times(server: SignalingServer) -> None:
    took = []
    async with Viewer(server.url, "viewer") as viewer:
        before: tuple[set[asyncio.Task[Any]], set[str]] | None = None
        for _ in range(10):
            began = time.monotonic()
            async with Robot(server.url):
                await viewer.see()
                took.append(time.monotonic() - began)
            async with asyncio.timeout(DEADLINE):
                await viewer.gone.get()
            if before is not None:
                await nothing_more_than(*before)
            before = asyncio.all_tasks(), open_sockets()
    print("first picture after", " ".join(f"{seconds:.2f}" for seconds in took), "s")


async def test_several_viewers_at_once(server: SignalingServer) -> None:
    async with Robot(server.url) as robot, AsyncExitStack() as stack:
        viewers = [Viewer(server.url, f"viewer-{number}") for number in range(4)]
        for viewer in viewers:
            await stack.enter_async_context(viewer)
        await asyncio.gather(*(viewer.see() for viewer in viewers))
        assert sorted(robot.calls.connections) == [v.signaling.peer for v in viewers]
        assert all(set(viewer.calls.connections) == {"robot"} for viewer in viewers)
        before = [sending_ufrags(pc) for pc in robot.made]
        for pc in robot.made:
            pc.restartIce()
        await wait_restarted(*robot.made, since=before)


async def test_a_page_that_begins_again_in_the_same_stay(
    server: SignalingServer, make_pc: Factory
) -> None:
    """It makes another connection, with or without closing the first one."""
    async with (
        Robot(server.url) as robot,
        WebSocketSignaling(server.url, room="room", peer="page") as signaling,
    ):
        for closes in (False, True, False):
            tracks: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()
            pc = make_pc()
            pc.on("track", tracks.put_nowait)
            async with Negotiator(pc, signaling):
                pc.createDataChannel("page")
                async with asyncio.timeout(DEADLINE):
                    await (await tracks.get()).recv()
            if closes:
                await pc.close()
        gone = [(await robot.next_gone())[0] for _ in range(2)]
        assert gone == robot.made[:2]
        assert len(robot.made) == 3


async def test_calls_outlive_the_server(make_pc: Factory) -> None:
    """It is killed, loses all it knows, and comes back: nobody gets a new connection."""
    first = await Node.start("--port=0")
    try:
        page = make_pc()
        async with (
            Robot(first.url) as robot,
            WebSocketSignaling(first.url, room="room", peer="page") as signaling,
            Negotiator(page, signaling),
        ):
            page.createDataChannel("page")
            await wait_connected(page)
            await wait_for_state(page, "signalingState", "stable")
            await first.kill()
            second = await Node.start(f"--port={first.port}")
            try:
                (pc,) = robot.made
                before = [sending_ufrags(pc), sending_ufrags(page)]
                await signaling.wait_for_peer("robot")
                page.restartIce()
                await wait_restarted(pc, page, since=before)
                assert robot.made == [pc]
                assert robot.gone.empty()
            finally:
                await second.kill()
    finally:
        await first.kill()


async def test_calls_that_negotiate_in_band() -> None:
    """Each in a channel of its own, also while the server is down."""
    made: list[Negotiator] = []

    def negotiator(pc: RTCPeerConnection, channel: SignalingChannel) -> Negotiator:
        made.append(Negotiator(pc, channel, in_band=True))
        return made[-1]

    node = await Node.start("--port=0")
    try:
        async with AsyncExitStack() as stack:
            robot = await stack.enter_async_context(Robot(node.url, negotiator=negotiator))
            viewers = [Viewer(node.url, name, negotiator=negotiator) for name in ("one", "other")]
            for viewer in viewers:
                await stack.enter_async_context(viewer)
            await asyncio.gather(*(viewer.see() for viewer in viewers))
            for negotiating in made:
                in_band = negotiating._in_band
                assert in_band is not None
                await wait_until(in_band._channel, "message", partial(getattr, in_band, "agreed"))
            await node.kill()
            pcs = [*robot.made, *(viewer.calls.connections["robot"] for viewer in viewers)]
            before = [sending_ufrags(pc) for pc in pcs]
            for pc in robot.made:
                pc.restartIce()
            await wait_restarted(*pcs, since=before)
            for pc in robot.made:
                pc.addTrack(VideoStreamTrack())
            await asyncio.gather(*(viewer.see() for viewer in viewers))
    finally:
        await node.kill()


async def test_what_the_program_adds_may_fail(
    server: SignalingServer, caplog: pytest.LogCaptureFixture
) -> None:
    gone = asyncio.Event()

    async def prepare(pc: RTCPeerConnection, peer: PeerInfo) -> None:
        await asyncio.sleep(0)
        raise OSError(f"no camera for {peer.peer} and {pc.connectionState}")

    def on_gone(*_: object) -> None:
        gone.set()
        raise OSError("on_gone")

    async with (
        WebSocketSignaling(server.url, room="room", peer="robot") as signaling,
        PeerConnections(signaling, prepare, on_gone=on_gone) as calls,
        WebSocketSignaling(server.url, room="room", peer="viewer"),
    ):
        async with asyncio.timeout(DEADLINE):
            await gone.wait()
        assert not calls.connections
    assert "the call with viewer has failed" in caplog.text
    assert "on_gone raised an error" in caplog.text


async def test_a_viewer_that_leaves_while_the_camera_opens(server: SignalingServer) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def prepare(_pc: RTCPeerConnection, _peer: PeerInfo) -> None:
        started.set()
        await asyncio.Event().wait()

    async with (
        WebSocketSignaling(server.url, room="room", peer="robot") as signaling,
        PeerConnections(signaling, prepare, on_gone=lambda *_: gone.set()),
    ):
        async with WebSocketSignaling(server.url, room="room", peer="viewer"):
            async with asyncio.timeout(DEADLINE):
                await started.wait()
        async with asyncio.timeout(DEADLINE):
            await gone.wait()
