"""A page with rtc-negotiator.js and Python's Negotiator, in real browsers."""

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from devtools import Browser, Chromium, Firefox

from browser.pages import DEADLINE, wait_for
from browser.test_newcomers import BROWSERS, HERE, started
from connecting import sending_ufrags, transports, wait_connected, wait_for_state, wait_restarted
from cutting import Cut
from docs.markdown import ROOT, blocks
from restartice import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    VideoStreamTrack,
)
from restartice_signaling import Negotiator, PeerConnections, WebSocketSignaling
from restartice_signaling.server.files import write_files
from signalingnode import Node, node

if TYPE_CHECKING:
    import aiortc

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TRACKS = {"audio": AudioStreamTrack, "video": VideoStreamTrack}
RELOADS = 3
PAGE = ROOT / "examples" / "docs" / "pages" / "browsers.md"


class Handler(SimpleHTTPRequestHandler):
    """Sends files."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing."""


@contextmanager
def website(folder: Path) -> Iterator[str]:
    """Serve a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROWSERS, ids=lambda s: s.name)
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Run a browser."""
    async with started(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page, and the files as a program writes them."""
    folder = tmp_path_factory.mktemp("site")
    write_files(folder)
    (folder / "negotiating.js").write_bytes((HERE / "negotiating.js").read_bytes())
    page = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body>"
    script = "<script type=module src=negotiating.js></script>"
    (folder / "index.html").write_text(page + script)
    (documented,) = blocks(PAGE, "html")
    text = documented.text.replace('"ws://127.0.0.1:8765"', "asked.get('signaling')")
    text = text.replace('"robot-7"', "asked.get('room')")
    asked = "<script>const asked = new URLSearchParams(location.search)</script>"
    (folder / "documented.html").write_text(asked + text)
    with website(folder) as url:
        yield url


async def load(browser: Browser, url: str) -> None:
    """Load a page."""
    if isinstance(browser, Chromium):
        await browser.command("Page.navigate", url=url)
    else:
        assert isinstance(browser, Firefox)
        options = {"context": browser.context, "url": url, "wait": "complete"}
        await browser.command("browsingContext.navigate", **options)


async def reload(browser: Browser) -> None:
    """Load the page anew."""
    if isinstance(browser, Chromium):
        await browser.command("Page.reload")
    else:
        assert isinstance(browser, Firefox)
        await browser.command("browsingContext.reload", context=browser.context, wait="complete")


class Call:
    """A call between a page and Python, each with a data channel of its own."""

    def __init__(
        self, browser: Browser, site: str, server: Node, stack: AsyncExitStack, room: str
    ) -> None:
        self.browser = browser
        self.site = site
        self.server = server
        self.stack = stack
        self.room = room
        self.errors: list[Exception] = []
        self.tracks: asyncio.Queue[aiortc.MediaStreamTrack] = asyncio.Queue()

    async def start_server(self, port: int = 0) -> None:
        self.server = await Node.start(f"--port={port}")
        self.stack.push_async_callback(self.server.kill)

    async def join(self, **options: Any) -> None:
        """Let Python in, with a new connection."""
        self.pc = pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.stack.push_async_callback(pc.close)
        self.signaling = self.make_signaling()
        await self.stack.enter_async_context(self.signaling)
        self.negotiator = Negotiator(pc, self.signaling, on_error=self.errors.append, **options)
        await self.stack.enter_async_context(self.negotiator)
        pc.on("track", self.tracks.put_nowait)
        self.channel = pc.createDataChannel("python")

    def make_signaling(self) -> WebSocketSignaling:
        return WebSocketSignaling(self.server.url, room=self.room, peer="python")

    async def open_page(self, **options: str) -> None:
        """Let the page in."""
        asked = urlencode({"signaling": self.server.url, "room": self.room, **options})
        await load(self.browser, f"{self.site}?{asked}")

    async def connect(self) -> None:
        """Return when both can talk."""
        await wait_connected(self.pc)
        await self.wait_for("channels.python?.readyState === 'open'")
        await self.wait_stable()

    async def wait_for(self, condition: str) -> None:
        await wait_for(self.browser, condition)

    async def wait_stable(self) -> None:
        await wait_for_state(self.pc, "signalingState", "stable")
        await self.wait_for("pc.signalingState === 'stable'")

    async def add_here(self, kind: str) -> None:
        """Add a track of Python's, and return when the page has shown something of it."""
        shown = await self.browser.evaluate("seen.size")
        self.pc.addTrack(TRACKS[kind]())
        await self.wait_for(f"seen.size > {shown}")

    async def add_there(self, kind: str) -> None:
        """Add a track of the page's, and return when a frame has come."""
        await self.browser.evaluate(f"void add('{kind}')")
        await self.receive()

    async def receive(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await (await self.tracks.get()).recv()

    async def restart(self, *, here: bool = False, there: bool = False) -> None:
        """Restart ICE, and return when both sides send on new pairs."""
        await self.wait_stable()
        before = sending_ufrags(self.pc)
        if there:
            await self.browser.evaluate("void pc.restartIce()")
        if here:
            self.pc.restartIce()
        await wait_restarted(self.pc, since=[before])
        await self.wait_stable()

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of the page's Negotiators of a kind."""
        told: list[dict[str, Any]] = await self.browser.evaluate("told")
        return [event for event in told if event["type"] == kind]

    async def check(self) -> None:
        """Check that both channels work, and that nothing went wrong."""
        heard: asyncio.Queue[str] = asyncio.Queue()
        self.channel.on("message", heard.put_nowait)
        await self.browser.evaluate("void channels.python.send('hello')")
        async with asyncio.timeout(DEADLINE):
            assert await heard.get() == "hello"
        self.channel.remove_listener("message", heard.put_nowait)
        assert await self.told("error") == []
        assert self.errors == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Node]:
    """Run a signaling server for all tests that leave it alone."""
    async with node() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def call(browser: Browser, site: str, server: Node) -> AsyncIterator[Call]:
    """Prepare a room; at the end all is closed."""
    async with AsyncExitStack() as stack:
        yield Call(browser, site, server, stack, room=secrets.token_hex(8))
        await load(browser, "about:blank")


async def begin(call: Call, *, in_band: bool, page_first: bool = False, **options: str) -> None:
    """Connect the page and Python."""
    if in_band:
        options["in-band"] = ""
    if page_first:
        await call.open_page(**options)
        await call.wait_for("signaling.peer === 'page'")
    await call.join(in_band=in_band, recovery=False)
    if not page_first:
        await call.open_page(**options)
    await call.connect()
    if in_band:
        await call.wait_for("negotiator.inBand")


@pytest.mark.parametrize("in_band", [False, True], ids=["by-the-server", "in-band"])
async def test_tracks_and_restarts_from_either_side(call: Call, in_band: bool) -> None:
    await begin(call, in_band=in_band, page_first=in_band)
    for kind in TRACKS:
        await call.add_here(kind)
        await call.add_there(kind)
    await call.restart(here=True)
    await call.restart(there=True)
    await call.check()
    await call.wait_for(f"negotiator.inBand === {json.dumps(in_band)}")


async def test_both_at_once(call: Call) -> None:
    """Offers cross, as the server stops while both are made: each is certain to meet the other."""
    await begin(call, in_band=False)
    for number, kind in enumerate(TRACKS, start=1):
        before = sending_ufrags(call.pc)
        with call.server.suspended():
            await call.browser.evaluate(f"void (add('{kind}'), pc.restartIce())")
            call.pc.addTrack(TRACKS[kind]())
            await call.wait_for("pc.signalingState === 'have-local-offer'")
            await wait_for_state(call.pc, "signalingState", "have-local-offer")
        await call.receive()
        await call.wait_for(f"seen.size === {number}")
        await wait_restarted(call.pc, since=[before])
        await call.wait_stable()
        theirs = await call.browser.evaluate("negotiator.collisions")
        assert theirs >= number
        assert call.negotiator.collisions >= number
    await call.check()


async def test_a_call_needs_no_server(call: Call) -> None:
    """It is killed, everything is negotiated without it, and it comes back."""
    await call.start_server()
    await begin(call, in_band=True)
    polite = await call.browser.evaluate("negotiator.polite")
    await call.server.kill()
    for kind in TRACKS:
        await call.add_here(kind)
        await call.add_there(kind)
    await call.restart(here=True)
    await call.restart(there=True)
    await call.restart(here=True, there=True)
    await call.wait_for("negotiator.inBand")
    await call.start_server(call.server.port)
    await call.wait_for("signaling.peers.get('python')?.state === 'joined'")
    await call.restart(here=True, there=True)
    await call.add_there("audio")
    await call.add_here("audio")
    assert await call.browser.evaluate("negotiator.polite") is polite
    assert call.negotiator.polite is not polite
    await call.check()


async def test_the_page_restarts_when_the_path_is_lost(call: Call) -> None:
    await begin(call, in_band=True, recovery="")
    before = sending_ufrags(call.pc)
    Cut(call.pc)
    await wait_restarted(call.pc, since=[before])
    await call.wait_for("told.some(({ type }) => type === 'back')")
    assert (await call.told("lost"))[0]["state"] in {"disconnected", "failed"}
    assert (await call.told("restart"))[0]["reason"] in {"disconnected", "failed"}
    assert (await call.told("back"))[0]["seconds"] > 0
    await call.check()


async def test_the_page_restarts_when_the_network_changes(call: Call) -> None:
    await begin(call, in_band=True, recovery="")
    before = sending_ufrags(call.pc)
    await call.browser.evaluate("void dispatchEvent(new Event('online'))")
    await wait_restarted(call.pc, since=[before])
    await call.wait_stable()
    assert (await call.told("restart"))[0]["reason"] == "network changed"
    await call.check()


async def test_a_page_that_is_reloaded(call: Call) -> None:
    gone: asyncio.Queue[RTCPeerConnection] = asyncio.Queue()
    made: list[RTCPeerConnection] = []

    def prepare(pc: RTCPeerConnection, _: object) -> None:
        made.append(pc)
        pc.addTrack(AudioStreamTrack())

    signaling = call.make_signaling()
    async with (
        signaling,
        PeerConnections(
            signaling,
            prepare,
            on_gone=lambda pc, _: gone.put_nowait(pc),
            negotiator=partial(Negotiator, in_band=True),
        ),
    ):
        for number in range(RELOADS):
            if number == 0:
                await call.open_page(**{"in-band": ""})
            else:
                await reload(call.browser)
                async with asyncio.timeout(DEADLINE):
                    assert await gone.get() is made[number - 1]
            await call.wait_for("seen.size === 1 && negotiator.inBand")
            assert len(made) == number + 1
            assert await call.told("error") == []


async def test_a_program_that_is_started_anew(call: Call) -> None:
    """The page makes a new connection for it."""
    await begin(call, in_band=True)
    before = call.pc
    await call.signaling.close()
    await call.join(in_band=True)
    await call.connect()
    await call.add_here("video")
    await call.add_there("audio")
    assert len(await call.told("replaced")) == 1
    assert transports(before) != transports(call.pc)
    await call.check()


async def test_the_page_of_the_documentation(call: Call, site: str) -> None:
    """It shows the robot's video, loses its path and gets it back, and another robot's."""
    url = urlencode({"signaling": call.server.url, "room": call.room})
    await load(call.browser, f"{site}documented.html?{url}")
    made: list[RTCPeerConnection] = []

    def prepare(pc: RTCPeerConnection, _: object) -> None:
        made.append(pc)
        pc.addTrack(VideoStreamTrack())

    for number in (1, 2):
        signaling = WebSocketSignaling(call.server.url, room=call.room, peer="robot")
        negotiator = partial(Negotiator, in_band=True, recovery=False)
        async with signaling, PeerConnections(signaling, prepare, negotiator=negotiator):
            await call.wait_for("video.currentTime > 0 && video.readyState > 2")
            assert len(made) == number
            await wait_connected(made[-1])
            before = sending_ufrags(made[-1])
            Cut(made[-1])
            await call.wait_for("state.textContent === 'reconnecting'")
            await call.wait_for("state.textContent === 'connected'")
            await wait_restarted(made[-1], since=[before])
        # From here on only the next robot's video counts.
        await call.browser.evaluate("void (video.srcObject = null)")
