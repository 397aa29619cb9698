"""A page joins Python's room, or Python that of a page, and both want something at once.

The newcomer makes the first offer. Where offers collide all the same, Chromium can lose its data
section, and then offers some 40 times a second without end, which Python slows down.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
from devtools import Browser, Chromium, Firefox

from browser.pages import FLAGS
from connecting import wait_connected, wait_for_state
from interop.stacks import STACKS, Stack
from requiring import require
from restartice import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    VideoStreamTrack,
)
from restartice_signaling import (
    Negotiator,
    ServerSettings,
    SignalingServer,
    WebSocketSignaling,
    serve,
)
from restartice_signaling.negotiation import first_offer, pace

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

HERE = Path(__file__).parent
RTC_SIGNAL = HERE.parents[1] / "signaling" / "restartice_signaling" / "files" / "rtc-signal.js"
FIREFOX_ON_LOOPBACK = {
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
}
BROWSERS = [stack for stack in STACKS if stack.name in {"chromium", "firefox"}]
# What the page wants, and what Python wants.
WISHES = [
    (["data"], ["data"]),
    (["data"], ["video"]),
    (["data"], ["video", "data"]),
    (["video", "data"], ["video", "data"]),
    (["audio", "video"], ["data"]),
]
DEADLINE = 60.0
# Long enough for any browser on a machine that is busy.
LONG = 120.0
# After how many seconds without an offer a negotiation has come to its end.
SETTLED = 10.0
# For how many seconds the offers of one without end are counted.
COUNTED = 3.0
# For how many seconds at most, on a machine that is busy, a negotiation has no end unnoticed.
PATIENCE = 90.0


@asynccontextmanager
async def started(stack: Stack) -> AsyncIterator[Browser]:
    """Run a browser that calls programs on this machine."""
    require(not stack.missing(), stack.missing())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        made: Browser
        if stack.name == "chromium":
            made = await Chromium.start(profile, *FLAGS)
        else:
            made = await Firefox.start(profile, **FIREFOX_ON_LOOPBACK)
        try:
            yield made
        finally:
            await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROWSERS, ids=lambda s: s.name)
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Run a browser with the page."""
    source = RTC_SIGNAL.read_text().replace(
        "export class RtcSignal", "globalThis.RtcSignal = class"
    )
    async with started(request.param) as made:
        for script in (source, (HERE / "newcomer.js").read_text()):
            await made.evaluate(f"(() => {{ {script}\n }})()")
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[SignalingServer]:
    """Run a server that lets in a page of no site."""
    async with serve(settings=ServerSettings(origins=[None, "null"])) as made:
        yield made


class Python:
    """Our side."""

    def __init__(self, server: SignalingServer, wishes: list[str]) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.signaling = WebSocketSignaling(server.url, room="room", peer="python")
        self.errors: list[Exception] = []
        self.negotiator = Negotiator(self.pc, self.signaling, on_error=self.errors.append)
        for wish in wishes:
            if wish == "data":
                self.pc.createDataChannel("python")
            else:
                self.pc.addTrack(AudioStreamTrack() if wish == "audio" else VideoStreamTrack())

    async def __aenter__(self) -> Self:
        await self.signaling.__aenter__()
        await self.negotiator.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.negotiator.close()
        await self.signaling.close()
        await self.pc.close()


async def enter(browser: Browser, server: SignalingServer) -> None:
    """Let the page go into the room."""
    await browser.evaluate(f"enter({json.dumps(server.url)})")


async def call(browser: Browser, wishes: list[str]) -> None:
    """Let the page want something, as soon as Python is there."""
    await browser.evaluate(f"call({json.dumps(wishes)})")


async def leave(browser: Browser) -> None:
    """Let the page leave the room."""
    await browser.evaluate("(() => { pc.close(); signaling.close(); })()")


async def counted(browser: Browser) -> dict[str, Any]:
    """Return what the page has counted."""
    found: dict[str, Any] = await browser.evaluate(
        "({ offers, collisions, failures, kinds: (pc.localDescription?.sdp ?? '').split('\\nm=')"
        ".slice(1).map((section) => section.split(' ')[0]) })"
    )
    return found


async def settle(browser: Browser, python: Python, wishes: set[str]) -> None:
    """Return when both sides have what they want."""
    await wait_connected(python.pc)
    async with asyncio.timeout(DEADLINE):
        while True:
            await wait_for_state(python.pc, "signalingState", "stable")
            sdp = python.pc.localDescription.sdp
            live = {line.split()[0][2:] for line in sdp.splitlines() if line.startswith("m=")}
            if {wish if wish != "data" else "application" for wish in wishes} <= live:
                break
            await asyncio.sleep(0.05)
    if "data" in wishes:
        await browser.evaluate(
            "!channel || channel.readyState === 'open' || "
            "new Promise((resolve) => channel.addEventListener('open', () => resolve(true)))"
        )


@pytest.mark.parametrize("page_first", [False, True], ids=["python-first", "page-first"])
@pytest.mark.parametrize("wishes", WISHES, ids=lambda both: "-".join(map("+".join, both)))
async def test_a_newcomer_makes_the_first_offer(
    browser: Browser,
    server: SignalingServer,
    wishes: tuple[list[str], list[str]],
    page_first: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_offer, "PATIENCE", LONG)
    theirs, ours = wishes
    if page_first:
        await enter(browser, server)
    async with Python(server, ours) as python:
        if not page_first:
            await enter(browser, server)
        await call(browser, theirs)
        await settle(browser, python, {*theirs, *ours})
        page = await counted(browser)
        assert page["failures"] == []
        assert python.errors == []
        # A page that was there first may know nothing of this, but then Python gives way.
        assert page_first or (page["collisions"], python.negotiator.collisions) == (0, 0)
        await leave(browser)


async def watch(browser: Browser, caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether a page offers without end; if so, check that it is slowed down."""
    loop = asyncio.get_running_loop()
    since, offers = loop.time(), 0
    async with asyncio.timeout(PATIENCE):
        while not warnings(caplog):
            if loop.time() > since + SETTLED:
                return False
            await asyncio.sleep(0.05)
            before, offers = offers, (await counted(browser))["offers"]
            since = loop.time() if offers > before else since
    since, offers = loop.time(), (await counted(browser))["offers"]
    await asyncio.sleep(COUNTED)
    more = (await counted(browser))["offers"] - offers
    assert 0 < more <= (loop.time() - since) * pace.RATE + 2
    assert warnings(caplog) == 1
    return True


def warnings(caplog: pytest.LogCaptureFixture) -> int:
    """Return how often it was said that a negotiation has no end."""
    return sum("negotiate without end" in record.getMessage() for record in caplog.records)


async def test_a_negotiation_without_end_is_slowed_down(
    browser: Browser, server: SignalingServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Python(server, ["video"]) as python:
        await enter(browser, server)
        await browser.evaluate(
            "(() => { pc.addEventListener('signalingstatechange', () => {"
            "if (pc.signalingState === 'stable') pc.restartIce(); }); })()"
        )
        await call(browser, ["data"])
        assert await watch(browser, caplog)
        assert python.errors == []
        await leave(browser)


async def test_after_a_collision_chromium_offers_without_end(
    browser: Browser,
    server: SignalingServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes its offer of data back for one of video, and never offers data again."""
    monkeypatch.setattr(first_offer, "PATIENCE", 0.0)
    async with Python(server, ["video"]) as python:
        await enter(browser, server)
        await call(browser, ["data"])
        await wait_connected(python.pc)
        endless = await watch(browser, caplog)
        has_data = "application" in (await counted(browser))["kinds"]
        # Firefox offers its data next, as Chromium may one day.
        assert has_data or endless
        await leave(browser)
