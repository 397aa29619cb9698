"""A page that is reloaded: Python sends its picture to each instance of it."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiortc.contrib.media import MediaRelay

from browser.pages import Page, chromium
from browser.test_newcomers import HERE, RTC_SIGNAL
from conftest import leave_nothing, open_sockets
from requiring import require
from restartice import RTCPeerConnection, VideoStreamTrack
from restartice_signaling import PeerConnections, PeerInfo, WebSocketSignaling, serve

pytestmark = pytest.mark.browser

DEADLINE = 30.0
TIMES = 10


@asynccontextmanager
async def website(signaling: str) -> AsyncIterator[str]:
    """Serve a page that goes into the room and shows what it gets."""
    source = RTC_SIGNAL.read_text().replace(
        "export class RtcSignal", "globalThis.RtcSignal = class"
    )
    video = "pc.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]); }"
    begin = f"enter({json.dumps(signaling)}).then(() => globalThis.entered = true); {video};"
    scripts = "".join(
        f"<script>{text}</script>" for text in (source, (HERE / "newcomer.js").read_text(), begin)
    )
    body = f"<!doctype html><meta charset=utf-8><video id=video autoplay muted></video>{scripts}"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET / ")
        text = body.encode() if asked else b""
        head = f"HTTP/1.1 {'200 OK' if asked else '204 No Content'}\r\nConnection: close\r\n"
        head += f"Content-Type: text/html\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_page_that_is_reloaded_ten_times() -> None:
    require(chromium(), "chromium")
    sockets = open_sockets()
    relay, camera = MediaRelay(), VideoStreamTrack()
    gone: asyncio.Queue[RTCPeerConnection] = asyncio.Queue()
    made: list[RTCPeerConnection] = []

    def prepare(pc: RTCPeerConnection, _: PeerInfo) -> None:
        made.append(pc)
        pc.addTrack(relay.subscribe(camera, buffered=False))

    took = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with (
            serve() as server,
            WebSocketSignaling(server.url, room="room", peer="python") as signaling,
            PeerConnections(signaling, prepare, on_gone=lambda pc, _: gone.put_nowait(pc)),
            website(server.url) as url,
        ):
            page = await Page.open(Path(profile), url)
            try:
                for number in range(TIMES + 1):
                    began = time.monotonic()
                    if number:
                        await page.command("Page.reload")
                        async with asyncio.timeout(DEADLINE):
                            assert await gone.get() is made[number - 1]
                    await sees(page)
                    took.append(time.monotonic() - began)
                    assert len(made) == number + 1
                assert await page.evaluate("failures") == []
            finally:
                await page.close()
    camera.stop()
    await leave_nothing(sockets)
    print("reloaded: picture after", " ".join(f"{seconds:.2f}" for seconds in took[1:]), "s")


async def sees(page: Page) -> None:
    """Return when the page has decoded a picture."""
    await page.wait_for("globalThis.entered && video.currentTime > 0 && video.videoWidth > 0")
